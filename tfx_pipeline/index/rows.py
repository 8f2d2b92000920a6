"""Rows of a file of new items: their values, parsed and checked one by one."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from tfx_pipeline.datasets import table_values
from tfx_pipeline.datasets.null_words import is_null_word
from tfx_pipeline.datasets.table_files import Place, shorten
from tfx_pipeline.index.columns import ID, TITLE, FileColumn
from tfx_pipeline.index.outcome import Unreadable

_REPAIR = "Repair it, or leave it empty."
# Of the values of a column that cannot be read, how many are shown.
_SHOWN = 3


@dataclasses.dataclass
class LenientColumn:
    """A column of which what cannot be read counts as missing, and what was found in it.

    Attributes:
        name: Its name in the file.
        count: How many values could not be read.
        given: How many there were, readable or not.
        first: The first few that could not be read, each with its place and what is wrong.
    """

    name: str
    count: int = 0
    given: int = 0
    first: list[str] = dataclasses.field(default_factory=list)

    def add(self, place: Place, value: Any, what: str) -> None:
        """Count a value that cannot be read."""
        self.count += 1
        self.given += 1
        if self.count <= _SHOWN:
            self.first.append(f"{shorten(value)} in {place.unit} {place.number} ({what})")

    def make_summary(self) -> Unreadable:
        """Make the summary of the column."""
        return Unreadable(self.name, self.count, self.given, tuple(self.first))


def parse_row(
    place: Place,
    given: Mapping[str, Any],
    columns: Mapping[str, FileColumn],
    lenient: Mapping[str, LenientColumn],
) -> dict[str, Any]:
    """Parse the values of an item.

    Args:
        place: Where it is.
        given: The values, by the names of their columns in the file.
        columns: The columns to read, by name.
        lenient: Those of which what cannot be read counts as missing; it is counted there.

    Returns:
        The values by canonical name.

    Raises:
        DataError: If a value cannot be read, or the item has no id.
    """
    row: dict[str, Any] = {ID: "", TITLE: None}
    for name, column in columns.items():
        try:
            row[column.name] = _parse(given[name], column)
            if name in lenient:
                lenient[name].given += row[column.name] is not None
        except table_values.BadValueError as error:
            if name in lenient:
                row[column.name] = None
                lenient[name].add(place, given[name], error.what)
                continue
            remedy = _REPAIR if column.kind != "id" else error.remedy
            raise place.error(name, given[name], error.what, remedy) from error
        if column.kind == "id" and row[ID] is None:
            raise place.error(
                name, given[name], "an item needs an id", "Fill it in, or remove the row."
            )
    return row


def _parse(value: Any, column: FileColumn) -> Any:
    parsed = _parse_kind(value, column)
    if not column.nulls:
        return parsed
    if isinstance(parsed, list):
        return [part for part in parsed if not is_null_word(part, column.nulls)]
    return None if isinstance(parsed, str) and is_null_word(parsed, column.nulls) else parsed


def _parse_kind(value: Any, column: FileColumn) -> Any:
    if column.kind == "id":
        return table_values.parse_id(value)
    if column.kind == "number":
        return table_values.parse_number(value, column.decimal)
    if column.kind == "integer":
        return table_values.parse_integer(value, column.decimal)
    if column.kind == "category":
        return table_values.parse_category(value)
    if column.kind == "list":
        return table_values.parse_list(value, _choose_separator(value, column.separator))
    if column.kind == "vector":
        return table_values.parse_vector(value, _choose_separator(value, column.separator, " "))
    return table_values.parse_text(value)


def _choose_separator(value: Any, separator: str, other: str | None = None) -> str:
    """A list in brackets is JSON, whatever stands between the parts of the others."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        return "json"
    if other is not None and isinstance(value, str) and separator not in value:
        return other
    return separator
