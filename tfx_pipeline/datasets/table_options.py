"""What the adapter `tables` is told about two tables: files, columns, aggregates, split.

Nothing here imports Beam or Arrow, so a command line can read and validate a project at once.
"""

import dataclasses
import datetime
from collections.abc import Iterable, Mapping

from tfx_pipeline.datasets.errors import DataError

# Kinds of an items column, each with its kind in the canonical form (`canonical.COLUMN_KINDS`).
# Numbers are lists of one at most, so that a zero stays apart from a missing value everywhere.
COLUMN_KINDS = {
    "number": "floats",
    "integer": "int64s",
    "category": "string",
    "text": "string",
    "list": "strings",
    "vector": "vector",
}
TIME_FORMATS = (
    "iso",
    "epoch_s",
    "epoch_ms",
    "epoch_us",
    "dd/mm/yyyy",
    "mm/dd/yyyy",
    "yyyymmdd",
    "number",
)
SPLIT_RULES = ("random", "leave_last_out", "by_time")
FUNCTIONS = ("count", "median", "mean")

_RESERVED = ("item_id", "title")


def validate_choice(name: str, value: object, choices: Iterable[str]) -> None:
    """Validate that a setting is one of some words.

    Args:
        name: How the setting is called in the configuration.
        value: What it is set to.
        choices: What it may be set to.

    Raises:
        DataError: If it is none of them.
    """
    choices = tuple(choices)
    if value not in choices:
        raise DataError(f"{name} must be one of {', '.join(choices)}. Received: {value!r}")


@dataclasses.dataclass(frozen=True)
class InteractionsTable:
    """The table of who took what.

    Attributes:
        path: Files: a path or glob of any file system that Beam knows, or several.
        user: Column of the user's id.
        item: Column of the item's id.
        time: Column of the time; empty for none.
        time_formats: Formats of the times, out of `TIME_FORMATS`; each value must have one of them.
        rating: Column of a rating, for `min_rating`; empty for none.
        min_rating: Smallest rating that makes an interaction.
        low_ratings: What a lower rating leads to: `drop`, or `auxiliary`, an interaction that
            `start.auxiliary_weight` may count, but which is nobody's history; of a split by time
            those from before validation, of `leave_last_out` those from before what is held out of
            the same user.
        weight: Column of a weight such as a quantity, added up over a pair's rows, but for those
            of a later part of a split by time; empty for none.
        decimal: Decimal mark of the numbers in this table, `.` or `,`.
        duplicates: Which row of a repeated pair of user and item counts: `first`, `last`, or
            `refuse`.
        missing: What a row without a user, an item, a rating or a time that is needed leads to:
            `refuse` or `drop`.
        unknown_items: What a row whose item is not in the items table leads to: `keep` (they are
            counted, and too many of them refused) or `drop`.
    """

    path: str | tuple[str, ...]
    user: str
    item: str
    time: str = ""
    time_formats: tuple[str, ...] = ("iso",)
    rating: str = ""
    min_rating: float = float("-inf")
    low_ratings: str = "drop"
    weight: str = ""
    decimal: str = "."
    duplicates: str = "first"
    missing: str = "refuse"
    unknown_items: str = "keep"

    def validate(self) -> None:
        """Raise `DataError` that names the setting, the value received and what is allowed."""
        _validate_paths("data.interactions.path", self.path)
        for name in ("user", "item"):
            _validate_given(f"data.interactions.{name}", getattr(self, name))
        if self.user == self.item:
            raise DataError(
                "data.interactions.user and data.interactions.item must be two columns. "
                f"Received: {self.user!r} twice"
            )
        if not self.time_formats:
            raise DataError("data.interactions.time_formats must name a format. Received: none")
        for word in self.time_formats:
            validate_choice("data.interactions.time_formats", word, TIME_FORMATS)
        if {"dd/mm/yyyy", "mm/dd/yyyy"} <= set(self.time_formats):
            raise DataError(
                "data.interactions.time_formats must name one of dd/mm/yyyy and mm/dd/yyyy, "
                f"because many dates fit both. Received: {', '.join(self.time_formats)}"
            )
        if self.min_rating != float("-inf") and not self.rating:
            raise DataError(
                "data.interactions.min_rating needs data.interactions.rating, the column of the "
                f"ratings. Received: min_rating={self.min_rating:g} and no rating"
            )
        validate_choice("data.interactions.low_ratings", self.low_ratings, ("drop", "auxiliary"))
        if self.keeps_low_ratings and self.min_rating == float("-inf"):
            raise DataError(
                'data.interactions.low_ratings = "auxiliary" needs data.interactions.min_rating, '
                "below which a rating is low. Received: no min_rating"
            )
        validate_choice("data.interactions.decimal", self.decimal, (".", ","))
        validate_choice(
            "data.interactions.duplicates", self.duplicates, ("first", "last", "refuse")
        )
        validate_choice("data.interactions.missing", self.missing, ("refuse", "drop"))
        validate_choice("data.interactions.unknown_items", self.unknown_items, ("keep", "drop"))

    @property
    def keeps_low_ratings(self) -> bool:
        """Whether ratings below `min_rating` become auxiliary interactions."""
        return self.low_ratings == "auxiliary"


@dataclasses.dataclass(frozen=True)
class ItemColumn:
    """One column of the canonical items table.

    Attributes:
        kind: A key of `COLUMN_KINDS`.
        source: Name of the column in the file; the name in the canonical table by default.
        separator: Of a `list` or `vector` that is written in one text: what stands between its
            parts, or `json`. Parquet's own lists need none.
        decimal: Decimal mark of a number, `.` or `,`; the other one may separate thousands.
        unreadable: What a value that is no number or vector leads to: `refuse` or `missing`.
    """

    kind: str
    source: str = ""
    separator: str = ""
    decimal: str = "."
    unreadable: str = "refuse"

    def validate(self, name: str) -> None:
        """Raise `DataError` that names the setting, the value received and what is allowed."""
        owner = f"data.items.columns.{name}"
        if name in _RESERVED:
            raise DataError(
                f"{owner}: the canonical table has a column of this name already. "
                f"Received: {name!r}. Choose another name and give the file's as `source`."
            )
        validate_choice(f"{owner}.kind", self.kind, COLUMN_KINDS)
        validate_choice(f"{owner}.decimal", self.decimal, (".", ","))
        validate_choice(f"{owner}.unreadable", self.unreadable, ("refuse", "missing"))


@dataclasses.dataclass(frozen=True)
class ItemsTable:
    """The table of what there is to take.

    Attributes:
        path: Files, as in `InteractionsTable`.
        id: Column of the item's id.
        title: Column of the name to show; empty for none.
        duplicates: Which of several different rows with one id counts: `first`, `last`, or
            `refuse`. Rows that are the same count once.
        missing: What a row without an id leads to: `refuse` or `drop`.
        columns: The other columns, by their name in the canonical table.
    """

    path: str | tuple[str, ...]
    id: str
    title: str = ""
    duplicates: str = "refuse"
    missing: str = "refuse"
    columns: Mapping[str, ItemColumn] = dataclasses.field(default_factory=dict)

    def validate(self) -> None:
        """Raise `DataError` that names the setting, the value received and what is allowed."""
        _validate_paths("data.items.path", self.path)
        _validate_given("data.items.id", self.id)
        validate_choice("data.items.duplicates", self.duplicates, ("first", "last", "refuse"))
        validate_choice("data.items.missing", self.missing, ("refuse", "drop"))
        for name, column in self.columns.items():
            column.validate(name)


@dataclasses.dataclass(frozen=True)
class Images:
    """Where the photos are.

    Attributes:
        directory: Folder on any file system that Beam knows, searched with its folders.
        match: What a photo's file name is compared with: the column in the file of items that
            holds file names, or nothing for the item's id. The name's ending may be left out; a
            name that several photos have needs its path in the folder, with the ending.
        column: Name of the canonical column that gets the photo's path.
    """

    directory: str
    match: str = ""
    column: str = "image"

    def validate(self) -> None:
        """Raise `DataError` that names the setting, the value received and what is allowed."""
        _validate_given("data.images.directory", self.directory)
        _validate_given("data.images.column", self.column)


@dataclasses.dataclass(frozen=True)
class Aggregate:
    """An items column that is computed from the training interactions alone.

    Attributes:
        function: One of `FUNCTIONS`.
        column: Column of the interactions' file; none for `count`.
    """

    function: str
    column: str = ""

    def validate(self, name: str) -> None:
        """Raise `DataError` that names the setting, the value received and what is allowed."""
        owner = f"data.aggregates.{name}"
        validate_choice(f"{owner}.function", self.function, FUNCTIONS)
        if (self.function == "count") == bool(self.column):
            raise DataError(
                f"{owner}.column must name a column of the interactions for median and mean, and "
                f"none for count. Received: function={self.function!r}, column={self.column!r}"
            )

    @property
    def kind(self) -> str:
        """Kind of the canonical column."""
        return "int64s" if self.function == "count" else "floats"


@dataclasses.dataclass(frozen=True)
class Split:
    """How interactions are split into train, validation and test.

    Attributes:
        rule: `random` (by a hash of user and item, 80/10/10), `leave_last_out` (a user's last one
            is test, the one before validation, where at least one stays for training), or
            `by_time`.
        validation_from: Of `by_time`: time, as ISO date or a number, at which validation begins.
        test_from: Of `by_time`: when test begins.
    """

    rule: str = "random"
    validation_from: str = ""
    test_from: str = ""

    def validate(self) -> None:
        """Raise `DataError` that names the setting, the value received and what is allowed."""
        validate_choice("data.split.rule", self.rule, SPLIT_RULES)
        given = (self.validation_from, self.test_from)
        if self.rule != "by_time":
            if any(given):
                raise DataError(
                    "data.split.validation_from and test_from belong to the rule 'by_time'. "
                    f"Received: {given[0]!r} and {given[1]!r} with {self.rule!r}"
                )
            return
        start, end = self.cuts
        if not start < end:
            raise DataError(
                "data.split.validation_from must be before data.split.test_from. "
                f"Received: {given[0]!r} and {given[1]!r}"
            )

    @property
    def cuts(self) -> tuple[int, int]:
        """The two cut times, in the unit of the canonical timestamps."""
        validation = parse_cut("data.split.validation_from", self.validation_from)
        return validation, parse_cut("data.split.test_from", self.test_from)


@dataclasses.dataclass(frozen=True)
class TableOptions:
    """All that the adapter is told.

    Attributes:
        interactions: The table of who took what.
        items: The table of what there is to take.
        split: How the interactions are split.
        aggregates: Items columns to compute from the training interactions, by name.
        images: Where the photos are, or None.
    """

    interactions: InteractionsTable
    items: ItemsTable
    split: Split = dataclasses.field(default_factory=Split)
    aggregates: Mapping[str, Aggregate] = dataclasses.field(default_factory=dict)
    images: Images | None = None

    @property
    def columns(self) -> dict[str, str]:
        """Kind of each canonical items column beside `item_id` and `title`."""
        columns = {name: COLUMN_KINDS[each.kind] for name, each in self.items.columns.items()}
        if self.images:
            columns[self.images.column] = "string"
        return columns | {name: each.kind for name, each in self.aggregates.items()}

    def validate(self) -> None:
        """Validate the options of both tables, each and together.

        Raises:
            DataError: Naming the setting, the value received and what is allowed.
        """
        self.interactions.validate()
        self.items.validate()
        self.split.validate()
        names = [*self.items.columns]
        if self.images:
            self.images.validate()
            names.append(self.images.column)
        for name, aggregate in self.aggregates.items():
            aggregate.validate(name)
            names.append(name)
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise DataError(
                "A canonical items column must come from one place: data.items.columns, "
                f"data.images or data.aggregates. Received: {', '.join(repeated)} twice"
            )
        if self.split.rule != "random" and not self.interactions.time:
            raise DataError(
                f"The split rule {self.split.rule!r} needs data.interactions.time, the column of "
                "the times. Received: none"
            )


def parse_cut(name: str, text: str) -> int:
    """Parse a cut time.

    Args:
        name: How it is called in the configuration.
        text: An ISO date or time (without a zone: UTC), or a whole number.

    Returns:
        Seconds since 1970, or the number.

    Raises:
        DataError: If it is neither.

    Example:
        >>> parse_cut("data.split.test_from", "1970-01-02")
        86400
    """
    try:
        return int(text)
    except ValueError:
        pass
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise DataError(
            f"{name} must be a date such as 2024-05-31, or seconds since 1970. Received: {text!r}"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return int(moment.timestamp())


def _validate_given(name: str, value: object) -> None:
    if not (isinstance(value, str) and value):
        raise DataError(f"{name} must be given. Received: {value!r}")


def _validate_paths(name: str, value: str | tuple[str, ...]) -> None:
    for path in (value,) if isinstance(value, str) else value:
        _validate_given(name, path)
    if not value:
        raise DataError(f"{name} must be given. Received: {value!r}")
