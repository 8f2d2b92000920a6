"""Projects: a data set of one's own, described by one file, `NAME/addrl.toml`.

`addrl init` writes that file, a person edits it, and every command takes `NAME` as it takes a
preset's name. Keys that the file may not have, and values of a wrong type, are refused with the
nearest key that exists. Nothing here imports Beam, TensorFlow or TFX.
"""

import dataclasses
import datetime
import pathlib
import tomllib
import typing
from typing import Any

from addrl_keras.config import Attribute, Config, Modality
from tfx_pipeline.configs import PROJECT_FILE, GateConfig, PipelineConfig
from tfx_pipeline.datasets.table_options import (
    Aggregate,
    Images,
    InteractionsTable,
    ItemColumn,
    ItemsTable,
    Split,
    TableOptions,
)
from tfx_pipeline.suggestions import suggest
from tfx_pipeline.toml_reader import ProjectError, TomlReader

SCHEMA_FOLDER = "schema"

# Kinds of canonical columns that each use of a column takes, as in `datasets.canonical`.
_USES = {
    "numeric": ("floats", "int64s"),
    "categorical": ("string", "strings", "int64s"),
    "text": ("string",),
    "bag": ("strings",),
    "hub": ("string",),
    "precomputed": ("vector",),
}
_KIND_WORDS = {
    "floats": "numbers",
    "int64s": "whole numbers",
    "string": "one text an item",
    "strings": "a list of texts",
    "vector": "vectors",
}


@dataclasses.dataclass(frozen=True)
class _Evaluation:
    """The section `[evaluation]`."""

    k: int = PipelineConfig.k
    confidence_intervals: bool = PipelineConfig.confidence_intervals
    report: bool = PipelineConfig.report


def list_projects(directory: pathlib.Path | None = None) -> list[str]:
    """List the projects in a folder, the working directory by default."""
    found = (directory or pathlib.Path()).glob(f"*/{PROJECT_FILE}")
    return sorted(path.parent.name for path in found if path.is_file())


def load_project(name: str) -> PipelineConfig:
    """Load the project of a name.

    Args:
        name: A folder in the working directory that holds `addrl.toml`.

    Returns:
        The validated configuration. Relative paths in the file are relative to the file.

    Raises:
        ProjectError: If the file cannot be read, has an unknown key or a wrong value; names file,
            key and value.
    """
    path = pathlib.Path(name, PROJECT_FILE)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ProjectError(
            f"{path}: the file cannot be read ({error.strerror}). Received: {name!r}. Make one "
            "with `addrl init`."
        ) from error
    return parse_project(path, content)


def parse_project(path: pathlib.Path, content: bytes) -> PipelineConfig:
    """Parse the file of a project.

    Args:
        path: Where it is or will be: names the project, and relative paths begin beside it.
        content: What it holds.

    Returns:
        The validated configuration.

    Raises:
        ProjectError: As `load_project` does.
    """
    try:
        document = tomllib.loads(content.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProjectError(
            f"{path}: this is not TOML ({error}). Received: the file as it is. Repair that line: "
            'texts are in "quotes", a table such as [data.items] begins a section.'
        ) from error
    try:
        config = _make_config(path, document)
        config.validate()
    except ProjectError:
        raise
    except ValueError as error:
        raise ProjectError(f"{path}: {error}") from error
    return config


def _make_config(path: pathlib.Path, document: dict[str, Any]) -> PipelineConfig:
    reader = TomlReader(path)
    hints = typing.get_type_hints(Config)
    reader.check_keys("", document, ("data", *hints, "gates", "evaluation"))
    tables = _make_tables(reader, reader.get_table("data", document, "data", required=True))
    tables.validate()

    def make(section: str, cls: type) -> Any:
        return reader.make(section, cls, reader.get_table(section, document, section))

    named = {"attributes": Attribute, "modalities": Modality}
    parts: dict[str, Any] = {
        name: tuple(reader.make_named(document, name, cls).values()) for name, cls in named.items()
    }
    for name in hints.keys() - named.keys():
        if dataclasses.is_dataclass(hints[name]):
            parts[name] = make(name, hints[name])
        elif name in document:
            parts[name] = reader.check_type(name, document[name], hints[name])
    model = Config(**parts)
    _check_columns(reader, model, tables)
    if model.reads_auxiliary and not tables.interactions.keeps_low_ratings:
        raise reader.error(
            "start.auxiliary_weight: [data] keeps no low ratings for it to count",
            model.start.auxiliary_weight,
            'Set data.interactions.min_rating and data.interactions.low_ratings = "auxiliary", or '
            "the weight to 0.",
        )
    evaluation = make("evaluation", _Evaluation)
    return PipelineConfig(
        name=path.parent.name,
        dataset="tables",
        dataset_options=(("options", tables),),
        schema=str((path.parent / SCHEMA_FOLDER).absolute()),
        model=_resolve_handles(reader, model),
        gates=make("gates", GateConfig),
        k=evaluation.k,
        confidence_intervals=evaluation.confidence_intervals,
        report=evaluation.report,
    )


def _make_tables(reader: TomlReader, data: dict[str, Any]) -> TableOptions:
    reader.check_keys("data", data, ("interactions", "items", "aggregates", "images", "split"))
    interactions = reader.make(
        "data.interactions",
        InteractionsTable,
        reader.get_table("data.interactions", data, "interactions", required=True),
    )
    given = dict(reader.get_table("data.items", data, "items", required=True))
    columns = reader.make_named(given, "columns", ItemColumn, "data.items.columns")
    items = reader.make("data.items", ItemsTable, given, skip=("columns",))
    images = None
    if "images" in data:
        images = reader.make("data.images", Images, reader.get_table("data.images", data, "images"))
        images = dataclasses.replace(images, directory=reader.resolve(images.directory))
    # TOML has dates of its own, and seconds are whole numbers; both mean the same as their text.
    cuts = {
        key: str(value) if isinstance(value, datetime.date | int) else value
        for key, value in reader.get_table("data.split", data, "split").items()
    }
    split = reader.make("data.split", Split, cuts)
    return TableOptions(
        interactions=dataclasses.replace(interactions, path=reader.resolve(interactions.path)),
        items=dataclasses.replace(items, path=reader.resolve(items.path), columns=columns),
        split=split,
        aggregates=reader.make_named(data, "aggregates", Aggregate, "data.aggregates"),
        images=images,
    )


def _resolve_handles(reader: TomlReader, model: Config) -> Config:
    """Make handles that are relative paths absolute; names of encoders and addresses stay."""
    modalities = tuple(
        dataclasses.replace(part, handle=reader.resolve(part.handle))
        if "/" in part.handle
        else part
        for part in model.modalities
    )
    return dataclasses.replace(model, modalities=modalities)


def _check_columns(reader: TomlReader, model: Config, tables: TableOptions) -> None:
    """Refuse attributes and modalities of columns that are not there or are of another kind."""
    columns = {"title": "string"} | tables.columns
    uses = [("attributes", part, part.kind) for part in model.attributes]
    uses += [("modalities", part, part.encoder) for part in model.content_modalities]
    for section, part, use in uses:
        if not part.column or use not in _USES:
            continue  # The model's own check words these.
        where = f"{section}.{part.name}.column"
        if part.column not in columns:
            raise reader.error(
                f"{where}: [data] has no such column.{suggest(part.column, columns)}",
                part.column,
                f"It has: {', '.join(columns)}. Add a line to [data.items.columns], and a feature "
                f"to {reader.path.parent / SCHEMA_FOLDER}/items.pbtxt.",
            )
        if columns[part.column] not in _USES[use]:
            wanted = " or ".join(_KIND_WORDS[kind] for kind in _USES[use])
            raise reader.error(
                f"{where}: {use!r} takes a column of {wanted}, and this one has "
                f"{_KIND_WORDS[columns[part.column]]}",
                part.column,
                f"Name another column, or change the kind of {part.column!r} in "
                "[data.items.columns].",
            )
