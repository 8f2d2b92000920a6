"""Times of other people's tables, in the formats that are in use."""

import datetime
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

from tfx_pipeline.datasets.table_values import NUMBER, BadValueError, is_null

_SLASHED = re.compile(
    r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})(?:[ T,]+(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?"
    r"\s*([AaPp][Mm])?)?\Z"
)
_EPOCHS = {"epoch_s": 1, "epoch_ms": 1000, "epoch_us": 1_000_000}
# 1970-04-26 to 2128: outside, a number is in another unit or no time at all.
_EPOCH_RANGE = (10_000_000, 5_000_000_000)


def parse_time(value: Any, formats: Sequence[str]) -> int | None:
    """Parse a time in the first of some formats that it has.

    Args:
        value: A text, number, date or time. Without a zone it is taken for UTC.
        formats: Out of `table_options.TIME_FORMATS`.

    Returns:
        Seconds since 1970 (the number itself for the format `number`); None for none.

    Raises:
        BadValueError: If it has none of the formats.

    Example:
        >>> parse_time("2021-02-03T04:05:06Z", ["iso"]), parse_time("1612325106000", ["epoch_ms"])
        (1612325106, 1612325106)
        >>> parse_time("03/02/2021 04:05", ["iso", "dd/mm/yyyy"])
        1612325100
    """
    if isinstance(value, datetime.date):
        return _to_seconds(value)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    text = value.strip() if isinstance(value, str) else str(value)
    if is_null(text):
        return None
    for word in formats:
        seconds = _PARSERS[word](text)
        if seconds is not None:
            return seconds
    raise BadValueError(
        f"the time has none of the formats {', '.join(formats)}",
        "Repair it, or add its format to time_formats.",
    )


def _to_seconds(moment: datetime.date) -> int:
    if not isinstance(moment, datetime.datetime):
        moment = datetime.datetime(moment.year, moment.month, moment.day)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return math.floor(moment.timestamp())


def _parse_iso(text: str) -> int | None:
    # Digits alone are an ISO date to Python, and a number to everybody else.
    if text.isdigit():
        return None
    try:
        return _to_seconds(datetime.datetime.fromisoformat(text.removesuffix(" UTC")))
    except ValueError:
        return None


def _parse_compact(text: str) -> int | None:
    try:
        return _to_seconds(datetime.datetime.strptime(text, "%Y%m%d")) if len(text) == 8 else None
    except ValueError:
        return None


def _parse_epoch(text: str, unit: int) -> int | None:
    if not NUMBER.match(text):
        return None
    seconds = float(text) / unit
    low, high = _EPOCH_RANGE
    return math.floor(seconds) if low <= seconds <= high else None


def _parse_slashed(text: str, is_day_first: bool) -> int | None:
    found = _SLASHED.match(text)
    if not found:
        return None
    first, second, year = (int(part) for part in found.group(1, 2, 3))
    day, month = (first, second) if is_day_first else (second, first)
    hour, minute, second = (int(part or 0) for part in found.group(4, 5, 6))
    if found[7]:
        hour = hour % 12 + (12 if found[7].lower() == "pm" else 0)
    try:
        return _to_seconds(datetime.datetime(year, month, day, hour, minute, second))
    except ValueError:
        return None


def _parse_plain_number(text: str) -> int | None:
    return int(float(text)) if NUMBER.match(text) and float(text).is_integer() else None


_PARSERS: dict[str, Callable[[str], int | None]] = {
    "iso": _parse_iso,
    **{
        word: lambda text, unit=unit: _parse_epoch(text, unit)  # type: ignore[misc]
        for word, unit in _EPOCHS.items()
    },
    "dd/mm/yyyy": lambda text: _parse_slashed(text, True),
    "mm/dd/yyyy": lambda text: _parse_slashed(text, False),
    "yyyymmdd": _parse_compact,
    "number": _parse_plain_number,
}
