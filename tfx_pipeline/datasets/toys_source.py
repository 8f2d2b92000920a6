"""Source files of Amazon Toys and Games: the parsing of their rows."""

import pathlib
from typing import Any

from tfx_pipeline.datasets.csv_tables import CsvRow, load_csv_rows
from tfx_pipeline.datasets.null_words import NULL_WORDS, is_null_word
from tfx_pipeline.datasets.splits import compute_bucket

TRAIN, TEST, ITEMS = "train.csv", "test.csv", "items.csv"

PAIR_COLUMNS = ("userID", "itemID", "asin")
ITEM_COLUMNS = ("asin", "brand_id", "category_id", "category_path_ids", "keywords")

# The brand that the authors gave to items without one.
_NO_BRAND = NULL_WORDS["toys"]["brand"]
_VALIDATION_BUCKET = 0


def assign_split(file: str, user_id: str, item_id: str) -> str:
    """Assign a pair to a split: the authors' own, and of their training pairs a tenth to validate.

    Args:
        file: Name of the file that has the pair.
        user_id: Id of the user.
        item_id: Id of the item.

    Returns:
        `test` for `test.csv`; for `train.csv` `validation` where the pair's bucket is 0, else
        `train`.

    Example:
        >>> assign_split("test.csv", "0", "263")
        'test'
    """
    if file == TEST:
        return "test"
    return "validation" if compute_bucket(user_id, item_id) == _VALIDATION_BUCKET else "train"


def parse_pair(row: CsvRow) -> tuple[str, str, str]:
    """Parse a row of `train.csv` or `test.csv`.

    Args:
        row: The row, with `PAIR_COLUMNS`.

    Returns:
        User, item and the item's asin.

    Raises:
        DataError: If one of them is empty.
    """
    for column, value in zip(PAIR_COLUMNS, row.values, strict=True):
        if not value:
            raise row.error(column, "a pair needs a user, an item and an asin", value)
    user_id, item_id, asin = row.values
    return user_id, item_id, asin


def parse_item(row: CsvRow) -> tuple[str, dict[str, Any]]:
    """Parse a row of `items.csv`.

    Args:
        row: The row, with `ITEM_COLUMNS`.

    Returns:
        The asin, and the item without `item_id` and `popularity`. There are no titles; the keywords
        are what a person recognises an item by.

    Raises:
        DataError: If there is no asin, or a brand or category is not a number.
    """
    asin, brand, category, path, keywords = map(str.strip, row.values)
    if not asin:
        raise row.error("asin", "an item needs an asin", asin)
    brand = _parse_number(row, "brand_id", brand)
    return asin, {
        "title": keywords or None,
        "keywords": keywords or None,
        "asin": asin,
        "brand": None if is_null_word(brand or "", _NO_BRAND) else brand,
        "category": _parse_number(row, "category_id", category),
        "category_path": path.split(),
    }


def validate_source(train: pathlib.Path, test: pathlib.Path, items: pathlib.Path) -> None:
    """Validate every row of the three files, and that they belong together.

    Args:
        train: `train.csv`.
        test: `test.csv`.
        items: `items.csv`.

    Raises:
        DataError: At the first row that is wrong, naming file, line, column and value.
    """
    pairs: dict[tuple[str, str], tuple[str, int]] = {}
    asins: dict[str, str] = {}
    for path in (train, test):
        for row in load_csv_rows(path, PAIR_COLUMNS):
            user_id, item_id, asin = parse_pair(row)
            before = pairs.setdefault((user_id, item_id), (row.path, row.line))
            if before != (row.path, row.line):
                # Twice in one file it counts double, in both it is trained and tested on.
                raise row.error(
                    "itemID",
                    f"user {user_id} has the item in {before[0]}, line {before[1]}, already",
                    item_id,
                    "Keep one of the lines.",
                )
            if asins.setdefault(item_id, asin) != asin:
                raise row.error(
                    "asin", f"the item {item_id} has the asin {asins[item_id]} elsewhere", asin
                )
    _validate_items(items)


def _validate_items(path: pathlib.Path) -> None:
    lines: dict[str, int] = {}
    for row in load_csv_rows(path, ITEM_COLUMNS):
        asin, _ = parse_item(row)
        if asin in lines:
            what = f"the item stands in line {lines[asin]} already"
            raise row.error("asin", what, asin, "Keep one of the lines.")
        lines[asin] = row.line


def _parse_number(row: CsvRow, column: str, text: str) -> str | None:
    """Parse the number of a brand or category, `61` or `61.0`, to a text without the fraction."""
    if not text:
        return None
    whole = text.removesuffix(".0")
    if not (whole.isascii() and whole.isdigit()):
        raise row.error(column, "not a whole number, and not empty", text)
    return whole
