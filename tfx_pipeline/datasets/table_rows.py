"""Rows of other people's tables: from a file's values to canonical rows, one per pair or item."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from apache_beam.metrics import Metrics
from apache_beam.pvalue import TaggedOutput

from tfx_pipeline.datasets import table_values
from tfx_pipeline.datasets.errors import DataError
from tfx_pipeline.datasets.splits import AUXILIARY
from tfx_pipeline.datasets.table_files import Place, load_rows
from tfx_pipeline.datasets.table_options import (
    InteractionsTable,
    ItemColumn,
    ItemsTable,
    Split,
    TableOptions,
)
from tfx_pipeline.datasets.table_photos import find_photo, name_photo
from tfx_pipeline.datasets.table_splits import compute_split_by_time
from tfx_pipeline.datasets.table_times import parse_time

# Namespace of the Beam counters of what was left out.
COUNTERS = "addrl/tables"


def read_interactions(path: str, tables: TableOptions) -> Iterator[tuple[Any, Any]]:
    """Read the interactions of one file.

    Args:
        path: The file.
        tables: The options.

    Yields:
        `((user_id, item_id), (place, timestamp, weight, values))`; of low ratings, where they are
        kept, as the tagged output `AUXILIARY`.

    Raises:
        DataError: If a value cannot be read, or is missing where that is refused.
    """
    table = tables.interactions
    needs_time = tables.split.rule != "random"
    roles = [table.user, table.item]
    roles += [name for name in (table.time, table.rating, table.weight) if name]
    extra = list(dict.fromkeys(each.column for each in tables.aggregates.values() if each.column))
    for place, values in load_rows(path, roles + extra):
        given = dict(zip(roles + extra, values, strict=True))
        user = place.parse(table.user, given[table.user], table_values.parse_id)
        item = place.parse(table.item, given[table.item], table_values.parse_id)
        moment = weight = rating = None
        if table.time:
            moment = place.parse(table.time, given[table.time], parse_time, table.time_formats)
        if table.rating:
            rating = _parse_number(place, given, table.rating, table.decimal)
        if table.weight:
            weight = _parse_number(place, given, table.weight, table.decimal)
        needed = {table.user: user, table.item: item}
        needed |= {table.time: moment} if needs_time else {}
        needed |= {table.rating: rating} if table.rating else {}
        missing = [name for name, value in needed.items() if value is None]
        if missing:
            _leave_out(place, given, missing[0], "data.interactions.missing", table.missing)
            continue
        is_low = rating is not None and rating < table.min_rating
        if is_low and not table.keeps_low_ratings:
            continue
        numbers = tuple(_parse_number(place, given, name, table.decimal) for name in extra)
        pair = (user, item), (tuple(place), moment, weight, numbers)
        yield TaggedOutput(AUXILIARY, pair) if is_low else pair


def read_items(
    path: str, tables: TableOptions, photos: Mapping[str, str]
) -> Iterator[tuple[str, tuple[tuple[Any, ...], dict[str, Any]]]]:
    """Read the items of one file.

    Args:
        path: The file.
        tables: The options.
        photos: Path of each photo, by the names that `table_photos.index_photos` gives it.

    Yields:
        `(item_id, (place, row))`.

    Raises:
        DataError: If a value cannot be read, or an id is missing where that is refused.
    """
    table, images = tables.items, tables.images
    sources = {name: column.source or name for name, column in table.columns.items()}
    names = [table.id, table.title, *sources.values(), images.match if images else ""]
    wanted = list(dict.fromkeys(filter(None, names)))
    for place, values in load_rows(path, wanted):
        given = dict(zip(wanted, values, strict=True))
        item = place.parse(table.id, given[table.id], table_values.parse_id)
        if item is None:
            _leave_out(place, given, table.id, "data.items.missing", table.missing)
            continue
        title = _parse_text(place, given, table.title)
        row = {"item_id": item, "title": title}
        for name, column in table.columns.items():
            row[name] = parse_column(place, sources[name], given[sources[name]], column)
        if images:
            row[images.column] = (
                name_photo(photos, images.directory, _parse_text(place, given, images.match))
                if images.match
                else find_photo(photos, item)
            )
        yield item, (tuple(place), row)


def parse_column(place: Place, name: str, value: Any, column: ItemColumn) -> Any:
    """Parse a value of an items column into what the canonical column holds.

    Args:
        place: Where it is.
        name: Name of the column in the file.
        value: The value as the file has it.
        column: What the column is.

    Raises:
        DataError: If it cannot be read and the column does not say that it is then missing.
    """
    try:
        if column.kind in ("number", "integer"):
            parse = getattr(table_values, f"parse_{column.kind}")
            number = parse(value, column.decimal)
            return [] if number is None else [number]
        if column.kind == "list":
            return table_values.parse_list(value, column.separator)
        if column.kind == "vector":
            return table_values.parse_vector(value, column.separator)
        if column.kind == "category":
            return table_values.parse_category(value)
        return table_values.parse_text(value)
    except table_values.BadValueError as error:
        if column.unreadable == "missing":
            Metrics.counter(COUNTERS, f"unreadable values of {name} count as missing").inc()
            return [] if column.kind in ("number", "integer", "list") else None
        raise place.error(name, value, error.what, error.remedy) from error


def merge_pair(
    group: tuple[tuple[str, str], Iterable[tuple[Any, ...]]],
    table: InteractionsTable,
    split: Split,
) -> tuple[dict[str, Any], list[tuple[Any, ...]]]:
    """Merge the rows of one pair of user and item into one.

    Where time splits the interactions, rows of a later part say nothing: neither their weight nor
    their values, a price for one, are known when the model is trained.

    Args:
        group: The two ids, and (place, timestamp, weight, values) of each row.
        table: The options.
        split: How the interactions are split.

    Returns:
        The canonical row, and the values of the rows that count, in their order in time.

    Raises:
        DataError: If there are several and that is refused.
    """
    # Without times, the order in the files decides.
    pair, rows = group
    ordered = sorted(rows, key=lambda row: (row[1] is not None, row[1] or 0, row[0]))
    if len(ordered) > 1 and table.duplicates == "refuse":
        raise DataError(
            f"{Place(*ordered[1][0])}: the pair of user and item is also in "
            f"{Place(*ordered[0][0])}. Received: {pair[0]!r} and {pair[1]!r}. Remove one, or set "
            'data.interactions.duplicates = "first" (or "last").'
        )
    kept = ordered[-1 if table.duplicates == "last" else 0]
    row: dict[str, Any] = {"user_id": pair[0], "item_id": pair[1], "timestamp": kept[1]}
    counted = [each for each in ordered if _is_known(each[1], kept[1], split)]
    if table.weight:
        row["weight"] = sum(each[2] for each in counted if each[2] is not None)
    return row, [each[3] for each in counted]


def _is_known(moment: int | None, kept: int | None, split: Split) -> bool:
    """Tell whether a row of a pair belongs to no later part than the row that is kept."""
    if split.rule == "random" or moment <= kept:
        return True
    if split.rule == "leave_last_out":
        return False
    parts = [compute_split_by_time(each, split.cuts) for each in (moment, kept)]
    return parts[0] == parts[1]


def merge_item(
    group: tuple[str, Iterable[tuple[tuple[Any, ...], dict[str, Any]]]], table: ItemsTable
) -> dict[str, Any]:
    """Merge the rows of one item into one.

    Raises:
        DataError: If they differ and that is refused.
    """
    item_id, rows = group
    ordered = sorted(rows, key=lambda pair: pair[0])
    others = [pair for pair in ordered if repr(pair[1]) != repr(ordered[0][1])]
    if others and table.duplicates == "refuse":
        first, other = ordered[0][1], others[0][1]
        names = [name for name in first if repr(first[name]) != repr(other[name])]
        raise DataError(
            f"{Place(*others[0][0])}, column {table.id!r}: the item is also in "
            f"{Place(*ordered[0][0])}, with another {names[0]}. Received: {item_id!r} with "
            f"{other[names[0]]!r} and {first[names[0]]!r}. Remove one, or set "
            'data.items.duplicates = "last" (or "first").'
        )
    return ordered[-1 if table.duplicates == "last" else 0][1]


def _parse_text(place: Place, given: Mapping[str, Any], name: str) -> str | None:
    return place.parse(name, given[name], table_values.parse_text) if name else None


def _parse_number(place: Place, given: Mapping[str, Any], name: str, mark: str) -> float | None:
    """Parse a number of the interactions, whose columns have no setting `unreadable`."""
    try:
        return table_values.parse_number(given[name], mark)
    except table_values.BadValueError as error:
        remedy = "Repair it or leave it empty." if "unreadable" in error.remedy else error.remedy
        raise place.error(name, given[name], error.what, remedy) from error


def _leave_out(
    place: Place, given: Mapping[str, Any], column: str, setting: str, rule: str
) -> None:
    """Count a row that lacks what it needs, or refuse it."""
    if rule == "refuse":
        raise place.error(
            column,
            given[column],
            "the value is missing",
            f'Fill it in, or set {setting} = "drop" to leave such rows out.',
        )
    Metrics.counter(COUNTERS, f"rows without {column} dropped").inc()
