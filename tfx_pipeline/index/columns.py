"""The columns that a file of new items may have: the canonical ones, or a project's own."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from addrl_keras.config import Config
from tfx_pipeline.datasets.errors import DataError
from tfx_pipeline.datasets.table_options import COLUMN_KINDS, ItemColumn, TableOptions
from tfx_pipeline.suggestions import suggest

ID, TITLE = "item_id", "title"
# What stands between the parts of a list, where the preset does not say otherwise.
SEPARATOR = "|"

# Of each kind of the canonical form, how it is written in a file.
_FILE_KINDS = {
    "floats": "number",
    "int64s": "integer",
    "string": "text",
    "strings": "list",
    "vector": "vector",
}


@dataclasses.dataclass(frozen=True)
class FileColumn:
    """A column that a file may have.

    Attributes:
        name: Its name in the canonical table.
        kind: `id`, `photo`, or a key of `table_options.COLUMN_KINDS`.
        separator: Of a list or vector in one text, what stands between its parts.
        decimal: Decimal mark of a number.
        is_lenient: Whether a value that cannot be read counts as missing.
        nulls: Words of a text or of a list that stand for no value, in lower case.
    """

    name: str
    kind: str
    separator: str = SEPARATOR
    decimal: str = "."
    is_lenient: bool = False
    nulls: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True)
class FileColumns:
    """The columns that a file may have, by their names in the file.

    A file has the names of a project's own table throughout, or canonical ones: a name may mean one
    thing here and another there.

    Attributes:
        canonical: By canonical name.
        own: By name in the project's own table; the same without a project.
    """

    canonical: Mapping[str, FileColumn]
    own: Mapping[str, FileColumn]

    def choose(
        self, path: str, header: Sequence[str], ignored: Iterable[str] = ()
    ) -> Mapping[str, FileColumn]:
        """Choose the names that a file has, by those that only one of the two knows.

        Args:
            path: The file, for messages.
            header: Names in the file.
            ignored: Further names of the project's own table.

        Returns:
            The columns by name.

        Raises:
            DataError: If the header has names of both, or only such as mean different things.
        """
        ours = ({*self.own} | {*ignored}) - {*self.canonical}
        others = {*self.canonical} - {*self.own} - {*ignored}
        found = [name for name in header if name in ours]
        foreign = [name for name in header if name in others]
        if found and foreign:
            raise DataError(
                f"{path}, line 1: a file has the columns of the project's own table, or canonical "
                f"ones. Received: {found[0]!r} of the former and {foreign[0]!r} of the latter. "
                "Rename or remove one of them."
            )
        unclear = [
            name
            for name in header
            if name in self.canonical and self.canonical[name] != self.own.get(name)
        ]
        if unclear and not found and not foreign:
            raise self._make_error(path, header, unclear[0], ours, others)
        return self.canonical if foreign else self.own

    def _make_error(
        self, path: str, header: Sequence[str], name: str, ours: set[str], others: set[str]
    ) -> DataError:
        remedy = "Give the two different names in [data.items.columns] of addrl.toml."
        if ours or others:
            marks = " or ".join(repr(min(names)) for names in (ours, others) if names)
            remedy = f"Add a column that only one of the two has, such as {marks}; it may be empty."
        meant = f"stands for {self.own[name].name!r}" if name in self.own else "is not read"
        return DataError(
            f"{path}, line 1, column {name!r}: in the project's own table it {meant}, and among "
            f"the canonical columns for itself. Received: the columns {', '.join(header)}. {remedy}"
        )


def find_columns(config: Config, schema: Any) -> dict[str, str]:
    """Find the columns of the items table that a transform graph reads, and their kinds.

    Args:
        config: The model's configuration.
        schema: The `schema_pb2.Schema` of the raw items.

    Returns:
        Kind of each column beside `item_id`, as `datasets.canonical.COLUMN_KINDS` has them.
    """
    uses = {part.column: part.kind for part in config.attributes}
    uses |= {part.column: part.encoder for part in config.content_modalities}
    return {
        feature.name: _find_kind(feature, uses.get(feature.name, ""))
        for feature in schema.feature
        if feature.name != ID
    }


def _find_kind(feature: Any, use: str) -> str:
    type_name = type(feature).DESCRIPTOR.fields_by_name["type"].enum_type
    kind = type_name.values_by_number[feature.type].name
    if use == "precomputed" or (kind == "FLOAT" and not use and feature.value_count.max != 1):
        return "vector"
    if kind in ("INT", "FLOAT"):
        return "int64s" if kind == "INT" else "floats"
    is_list = use == "bag" or (use in ("", "categorical") and feature.value_count.max != 1)
    return "strings" if is_list else "string"


def make_columns(
    config: Config,
    kinds: Mapping[str, str],
    tables: TableOptions | None = None,
    nulls: Mapping[str, frozenset[str]] | None = None,
) -> FileColumns:
    """Make the columns that a file may have.

    Args:
        config: The model's configuration.
        kinds: What `find_columns` returned.
        tables: Of a project, its tables: their names, separators and decimal marks count, too.
        nulls: Words that stand for no value, by column, in lower case.

    Returns:
        The columns by their names in the file.
    """
    photos = {part.column for part in config.content_modalities if part.preprocessing == "image"}
    settings = tables.items.columns if tables else {}
    columns = {ID: FileColumn(ID, "id"), TITLE: FileColumn(TITLE, "text")}
    for name, kind in kinds.items():
        columns[name] = _make_column(name, kind, settings.get(name), name in photos)
    for name, words in (nulls or {}).items():
        if name in columns:
            columns[name] = dataclasses.replace(columns[name], nulls=words)
    return FileColumns(columns, _rename(columns, tables) if tables else columns)


def _rename(columns: Mapping[str, FileColumn], tables: TableOptions) -> dict[str, FileColumn]:
    """Return the columns by their names in a project's own table."""
    sources = {name: each.source or name for name, each in tables.items.columns.items()}
    sources[ID] = tables.items.id
    if tables.items.title:
        sources[TITLE] = tables.items.title
    if tables.images and tables.images.match:
        sources.setdefault(tables.images.column, tables.images.match)
    found: dict[str, FileColumn] = {}
    # The id goes first: another column may be made of the same one.
    for name in (ID, TITLE, *columns):
        if name in sources:
            found.setdefault(sources[name], columns[name])
    # What does not come from the table of items, such as a price of its sales, has one name.
    for name in columns:
        if name not in sources:
            found.setdefault(name, columns[name])
    return found


def _make_column(name: str, kind: str, own: ItemColumn | None, is_photo: bool) -> FileColumn:
    if is_photo:
        return FileColumn(name, "photo")
    # A column of the project is read as the project reads it, if it is still of the trained kind.
    if own is None or COLUMN_KINDS[own.kind] != kind:
        return FileColumn(name, _FILE_KINDS[kind])
    return FileColumn(
        name, own.kind, own.separator or SEPARATOR, own.decimal, own.unreadable == "missing"
    )


@dataclasses.dataclass(frozen=True)
class Header:
    """The header of a file.

    Attributes:
        columns: The columns to read, by their name in the file.
        names: Of every canonical column, its name in the file, or the one it would have there.
    """

    columns: Mapping[str, FileColumn]
    names: Mapping[str, str]


def match_header(
    path: str,
    header: Sequence[str],
    columns: FileColumns,
    ignored: Iterable[str] = (),
) -> Header:
    """Match the header of a file with the columns that it may have.

    Args:
        path: The file, for messages.
        header: Names in the file.
        columns: What `make_columns` returned.
        ignored: Further names that are let pass and not read.

    Returns:
        The columns to read, and how the file calls each.

    Raises:
        DataError: If the file has an unknown column, two for the same thing, no ids, or names of
            which it is not clear what they mean.
    """
    known = columns.choose(path, header, ignored)
    names = {column.name: name for name, column in known.items()}
    found: dict[str, FileColumn] = {}
    for name in header:
        if name in known:
            twin = next((other for other, each in found.items() if each == known[name]), None)
            if twin is not None:
                raise DataError(
                    f"{path}: the columns {twin!r} and {name!r} both stand for "
                    f"{known[name].name!r}. Received: both. Remove one of them."
                )
            found[name] = known[name]
        elif name not in ignored:
            raise DataError(
                f"{path}, line 1, column {name!r}: there is no such column of items. Received: "
                f"{name!r}.{suggest(name, known)} Rename or remove it; there are: "
                f"{', '.join(known)}."
            )
    if not any(column.kind == "id" for column in found.values()):
        raise DataError(
            f"{path}, line 1: the column {names[ID]!r} is missing. Received: the columns "
            f"{', '.join(header)}. Every new item needs an id: add the column."
        )
    return Header(found, names)
