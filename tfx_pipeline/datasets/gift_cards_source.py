"""Source files of Amazon Gift Cards: the parsing of reviews and products, with all their gaps."""

import collections
import html
import pathlib
import re
from collections.abc import Iterable
from typing import Any

from tfx_pipeline.datasets.json_lines import JsonRow, load_json_rows

REVIEWS, PRODUCTS = "Gift_Cards_5.json.gz", "meta_Gift_Cards.json.gz"

# A review of 4 or 5 stars is an interaction, as a rating is in `movielens`.
MINIMUM_RATING = 4.0

_AMOUNT = r"\$\s*(\d{1,3}(?:,\d{3})+|\d+)(\.\d+)?"
_PRICE = re.compile(rf"{_AMOUNT}(?:\s*-\s*{_AMOUNT})?\Z")
_RANK = re.compile(r"#?\s*([\d,]*\d)\s+in\s")
_TAG = re.compile(r"<(style|script)\b.*?</\1\s*>|<[^>]*>", re.DOTALL | re.IGNORECASE)
# `category` goes on with selling points and rests of markup; the first two are the category.
_CATEGORY_LEVELS = 2


def parse_review(row: JsonRow) -> tuple[tuple[str, str], tuple[int, int, str]] | None:
    """Parse a review.

    Args:
        row: A line of the reviews.

    Returns:
        The pair (user, item) and (seconds since 1970, line, text), or None for a review of fewer
        than 4 stars.

    Raises:
        DataError: If an id, the rating or the time is missing or of another type.
    """
    user_id, item_id = _get_id(row, "reviewerID"), _get_id(row, "asin")
    rating, seconds = row.values.get("overall"), row.values.get("unixReviewTime")
    if isinstance(rating, bool) or not isinstance(rating, int | float) or not 1 <= rating <= 5:
        raise row.error("overall", "the rating is not a number from 1 to 5")
    if isinstance(seconds, bool) or not isinstance(seconds, int):
        raise row.error("unixReviewTime", "the time is not a whole number of seconds")
    if rating < MINIMUM_RATING:
        return None
    return (user_id, item_id), (seconds, row.line, clean_text(row.values.get("reviewText")))


def parse_product(row: JsonRow) -> tuple[str, tuple[int, dict[str, Any]]]:
    """Parse a product.

    Args:
        row: A line of the metadata.

    Returns:
        The asin, and (line, columns); a column without a value is None or empty.

    Raises:
        DataError: If there is no asin.
    """
    values = row.values
    title = clean_text(values.get("title"))
    description = clean_text(values.get("description")) or clean_text(values.get("feature"))
    return _get_id(row, "asin"), (
        row.line,
        {
            "title": title or None,
            "text": ". ".join(part for part in (title.rstrip("."), description) if part) or None,
            "price": parse_price(values.get("price")),
            "brand": clean_text(values.get("brand")) or None,
            "categories": parse_categories(values.get("category")),
            "rank": parse_rank(values.get("rank")),
        },
    )


def merge_products(products: Iterable[tuple[int, dict[str, Any]]]) -> dict[str, Any]:
    """Merge the lines that a product has: the first value of each column, in the file's order.

    Args:
        products: (line, columns) of each.

    Returns:
        The columns.

    Example:
        >>> merge_products([(9, {"brand": "b", "price": 2.0}), (4, {"brand": "a", "price": None})])
        {'brand': 'a', 'price': 2.0}
    """
    merged: dict[str, Any] = {}
    for _, columns in sorted(products, key=lambda product: product[0]):
        for name, value in columns.items():
            if merged.get(name) in (None, []):
                merged[name] = value
    return merged


def parse_price(value: Any) -> float | None:
    """Parse a price in US dollars.

    Args:
        value: The field, such as `$25.00` or `$1,000.00 - $2,000.00`.

    Returns:
        The price, the lower one of a range; None for anything else: nothing, other currencies, a
        piece of a page.

    Example:
        >>> parse_price("$1,000.00"), parse_price("$10.00 - $25.00"), parse_price(".a-box{color}")
        (1000.0, 10.0, None)
    """
    match = _PRICE.match(value.strip()) if isinstance(value, str) else None
    return float(match[1].replace(",", "") + (match[2] or "")) if match else None


def parse_rank(value: Any) -> int | None:
    """Parse a sales rank.

    Args:
        value: The field: `1,786 in Gift Cards (`, or a list of `>#1,019 in Toys & Games (...)`,
            of which the first is the rank in the main category.

    Returns:
        The rank, from 1; None where there is none.

    Example:
        >>> parse_rank("1,786 in Gift Cards ("), parse_rank([">#19 in Toys"]), parse_rank([])
        (1786, 19, None)
    """
    texts = value if isinstance(value, list) else [value]
    match = _RANK.search(texts[0]) if texts and isinstance(texts[0], str) else None
    return int(match[1].replace(",", "")) if match else None


def parse_categories(value: Any) -> list[str]:
    """Parse a path of categories: its first two levels, each once, without markup.

    Args:
        value: The field.

    Returns:
        The categories, sorted.

    Example:
        >>> parse_categories(["Gift Cards", "Gift Cards", "Variety of designs for any occasion."])
        ['Gift Cards']
    """
    levels = value[:_CATEGORY_LEVELS] if isinstance(value, list) else []
    return sorted({text for text in map(clean_text, levels) if text})


def clean_text(value: Any) -> str:
    """Clean a text: no markup, no character references, single spaces.

    Args:
        value: A text or a list of texts, which are joined; other values count as none.

    Returns:
        The text, `""` where there is none.

    Example:
        >>> clean_text("Father&#39;s <b>Day</b><br> Card")
        "Father's Day Card"
    """
    if isinstance(value, list):
        return " ".join(dict.fromkeys(part for part in map(clean_text, value) if part))
    if not isinstance(value, str):
        return ""
    # References are resolved last, so that `&lt;b&gt;` is text and not a tag.
    return " ".join(html.unescape(_TAG.sub(" ", value)).split())


def validate_source(reviews: pathlib.Path, products: pathlib.Path) -> None:
    """Validate every line of both files, before a runner wraps the errors in its own.

    Args:
        reviews: The reviews.
        products: The metadata.

    Raises:
        DataError: At the first line that is wrong, naming file, line, field and value.
    """
    collections.deque((parse_review(row) for row in load_json_rows(reviews)), maxlen=0)
    collections.deque((parse_product(row) for row in load_json_rows(products)), maxlen=0)


def _get_id(row: JsonRow, field: str) -> str:
    value = row.values.get(field)
    if not isinstance(value, str) or not value.strip():
        raise row.error(field, "not an id")
    return value.strip()
