"""Looking at a table: an even sample of its rows, column by column."""

import dataclasses
import zlib
from collections.abc import Sequence
from typing import Any

from tfx_pipeline.datasets import table_values
from tfx_pipeline.datasets.errors import DataError
from tfx_pipeline.datasets.table_files import FileInfo, Place, list_files, load_header, load_rows

MAX_ROWS = 200_000


@dataclasses.dataclass(frozen=True)
class Cell:
    """A value and where it stands.

    Attributes:
        place: File and row; None where it is of no interest.
        value: What the file has there.
    """

    place: Place | None
    value: Any


@dataclasses.dataclass(frozen=True)
class TableSample:
    """An even sample of a table's rows.

    Attributes:
        what: `interactions` or `items`.
        files: The files.
        columns: Names of the columns.
        num_rows: Number of rows in the files.
        rows: The rows kept, each a place and the values.
    """

    what: str
    files: tuple[FileInfo, ...]
    columns: tuple[str, ...]
    num_rows: int
    rows: tuple[tuple[Place, tuple[Any, ...]], ...]
    _ids: dict[str, list[str | None]] = dataclasses.field(default_factory=dict, repr=False)
    _cells: dict[str, list[Cell]] = dataclasses.field(default_factory=dict, repr=False)

    @property
    def is_whole(self) -> bool:
        """Whether every row was kept."""
        return len(self.rows) == self.num_rows

    def get_cells(self, column: str) -> list[Cell]:
        """Return the values of a column, those that stand for none left out."""
        if column not in self._cells:
            index = self.columns.index(column)
            self._cells[column] = [
                Cell(place, values[index])
                for place, values in self.rows
                if not is_missing(values[index])
            ]
        return self._cells[column]

    def get_ids(self, column: str) -> list[str | None]:
        """Return the values of a column as ids, None for none and for what can be no id."""
        if column not in self._ids:
            index = self.columns.index(column)
            self._ids[column] = [_try_id(values[index]) for _, values in self.rows]
        return self._ids[column]

    def describe(self) -> str:
        """Return how much was looked at."""
        if self.is_whole:
            return f"all {self.num_rows:,} rows"
        return f"an even sample of {len(self.rows):,} out of {self.num_rows:,} rows"


def load_sample(
    paths: Sequence[str], what: str, max_rows: int = MAX_ROWS, key: str = ""
) -> TableSample:
    """Load an even sample of a table; all rows are read and at most `max_rows` are kept.

    Args:
        paths: Files or globs.
        what: What the table is, for messages.
        max_rows: How many rows to keep.
        key: A column of ids: rows are then kept or left out by id, so that whoever is in the sample
            is there with all rows.

    Raises:
        DataError: If a file is missing or damaged, or the files have different columns.
    """
    files = tuple(list_files(paths, what))
    columns = _load_columns(files)
    index = columns.index(key) if key else -1
    kept: list[tuple[int, tuple[Place, tuple[Any, ...]]]] = []
    step, number = 1, 0
    for file in files:
        for row in load_rows(file.path, columns):
            bucket = zlib.crc32(str(row[1][index]).encode()) if key else number
            number += 1
            if bucket % step == 0:
                kept.append((bucket, row))
            if len(kept) > max_rows:
                step *= 2
                kept = [pair for pair in kept if pair[0] % step == 0]
    if not number:
        raise DataError(
            f"The {what} have no rows. Received: {', '.join(file.path for file in files)}. Give "
            "files with a header and at least one row."
        )
    return TableSample(what, files, columns, number, tuple(row for _, row in kept))


def load_ids(paths: Sequence[str], what: str, column: str) -> set[str]:
    """Load all ids of a column."""
    found: set[str] = set()
    for file in list_files(paths, what):
        for _, (value,) in load_rows(file.path, (column,)):
            text = _try_id(value)
            if text is not None:
                found.add(text)
    return found


def is_missing(value: Any) -> bool:
    """Tell whether a value stands for none."""
    if isinstance(value, str):
        return table_values.is_null(value)
    if isinstance(value, float):
        return value != value
    return value is None or (isinstance(value, list) and not value)


def _load_columns(files: Sequence[FileInfo]) -> tuple[str, ...]:
    first = load_header(files[0].path)
    for file in files[1:]:
        header = load_header(file.path)
        if set(header) != set(first):
            differing = ", ".join(sorted(set(header) ^ set(first)))
            raise DataError(
                f"{file.path}: the columns differ from those of {files[0].path}. Received: "
                f"{differing} in one of them only. Files of one table must have the same columns."
            )
    return first


def _try_id(value: Any) -> str | None:
    try:
        return table_values.parse_id(value)
    except (table_values.BadValueError, OverflowError):
        return None
