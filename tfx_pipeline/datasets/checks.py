"""The single checks behind `validate_canonical`: each finds one sort of problem and words it."""

import pathlib
from collections.abc import Callable, Collection, Mapping

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tfx_pipeline.datasets.splits import AUXILIARY

_EXAMPLES_SHOWN = 3
# What is wrong with a pair in two splits, and what to do; of the auxiliary one the latter.
_OVERLAPS = (
    ("so a model would be tested on what it learnt", "Keep each pair in one split"),
    ("so what is to be found would be told", f"Leave them out of {AUXILIARY}"),
)
_SEPARATOR = "\x1f"


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _is_list_of(kind: pa.DataType, test: Callable[[pa.DataType], bool]) -> bool:
    return (pa.types.is_list(kind) or pa.types.is_large_list(kind)) and test(kind.value_type)


def _is_text_list(kind: pa.DataType) -> bool:
    return _is_list_of(kind, _is_text)


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or _is_float(kind)


def _is_float(kind: pa.DataType) -> bool:
    return pa.types.is_float32(kind) or pa.types.is_float64(kind)


# For each kind the test of the Parquet type.
_TESTS = {
    "int64": pa.types.is_int64,
    "float": _is_float,
    "string": _is_text,
    "int64s": lambda kind: _is_list_of(kind, pa.types.is_int64),
    "floats": lambda kind: _is_list_of(kind, _is_float),
    "strings": _is_text_list,
    "numeric": lambda kind: _is_number(kind) or _is_list_of(kind, _is_number),
    "vector": lambda kind: _is_list_of(kind, _is_float),
}
_WORDS = {
    "int64s": "list<int64>",
    "floats": "list<float>",
    "strings": "list<string>",
    "numeric": "int64 or float (or a list of one at most)",
    "vector": "list<float>",
}


def load_columns(
    directory: pathlib.Path,
    pattern: str,
    wanted: Mapping[str, str | Collection[str]],
    optional: Mapping[str, str | Collection[str]],
    problems: list[str],
    may_be_empty: bool = False,
) -> pa.Table:
    """Load the wanted columns of all files of a table.

    Args:
        directory: The canonical directory.
        pattern: Glob of the table's files in it.
        wanted: Kind or kinds of each column that must be there.
        optional: Kind or kinds of each column that may be there; these are not loaded.
        problems: Receives what is wrong with the form; where it grows, the result is not to be
            used.
        may_be_empty: Whether files without a row are sound.

    Returns:
        The wanted columns, `[num_rows, len(wanted)]`.
    """
    paths = sorted(directory.glob(pattern))
    tables: list[pa.Table] = []
    found = [] if paths else [f"{pattern}: no such file; each table and split needs at least one."]
    for path in paths:
        name = path.relative_to(directory).as_posix()
        try:
            found += find_bad_columns(name, pq.read_schema(path), wanted, optional)
            if not found:
                table = pq.read_table(path, columns=list(wanted), partitioning=None)
                # Anew from its columns: without the metadata and nullability in which files differ.
                tables.append(pa.table(dict(zip(table.column_names, table.columns, strict=True))))
        except (pa.ArrowException, OSError) as error:
            reason = str(error).splitlines()[0].rstrip(".")
            found.append(f"{name}: not a readable Parquet file ({reason}). Write it again.")
    if not found and any(table.schema != tables[0].schema for table in tables):
        types = " / ".join(sorted({str(table.schema).replace("\n", ", ") for table in tables}))
        found.append(f"{pattern}: the files differ in their types. Received: {types}.")
    problems += found
    if found:
        return pa.table({})
    table = pa.concat_tables(tables)
    if not table.num_rows and not may_be_empty:
        problems.append(f"{pattern}: no rows; each table and split needs at least one.")
    return table


def find_bad_columns(
    name: str,
    schema: pa.Schema,
    wanted: Mapping[str, str | Collection[str]],
    optional: Mapping[str, str | Collection[str]],
) -> list[str]:
    """Find columns of one file that are missing or of the wrong type.

    Args:
        name: Name of the file, for the messages.
        schema: Schema of the file.
        wanted: Kind or kinds of each column that must be there.
        optional: Kind or kinds of each column that may be there.

    Returns:
        One message per problem.

    Raises:
        ValueError: If a kind is unknown.
    """
    problems = []
    for column, kinds in {**optional, **wanted}.items():
        kinds = (kinds,) if isinstance(kinds, str) else tuple(kinds)
        unknown = [kind for kind in kinds if kind not in _TESTS]
        if unknown:
            raise ValueError(
                f"A column's kind must be one of {', '.join(_TESTS)}. "
                f"Received: {column}={', '.join(unknown)}."
            )
        if column not in schema.names:
            if column in wanted:
                problems.append(
                    f"{name}: there is no column {column!r}. "
                    f"Received: the columns {', '.join(schema.names)}."
                )
        elif not any(_TESTS[kind](schema.field(column).type) for kind in kinds):
            words = " or ".join(_WORDS.get(kind, kind) for kind in kinds)
            problems.append(
                f"{name}: column {column!r} must be {words}. Received: {schema.field(column).type}."
            )
    return problems


def find_bad_items(items: pa.Table) -> list[str]:
    """Find items without an id and items that are there twice.

    Args:
        items: Table with the column `item_id`.

    Returns:
        One message per problem.
    """
    problems = _find_empty_ids(items, "items", "item_id")
    counts = pc.value_counts(_get_text(items, "item_id"))
    repeated = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")
    if len(repeated):
        problems.append(
            f"items: {len(repeated)} item ids occur more than once. "
            f"Received: {_show(repeated)}. Keep one row per item."
        )
    return problems


def find_bad_numbers(items: pa.Table, vectors: Collection[str] = ()) -> list[str]:
    """Find lists of more than one number; a numeric attribute has one value or none.

    Args:
        items: The columns of the items table.
        vectors: Columns that are to hold vectors, and so are left out.

    Returns:
        One message per problem.
    """
    problems = []
    for name, column in zip(items.column_names, items.columns, strict=True):
        if name not in vectors and _is_list_of(column.type, _is_number):
            longer = pc.sum(pc.greater(pc.list_value_length(column), 1)).as_py() or 0
            if longer:
                problems.append(
                    f"items: column {name!r} has more than one number in {longer} rows. "
                    f"Received: {column.type}. Write one number, or an empty list for none."
                )
    return problems


def find_bad_interactions(interactions: Mapping[str, pa.Table]) -> list[str]:
    """Find interactions without ids, twice in one split, or in two splits.

    Args:
        interactions: Table with the columns `user_id` and `item_id` of each split.

    Returns:
        One message per problem.
    """
    problems = []
    pairs = {}
    for split, table in interactions.items():
        for column in ("user_id", "item_id"):
            problems += _find_empty_ids(table, f"interactions/{split}", column)
        ids = (_get_text(table, "user_id"), _get_text(table, "item_id"))
        joined = pc.binary_join_element_wise(*ids, _SEPARATOR)
        pairs[split] = pc.unique(joined)
        surplus = len(joined) - len(pairs[split])
        if surplus:
            counts = pc.value_counts(joined)
            repeated = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")
            problems.append(
                f"interactions/{split}: {surplus} rows repeat a pair of user and item. "
                f"Received: {_show(repeated)}. Keep one row per pair, with a weight if it counts."
            )
    names = list(pairs)
    for position, first in enumerate(names):
        for second in names[position + 1 :]:
            shared = pairs[first].filter(pc.is_in(pairs[first], value_set=pairs[second]))
            if len(shared):
                why, remedy = _OVERLAPS[second == AUXILIARY]
                problems.append(
                    f"interactions: {len(shared)} pairs of user and item are both in {first} and "
                    f"in {second}, {why}. Received: {_show(shared)}. {remedy}."
                )
    return problems


def count_unknown(items: pa.Table, interactions: Mapping[str, pa.Table]) -> dict[str, int]:
    """Count the interactions of each split whose item is not in the catalogue.

    Args:
        items: Table with the column `item_id`.
        interactions: Table with the column `item_id` of each split.

    Returns:
        The count of each split.
    """
    return {split: len(_get_unknown(items, table)) for split, table in interactions.items()}


def find_unknown(
    items: pa.Table,
    interactions: Mapping[str, pa.Table],
    unknown: Mapping[str, int],
    max_share: float,
) -> list[str]:
    """Find splits in which too many interactions name items outside the catalogue.

    Args:
        items: Table with the column `item_id`.
        interactions: Table with the column `item_id` of each split.
        unknown: What `count_unknown` returned.
        max_share: Largest share of a split that is still let through.

    Returns:
        One message per problem.
    """
    return [
        f"interactions/{split}: {unknown[split]} of {table.num_rows} rows name an item that is "
        f"not in the items table. Received: {_show(pc.unique(_get_unknown(items, table)))}. "
        "Add these items, or leave the rows out."
        for split, table in interactions.items()
        if unknown[split] > max_share * table.num_rows
    ]


def count_missing(column: pa.ChunkedArray) -> int:
    """Count the rows of a column without a value: null, an empty text or an empty list.

    Args:
        column: The column, `[num_rows]`.

    Returns:
        The count.
    """
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        empty = pc.equal(pc.list_value_length(column), 0)
    elif _is_text(column.type):
        empty = pc.equal(column.cast(pa.string()), "")
    else:
        return column.null_count
    return pc.sum(pc.fill_null(empty, True)).as_py() or 0


def _get_text(table: pa.Table, column: str) -> pa.ChunkedArray:
    return table[column].cast(pa.string())


def _get_unknown(items: pa.Table, table: pa.Table) -> pa.ChunkedArray:
    ids = _get_text(table, "item_id")
    known = pc.is_in(ids, value_set=pc.unique(_get_text(items, "item_id")))
    return ids.filter(pc.invert(known))


def _find_empty_ids(table: pa.Table, name: str, column: str) -> list[str]:
    count = count_missing(table[column])
    if not count:
        return []
    return [f"{name}: {count} of {table.num_rows} rows have no {column}. Leave such rows out."]


def _show(values: pa.Array | pa.ChunkedArray) -> str:
    """Word the first few of some values, with the pairs' separator made readable."""
    shown = [str(value).replace(_SEPARATOR, ", ") for value in values[:_EXAMPLES_SHOWN].to_pylist()]
    more = len(values) - len(shown)
    return " | ".join(shown) + (f" and {more} more" if more > 0 else "")
