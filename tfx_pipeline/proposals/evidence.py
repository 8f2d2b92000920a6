"""What the values of one column say: are they times, numbers, lists, vectors, texts?"""

import collections
import contextlib
import dataclasses
import datetime
import re
import statistics
from collections.abc import Sequence
from typing import Any

from tfx_pipeline.datasets import table_values
from tfx_pipeline.datasets.errors import DataError
from tfx_pipeline.datasets.table_options import TIME_FORMATS
from tfx_pipeline.datasets.table_times import parse_time
from tfx_pipeline.proposals.look import Cell

# Share of the values that must be readable for a column to count as numbers, times and so on.
ENOUGH = 0.95

_SLASHED = re.compile(r"(\d{1,2})([/.-])(\d{1,2})[/.-](\d{4})\b")
_SHORT_YEAR = re.compile(r"\d{1,2}[/.-]\d{1,2}[/.-]\d{2}(?!\d)")
_PLAIN_FORMATS = ("iso", "yyyymmdd", "epoch_s", "epoch_ms", "epoch_us")
_SEPARATORS = ("|", ";", ",")
_MIN_VECTOR = 4
_VALUE_WORDS = 3.0
_MARKS = re.compile(r"\d([.,])(\d+)\D*\Z")


@dataclasses.dataclass(frozen=True)
class Numbers:
    """A column of numbers.

    Attributes:
        decimal: The decimal mark.
        values: The numbers that could be read.
        bad: What could not be read.
        why: What the mark was decided by.
    """

    decimal: str
    values: list[float]
    bad: list[Cell]
    why: str


@dataclasses.dataclass(frozen=True)
class Times:
    """A column of times.

    Attributes:
        formats: Formats that occur, out of `table_options.TIME_FORMATS`.
        why: What was decided, and by what.
    """

    formats: tuple[str, ...]
    why: str


def find_numbers(column: str, cells: Sequence[Cell]) -> Numbers | None:
    """Find out whether a column holds numbers; signs of money are allowed.

    Args:
        column: Its name.
        cells: Its values.

    Raises:
        DataError: If the column writes decimals in two ways.
    """
    sample = [cell for cell in cells if not isinstance(cell.value, bool | list | datetime.date)]
    if len(sample) < len(cells) or not cells:
        return None
    decimal, why = _find_decimal(column, cells)
    values, bad = [], []
    for cell in cells:
        try:
            number = table_values.parse_number(cell.value, decimal)
            values += [] if number is None else [number]
        except table_values.BadValueError:
            bad.append(cell)
    return Numbers(decimal, values, bad, why) if len(values) >= ENOUGH * len(cells) else None


def _find_decimal(column: str, cells: Sequence[Cell]) -> tuple[str, str]:
    """Find the decimal mark: the last of two different marks, or one not before three digits."""
    proofs: dict[str, Cell] = {}
    for cell in cells:
        if not isinstance(cell.value, str):
            continue
        found = _MARKS.search(cell.value.strip())
        if not found:
            continue
        mark, other = found[1], "," if found[1] == "." else "."
        is_repeated = cell.value.count(mark) > 1
        if is_repeated:
            proofs.setdefault(other, cell)
        elif len(found[2]) != 3 or other in cell.value:
            proofs.setdefault(mark, cell)
    if len(proofs) == 2 and _is_money(proofs.values()):
        dot, comma = proofs["."], proofs[","]
        raise DataError(
            f"{comma.place}, column {column!r}: decimals are written in two ways. Received: "
            f"{comma.value!r}, and {dot.value!r} in {dot.place}. Write all with one decimal mark."
        )
    if proofs:
        mark, cell = next(iter(proofs.items()))
        return mark, f"decimal mark {mark!r}, as {cell.value!r} shows"
    return ".", "no value shows the decimal mark, taken for '.'"


def _is_money(cells: Any) -> bool:
    """Tell whether all are amounts at all: texts with dots and commas are not."""
    for cell in cells:
        for mark in ".,":
            try:
                table_values.parse_number(cell.value, mark)
                break
            except table_values.BadValueError:
                continue
        else:
            return False
    return True


def find_times(column: str, cells: Sequence[Cell], is_named: bool) -> Times | None:
    """Find out whether a column holds times, and in which formats.

    Args:
        column: Its name.
        cells: Its values.
        is_named: Whether its name speaks of a time; numbers count as times only then.

    Raises:
        DataError: If nearly all values are times and some are not, if two orders of day and month
            occur, or if no value tells the order.
    """
    formats: collections.Counter[str] = collections.Counter()
    slashed, unread = [], []
    for cell in cells:
        if isinstance(cell.value, datetime.date):
            formats["iso"] += 1
        elif isinstance(cell.value, str) and _SLASHED.match(cell.value.strip()):
            slashed.append(cell)
        else:
            word = _find_plain_format(cell.value)
            if word is None or (word != "iso" and not is_named):
                unread.append(cell)
            else:
                formats[word] += 1
    if not cells or len(cells) - len(unread) < ENOUGH * len(cells):
        if cells and is_named and _are_short_years(cells):
            raise DataError(
                f"{cells[0].place}, column {column!r}: the years have two digits. Received: "
                f"{cells[0].value!r}. Write four, so that nobody has to guess the century; or name "
                "another column with --time-column."
            )
        return None
    if unread:
        cell = unread[0]
        raise DataError(
            f"{cell.place}, column {column!r}: this is no time, and {len(cells) - len(unread):,} "
            f"others are. Received: {cell.value!r}. Repair it or leave it empty, or use the "
            "column not at all with --no-time."
        )
    why = []
    if slashed:
        order, reason = _find_order(column, slashed)
        formats[order] += len(slashed)
        why.append(reason)
    words = tuple(word for word, _ in formats.most_common())
    return Times(words, "; ".join([f"times written as {', '.join(words)}", *why]))


def check_time_format(column: str, cells: Sequence[Cell], time_format: str) -> Times:
    """Check that a column's times have the format that somebody says they have.

    Args:
        column: Its name.
        cells: Its values.
        time_format: One of `table_options.TIME_FORMATS`.

    Raises:
        DataError: If a value does not have it.
    """
    for cell in cells:
        try:
            parse_time(cell.value, (time_format,))
        except table_values.BadValueError as error:
            fitting = [word for word in TIME_FORMATS if _has_format(cell.value, word)]
            remedy = f"It has the format {' or '.join(fitting)}" if fitting else "It has none known"
            raise DataError(
                f"{cell.place}, column {column!r}: the time does not have the format of "
                f"--time-format {time_format}. Received: {cell.value!r}. {remedy}; repair it, or "
                "leave --time-format out, and the formats are found."
            ) from error
    return Times((time_format,), f"format {time_format}, as you said")


def _has_format(value: Any, time_format: str) -> bool:
    try:
        return parse_time(value, (time_format,)) is not None
    except table_values.BadValueError:
        return False


def _find_plain_format(value: Any) -> str | None:
    for word in _PLAIN_FORMATS:
        try:
            if parse_time(value, (word,)) is not None:
                return word
        except table_values.BadValueError:
            continue
    return None


def _are_short_years(cells: Sequence[Cell]) -> bool:
    return all(_SHORT_YEAR.match(str(cell.value).strip()) for cell in cells[:100])


def _find_order(column: str, cells: Sequence[Cell]) -> tuple[str, str]:
    """Decide between day first and month first by a number above 12."""
    day_first = month_first = None
    for cell in cells:
        found = _SLASHED.match(cell.value.strip())
        first, second = int(found[1]), int(found[3])
        if first > 12:
            day_first = day_first or cell
        if second > 12:
            month_first = month_first or cell
    if day_first and month_first:
        raise DataError(
            f"{month_first.place}, column {column!r}: day and month stand in both orders. "
            f"Received: {month_first.value!r}, and {day_first.value!r} in {day_first.place}. "
            "Write all dates as 2024-05-31."
        )
    if day_first:
        return "dd/mm/yyyy", f"day first, as {day_first.value!r} shows"
    if month_first:
        return "mm/dd/yyyy", f"month first, as {month_first.value!r} shows"
    cell = cells[0]
    if _SLASHED.match(cell.value.strip())[2] == ".":
        return "dd/mm/yyyy", "day first, as is usual where dots separate; no value shows it"
    raise DataError(
        f"{cell.place}, column {column!r}: every date can be read with the day or with the month "
        f"first. Received: {cell.value!r} and {len(cells) - 1:,} more. Say which with "
        "--time-format dd/mm/yyyy or --time-format mm/dd/yyyy."
    )


def find_vector(cells: Sequence[Cell]) -> tuple[str, int] | None:
    """Find out whether a column holds vectors; returns the separator and their length."""
    if not cells:
        return None
    is_list = isinstance(cells[0].value, list)
    for separator in ("",) if is_list else ("json", " ", ",", ";", "|"):
        sizes: collections.Counter[int] = collections.Counter()
        for cell in cells[:1000]:
            try:
                if is_list and not all(isinstance(x, int | float | None) for x in cell.value):
                    break
                sizes[len(table_values.parse_vector(cell.value, separator) or ())] += 1
            except (table_values.BadValueError, TypeError):
                continue
        size, count = sizes.most_common(1)[0] if sizes else (0, 0)
        if size >= _MIN_VECTOR and count >= 0.9 * len(cells[:1000]):
            return separator, size
    return None


def find_list(cells: Sequence[Cell]) -> str | None:
    """Find out whether a column holds lists of values; returns the separator, None for no list."""
    if isinstance(cells[0].value, list):
        return "" if _are_short(cells, "") else None
    texts = [cell.value for cell in cells if isinstance(cell.value, str)]
    if len(texts) < len(cells):
        return None
    if sum(text.lstrip().startswith("[") for text in texts) >= ENOUGH * len(texts):
        return "json" if _are_short(cells, "json") else None
    if all(set(text) <= set("0123456789 ") for text in texts) and any(" " in t for t in texts):
        return " "
    for separator in _SEPARATORS:
        holding = sum(separator in text for text in texts)
        if holding >= 0.2 * len(texts) and _are_values(texts, separator):
            return separator
    return None


def get_parts(cells: Sequence[Cell], separator: str) -> list[str]:
    """Return the parts of all lists of a column that can be read."""
    parts = []
    for cell in cells:
        # What is no list shows when the tables are read, with its place.
        with contextlib.suppress(table_values.BadValueError):
            parts += table_values.parse_list(cell.value, separator)
    return parts


def _are_short(cells: Sequence[Cell], separator: str) -> bool:
    """Tell values from sentences."""
    parts = get_parts(cells[:1000], separator)
    # The median: shops put a sentence or two among their categories.
    return bool(parts) and statistics.median(len(part.split()) for part in parts) <= _VALUE_WORDS


def _are_values(texts: Sequence[str], separator: str) -> bool:
    """Tell values from clauses: they are short and come again."""
    parts = get_parts([Cell(None, text) for text in texts], separator)
    distinct = len(set(parts))
    words = statistics.fmean(len(part.split()) for part in parts) if parts else 0
    return bool(parts) and words <= _VALUE_WORDS and distinct <= 0.5 * len(parts)


def count_words(cells: Sequence[Cell]) -> float:
    """Compute the mean number of words of a column."""
    return statistics.fmean(len(str(cell.value).split()) for cell in cells)
