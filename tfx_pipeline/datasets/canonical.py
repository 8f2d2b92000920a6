"""The canonical form: the two tables that the pipeline reads, and the check of their soundness.

    DIR/interactions/{train,validation,test,auxiliary}/*.parquet (auxiliary is optional)
        user_id string, item_id string, timestamp int64 (optional), weight float (optional)
    DIR/items/*.parquet
        item_id string, title string, and the columns named as attributes or modalities

Adapters exist to reach this form; nothing after it knows a data set. `docs/data.md` explains it.
"""

import dataclasses
import pathlib
from collections.abc import Collection, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tfx_pipeline.datasets import checks
from tfx_pipeline.datasets.errors import DataError
from tfx_pipeline.datasets.splits import AUXILIARY, SPLITS, list_splits

ITEMS_PATTERN = "items/*.parquet"
INTERACTIONS_PATTERN = "interactions/{split}/*.parquet"

_ATTRIBUTE_KINDS = {
    "numeric": ("numeric",),
    "categorical": ("string", "strings", "int64", "int64s"),
}
_ENCODER_KINDS = {
    "text": ("string",),
    "bag": ("strings",),
    "hub": ("string",),
    "precomputed": ("vector",),
}
_ID_COLUMNS = {"user_id": "string", "item_id": "string"}
_OPTIONAL_COLUMNS = {"timestamp": "int64", "weight": "float"}

# Kinds that a column may be asked to have. Those that end in `s` are lists; `numeric` is any of the
# first four, a list then holding one number at most. `vector` is a list of floats of any length.
COLUMN_KINDS = ("int64", "float", "int64s", "floats", "string", "strings", "numeric", "vector")


@dataclasses.dataclass(frozen=True)
class CanonicalReport:
    """What was found in a sound canonical directory.

    Attributes:
        num_interactions: Number of rows of each split, and of the auxiliary one if there is one.
        num_users: Number of different users over train, validation and test.
        num_items: Number of items of the catalogue.
        num_unknown: Number of interactions of each split whose item is not in the catalogue.
        num_missing: Number of items without a value, for each column that was asked for.
    """

    num_interactions: Mapping[str, int]
    num_users: int
    num_items: int
    num_unknown: Mapping[str, int]
    num_missing: Mapping[str, int]

    def __str__(self) -> str:
        """Return the counts in one line."""
        counts = " + ".join(f"{count:,} {split}" for split, count in self.num_interactions.items())
        unknown = sum(self.num_unknown.values())
        note = f", {unknown:,} interactions with unknown items" if unknown else ""
        return f"{counts} interactions, {self.num_users:,} users, {self.num_items:,} items{note}"


def make_interactions_schema(timestamp: bool = True, weight: bool = False) -> pa.Schema:
    """Make the schema of the interactions table.

    Args:
        timestamp: Whether the table has times, in seconds since 1970.
        weight: Whether the table has weights; without them each interaction counts 1.

    Returns:
        The schema.
    """
    fields = [pa.field("user_id", pa.string(), False), pa.field("item_id", pa.string(), False)]
    if timestamp:
        fields.append(pa.field("timestamp", pa.int64()))
    if weight:
        fields.append(pa.field("weight", pa.float32()))
    return pa.schema(fields)


def make_column_kinds(config: Any) -> dict[str, tuple[str, ...]]:
    """Make the kinds that a model's configuration demands of the item columns.

    Args:
        config: An `addrl_keras.config.Config`: `attributes` with `column` and `kind`, and
            `content_modalities` with `column` and `encoder`.

    Returns:
        The kinds that each column may have, for `validate_canonical`.

    Raises:
        DataError: If one column is wanted as a number and as text.
    """
    wanted = [(part.column, _ATTRIBUTE_KINDS[part.kind]) for part in config.attributes]
    wanted += [(part.column, _ENCODER_KINDS[part.encoder]) for part in config.content_modalities]
    kinds: dict[str, tuple[str, ...]] = {}
    for column, allowed in wanted:
        before = kinds.get(column, allowed)
        kinds[column] = tuple(kind for kind in before if kind in allowed)
        if not kinds[column]:
            raise DataError(
                f"The configuration uses the column {column!r} in two ways that exclude each "
                f"other. Received: {'/'.join(before)} and {'/'.join(allowed)}. Name two columns."
            )
    return kinds


def make_items_schema(columns: Mapping[str, str]) -> pa.Schema:
    """Make the schema of the items table.

    Args:
        columns: Kind of each column beside `item_id` and `title`: one of `COLUMN_KINDS` but
            `numeric`. `int64s` and `floats` are lists of one number at most.

    Returns:
        The schema.

    Raises:
        ValueError: If a kind is none of these.

    Example:
        >>> make_items_schema({"genres": "strings"}).names
        ['item_id', 'title', 'genres']
    """
    types = {
        "int64": pa.int64(),
        "float": pa.float32(),
        "int64s": pa.list_(pa.int64()),
        "floats": pa.list_(pa.float32()),
        "string": pa.string(),
        "strings": pa.list_(pa.string()),
        "vector": pa.list_(pa.float32()),
    }
    for name, kind in columns.items():
        if kind not in types:
            raise ValueError(
                f"A column to write needs one of the kinds {', '.join(types)}. "
                f"Received: {name}={kind!r}."
            )
    fields = [pa.field("item_id", pa.string(), False), pa.field("title", pa.string())]
    return pa.schema(fields + [pa.field(name, types[kind]) for name, kind in columns.items()])


def validate_canonical(
    directory: str | pathlib.Path,
    columns: Mapping[str, str | Collection[str]] | None = None,
    max_unknown_share: float = 0.05,
    needs_auxiliary: bool = False,
) -> CanonicalReport:
    """Validate that a directory holds the canonical form, and describe it.

    Types are read from the Parquet footers; contents from the id columns alone, and from the
    columns asked for to count missing values. All problems are reported at once.

    Args:
        directory: The directory with `interactions` and `items`.
        columns: The item columns that the configuration names, each with the kind it must have
            (one of `COLUMN_KINDS`) or the kinds it may have.
        max_unknown_share: Largest share of a split's interactions that may name an item outside
            the catalogue. Such rows are common when a catalogue moves on; many of them mean that
            the two tables do not belong together.
        needs_auxiliary: Whether there must be auxiliary interactions; where there are some, they
            are checked in any case.

    Returns:
        The counts.

    Raises:
        DataError: If a table, split or column is missing, empty, damaged or of the wrong type, if
            rows are duplicated, or if too many interactions name unknown items.
    """
    directory = pathlib.Path(directory)
    if not directory.is_dir():
        raise DataError(
            f"The canonical directory does not exist. Received: {directory}. "
            "Write the tables `interactions` and `items` there, see docs/data.md."
        )
    wanted = {"item_id": "string", "title": "string", **(columns or {})}
    problems: list[str] = []
    items = checks.load_columns(directory, ITEMS_PATTERN, wanted, {}, problems)
    has_auxiliary = any(directory.glob(INTERACTIONS_PATTERN.format(split=AUXILIARY)))
    if needs_auxiliary and not has_auxiliary:
        problems.append(
            f"interactions/{AUXILIARY}/*.parquet: no such file, and start.auxiliary_weight counts "
            "what should be in it. Received: nothing there. Write it (for tables of one's own: "
            'data.interactions.low_ratings = "auxiliary"), or set the weight to 0.'
        )
    interactions = {
        split: checks.load_columns(
            directory,
            INTERACTIONS_PATTERN.format(split=split),
            _ID_COLUMNS,
            _OPTIONAL_COLUMNS,
            problems,
            may_be_empty=split == AUXILIARY and not needs_auxiliary,
        )
        for split in list_splits(has_auxiliary)
    }
    # Contents are looked at only where the form is right: else one mistake is reported ten times.
    _raise_if_any(directory, problems)
    problems += checks.find_bad_items(items)
    problems += checks.find_bad_numbers(
        items, [name for name in wanted if _is_vector(wanted[name])]
    )
    problems += checks.find_bad_interactions(interactions)
    unknown = checks.count_unknown(items, interactions)
    problems += checks.find_unknown(items, interactions, unknown, max_unknown_share)
    _raise_if_any(directory, problems)
    return CanonicalReport(
        num_interactions={split: table.num_rows for split, table in interactions.items()},
        num_users=len(
            pc.unique(pa.concat_tables([interactions[split] for split in SPLITS])["user_id"])
        ),
        num_items=items.num_rows,
        num_unknown=unknown,
        num_missing={
            name: checks.count_missing(items[name]) for name in wanted if name != "item_id"
        },
    )


def _is_vector(kinds: str | Collection[str]) -> bool:
    return kinds == "vector" or (not isinstance(kinds, str) and tuple(kinds) == ("vector",))


def _raise_if_any(directory: pathlib.Path, problems: list[str]) -> None:
    if problems:
        raise DataError(
            f"{directory} is not in the canonical form (docs/data.md):"
            + "".join(f"\n  - {problem}" for problem in problems)
        )
