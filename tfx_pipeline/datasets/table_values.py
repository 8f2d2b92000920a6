"""Single values of other people's tables: ids, numbers, lists, vectors, texts.

Each parser takes what a CSV or Parquet file holds and returns the canonical value, None where there
is none; what it cannot read it refuses with `BadValueError`, which says why and what to do. The
caller adds file, row and column.
"""

import ast
import decimal
import json
import math
import re
import unicodedata
from collections.abc import Iterable
from typing import Any

# How files write "no value", beside leaving the field empty. `NA` is none of them for ids: it may
# be one (Namibia's code is).
_NULL_IDS = frozenset(("", "nan", "NaN", "null", "NULL", "None", "\\N", "#N/A", "N/A", "<NA>"))
_NULLS = _NULL_IDS | {"NA", "n/a", "na", "-", "--", "none", "nil", "?", "[]", "{}"}
MAX_ID_LENGTH = 1000

_SPREADSHEET = re.compile(r"\d\.\d+[eE]\+\d+\Z")
_DIGITS_WITH_ZERO = re.compile(r"-?\d+\.0\Z")
# A plain number, as programs write it.
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\Z")
# Signs and codes of money; any other letters beside digits make a code of their own, no amount.
_CODES = (
    "AED ARS AUD BGN BRL CAD CHF CLP CNY COP CZK DKK EGP EUR GBP HKD HUF IDR ILS INR JPY KRW MXN "
    "MYR NGN NOK NZD PEN PHP PLN RON RUB SAR SEK SGD THB TRY TWD UAH USD VND ZAR Kč Ft lei лв руб "
    "zł zl kr Rs Rp RM Fr"
)
_CURRENCY = (
    rf"(?:(?:US|CA|AU|NZ|HK|C|A|S|R)?[$€£¥¢₹₽₩₺₴₫₪฿₦₱₡₲₵₸₿₼₾﷼]|(?:{'|'.join(_CODES.split())})\.?)"
)
_AMOUNT = re.compile(
    rf"(?:{_CURRENCY}\s*)?([+-]?)\s*(?:{_CURRENCY}\s*)?([\d.,'’\s]*\d[.,]?)\s*"
    rf"(?:{_CURRENCY}|%)?(?:\s*{_CURRENCY})?\Z",
    re.IGNORECASE,
)
# The last group has three digits; those before it two in India, three elsewhere.
_GROUPED = {
    ".": re.compile(r"\d{1,3}(?:[,'’ ]\d{2,3})*[,'’ ]\d{3}(\.\d*)?\Z"),
    ",": re.compile(r"\d{1,3}(?:[.'’ ]\d{2,3})*[.'’ ]\d{3}(,\d*)?\Z"),
}


class BadValueError(ValueError):
    """Raised where a value cannot be read.

    Args:
        what: What is wrong, a clause without a full stop.
        remedy: What to do, one sentence.
    """

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy


def parse_id(value: Any) -> str | None:
    """Parse an id: whole numbers and their texts give the same, in whatever type they come.

    Args:
        value: Any scalar of a CSV or Parquet file.

    Returns:
        The id, in Unicode's composed form and without blanks around it; None for none.

    Raises:
        BadValueError: If digits were lost before, or the id cannot be one.

    Example:
        >>> [parse_id(value) for value in (123, "123", 123.0, "123.0", " 123 ", "0123")]
        ['123', '123', '123', '123', '123', '0123']
    """
    if isinstance(value, str):
        return _parse_text_id(value)
    if value is None:
        return None
    if isinstance(value, float | decimal.Decimal):
        if decimal.Decimal(value).is_nan():
            return None
        if math.isinf(value):
            raise BadValueError("infinity is no id", "Repair it, or leave it empty.")
        if value != int(value):
            raise BadValueError("a number with a fraction is no id", "Name the column of the ids.")
        if isinstance(value, float) and abs(value) >= 2**53:
            raise BadValueError(
                "a floating-point number this large has lost digits of the id",
                "Write the column again as text or as whole numbers.",
            )
        return str(int(value))
    if isinstance(value, bytes):
        try:
            return _parse_text_id(value.decode("utf-8"))
        except UnicodeDecodeError:
            raise BadValueError("the id is not UTF-8", "Write the ids as text.") from None
    if isinstance(value, list | dict):
        raise BadValueError("a list is no id", "Name the column of the ids.")
    return str(value)


def _parse_text_id(text: str) -> str | None:
    text = text.strip()
    if text in _NULL_IDS:
        return None
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    if len(text) > MAX_ID_LENGTH:
        raise BadValueError(
            f"an id may have {MAX_ID_LENGTH} characters and this one has {len(text)}",
            "Name the column of the ids; this one seems to hold texts.",
        )
    if not text.isprintable():
        raise BadValueError("the id has control characters", "Remove them from the file.")
    if _DIGITS_WITH_ZERO.match(text):
        return text[:-2]
    if _SPREADSHEET.match(text):
        raise BadValueError(
            "the id is in scientific notation, as spreadsheets write long numbers: its last digits "
            "are lost",
            "Export the table again with the column formatted as text.",
        )
    return text


def is_null(text: str) -> bool:
    """Tell whether a text stands for no value."""
    return text.strip() in _NULLS


def parse_text(value: Any) -> str | None:
    """Parse a text; what is empty or blank is none."""
    if value is None:
        return None
    if isinstance(value, list):
        return " ".join(filter(None, map(parse_text, value))) or None
    if isinstance(value, float):
        return None if math.isnan(value) else parse_id(value) if value.is_integer() else str(value)
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    text = str(value).replace("\x00", "").strip()
    return None if not text or text in _NULL_IDS else unicodedata.normalize("NFC", text)


def parse_category(value: Any) -> str | None:
    """Parse one value out of a few, such as a brand; 5 and 5.0 are the same."""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = parse_text(value)
    if text is None or text in _NULLS:
        return None
    text = " ".join(text.split())
    return text[:-2] if _DIGITS_WITH_ZERO.match(text) else text


def parse_number(value: Any, mark: str = ".") -> float | None:
    """Parse a number, with currency signs and separated thousands where there are any.

    Args:
        value: Any scalar of a CSV or Parquet file.
        mark: The decimal mark, `.` or `,`; the other one, blanks and apostrophes separate
            thousands.

    Returns:
        The number, None for none.

    Raises:
        BadValueError: If it is no finite number.

    Example:
        >>> [parse_number(text) for text in ("$1,234.50", "USD 7", "(3.20)", "15 %", "")]
        [1234.5, 7.0, -3.2, 15.0, None]
        >>> parse_number("1.234,50 €", ",")
        1234.5
    """
    if value is None:
        return None
    if isinstance(value, int | float | decimal.Decimal):
        number = float(value)
        if math.isinf(number):
            raise BadValueError("infinity is no value", "Repair it or leave it empty.")
        return None if math.isnan(number) else number
    if not isinstance(value, str):
        raise BadValueError("this is no number", "Name a column of numbers.")
    text = value.strip().replace("\u00a0", " ").replace("\u202f", " ").replace("\u2212", "-")
    if text in _NULLS:
        return None
    if mark == "." and NUMBER.match(text):
        return float(text)
    return _parse_amount(text, mark)


def _parse_amount(text: str, mark: str) -> float:
    """Parse an amount of money."""
    negative = text.startswith("(") and text.endswith(")")
    found = _AMOUNT.match(text[1:-1].strip() if negative else text)
    if not found:
        raise BadValueError(
            "this is no number",
            'Repair it, or set unreadable = "missing" for the column to count such values as '
            "missing.",
        )
    sign, digits = found[1], found[2].strip()
    if not re.fullmatch(rf"\d*{re.escape(mark)}?\d*", digits):
        other = "," if mark == "." else "."
        if not _GROUPED[mark].match(digits):
            raise BadValueError(
                f"the number does not fit the decimal mark {mark!r}",
                f'Repair it, or set decimal = "{other}" for the column where the whole column is '
                "written so.",
            )
        digits = re.sub(rf"[{other}'’ ]", "", digits)
    number = float(digits.replace(mark, "."))
    return -number if negative or sign == "-" else number


def parse_integer(value: Any, mark: str = ".") -> int | None:
    """Parse a whole number; see `parse_number`."""
    number = parse_number(value, mark)
    if number is None:
        return None
    if number != int(number) or abs(number) >= 2**53:
        raise BadValueError(
            "this is no whole number", 'Repair it, or set kind = "number" for the column.'
        )
    return int(number)


def parse_list(value: Any, separator: str = "") -> list[str]:
    """Parse a list of values; repeated ones count once, in the order they come.

    Args:
        value: A list, or a text that holds one.
        separator: What stands between the parts of a text, or `json` for `["a", "b"]`.

    Raises:
        BadValueError: If a text that should be JSON is not.

    Example:
        >>> parse_list("red | blue|red|", "|"), parse_list("['a', 'b']", "json")
        (['red', 'blue'], ['a', 'b'])
    """
    if isinstance(value, str):
        if separator == "json" and value.strip():
            value = _parse_json(value)
        else:
            value = value.split(separator) if separator else [value]
    parts = value if isinstance(value, list) else [value]
    return list(dict.fromkeys(filter(None, map(parse_category, _flatten(parts)))))


def parse_vector(value: Any, separator: str = "") -> list[float] | None:
    """Parse a vector of numbers.

    Args:
        value: A list of numbers, or a text that holds one.
        separator: What stands between the numbers of a text, or `json`.

    Raises:
        BadValueError: If a part is no number. NaN is one: the vector is then masked later, and
            listed.
    """
    if value is None or (isinstance(value, str) and value.strip() in _NULLS):
        return None
    if isinstance(value, str):
        text = value.strip()
        parts = _parse_json(text) if separator == "json" else text.split(separator.strip() or None)
    else:
        parts = value
    try:
        return [float("nan") if part is None else float(part) for part in parts]
    except (TypeError, ValueError):
        raise BadValueError(
            "this is no vector of numbers",
            'Repair it, or set unreadable = "missing" for the column to count such values as '
            "missing.",
        ) from None


def _parse_json(text: str) -> Any:
    """Parse JSON, or the way in which Python prints a list."""
    if text.lstrip().startswith("["):
        for parse in (json.loads, ast.literal_eval):
            try:
                return parse(text.strip())
            except (ValueError, SyntaxError, RecursionError, MemoryError):
                continue
    raise BadValueError(
        "this is no list in JSON", "Repair it, or set the column's separator to what stands there."
    )


def _flatten(parts: Iterable[Any]) -> Iterable[Any]:
    for part in parts:
        if isinstance(part, list | tuple):
            yield from _flatten(part)
        else:
            yield part
