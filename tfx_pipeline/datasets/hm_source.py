"""Source files of H&M: the parsing of their rows, and the state of the photos."""

import collections
import datetime
import hashlib
import math
import os
import pathlib
from collections.abc import Iterator
from typing import Any

from tfx_pipeline.datasets.csv_tables import CsvRow, load_csv_rows
from tfx_pipeline.datasets.null_words import NULL_WORDS, is_null_word

ARTICLES, PURCHASES, IMAGES = "articles.csv", "transactions_train.csv", "images"

ARTICLE_COLUMNS = (
    "article_id",
    "prod_name",
    "detail_desc",
    "section_name",
    "product_type_name",
    "colour_group_name",
)
PURCHASE_COLUMNS = ("t_dat", "customer_id", "article_id", "price")

_NULL_WORDS = NULL_WORDS["hm"]


def parse_article(row: CsvRow, images: str) -> dict[str, Any]:
    """Parse a row of `articles.csv`.

    Args:
        row: The row, with `ARTICLE_COLUMNS`.
        images: Folder of the photos.

    Returns:
        The item without what is computed from purchases. `image` is where the photo has to be; the
        encoder lists those that are not there.

    Raises:
        DataError: If the article has no id.
    """
    article_id, name, description, section, product_type, colour = map(str.strip, row.values)
    if not article_id:
        raise row.error("article_id", "an article needs an id", article_id)
    return {
        "item_id": article_id,
        "title": _known("title", name),
        "text": ". ".join(part for part in (name.rstrip("."), description) if part) or None,
        "image": os.path.join(images, article_id[:3], f"{article_id}.jpg"),
        "section": _known("section", section),
        "product_type": _known("product_type", product_type),
        "colour": _known("colour", colour),
    }


def parse_purchase(row: CsvRow) -> tuple[tuple[str, str], tuple[int, float]]:
    """Parse a row of `transactions_train.csv`.

    Args:
        row: The row, with `PURCHASE_COLUMNS`.

    Returns:
        The pair (customer, article) and (midnight of the day in seconds since 1970, price).

    Raises:
        DataError: If an id is empty, the day is not a date, or the price not a positive number.
    """
    day, customer_id, article_id, price = row.values
    if not customer_id:
        raise row.error("customer_id", "a purchase needs a customer", customer_id)
    if not article_id:
        raise row.error("article_id", "a purchase needs an article", article_id)
    return (customer_id, article_id), (_parse_day(row, day), _parse_price(row, price))


def validate_source(articles: pathlib.Path, purchases: pathlib.Path) -> None:
    """Validate every row of both files, before a runner wraps the errors in its own.

    Args:
        articles: `articles.csv`.
        purchases: `transactions_train.csv`.

    Raises:
        DataError: At the first row that is wrong, naming file, line, column and value.
    """
    lines: dict[str, int] = {}
    for row in load_csv_rows(articles, ARTICLE_COLUMNS):
        item_id = parse_article(row, "")["item_id"]
        if item_id in lines:
            raise row.error(
                "article_id",
                f"the article stands in line {lines[item_id]} already",
                item_id,
                "Keep one of the lines.",
            )
        lines[item_id] = row.line
    rows = load_csv_rows(purchases, PURCHASE_COLUMNS)
    collections.deque((parse_purchase(row) for row in rows), maxlen=0)


def compute_images_fingerprint(folder: str | os.PathLike) -> str:
    """Compute a fingerprint of all photos from their names, sizes and times of change.

    Reading the contents would take minutes for a large catalogue.

    Args:
        folder: The folder of the photos.

    Returns:
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for name, size, changed in sorted(_list_images(folder, "")):
        digest.update(f"{name}\x1f{size}\x1f{changed}\x1e".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _list_images(folder: str | os.PathLike, prefix: str) -> Iterator[tuple[str, int, int]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _list_images(entry.path, f"{prefix}{entry.name}/")
            else:
                found = entry.stat()
                yield f"{prefix}{entry.name}", found.st_size, found.st_mtime_ns


def _known(column: str, text: str) -> str | None:
    return None if is_null_word(text, _NULL_WORDS[column]) else text


def _parse_day(row: CsvRow, text: str) -> int:
    try:
        day = datetime.date.fromisoformat(text)
    except ValueError:
        raise row.error("t_dat", "not a date such as 2020-09-22", text) from None
    return (day - datetime.date(1970, 1, 1)).days * 86_400


def _parse_price(row: CsvRow, text: str) -> float:
    try:
        price = float(text)
    except ValueError:
        raise row.error("price", "not a number", text) from None
    if not (price > 0 and math.isfinite(price)):
        raise row.error("price", "not a positive number", text)
    return price
