"""Items columns that are computed from the training interactions of one's own tables."""

import statistics
from collections.abc import Iterable, Mapping
from typing import Any

import apache_beam as beam

from tfx_pipeline.datasets.table_options import Aggregate


@beam.ptransform_fn
def AttachAggregates(items, rows, aggregates: Mapping[str, Aggregate]):  # noqa: N802
    """Attach to each item what its training interactions say; the rest is not looked at.

    Args:
        items: PCollection of dictionaries with `item_id`.
        rows: PCollection of (split, row, values).
        aggregates: What to compute, by name.

    Returns:
        PCollection of the items with one more column per aggregate: a list of one number, or an
        empty list where a median or mean has nothing to be computed from.
    """
    trained = (
        rows
        | "TrainingOnly" >> beam.Filter(lambda row: row[0] == "train")
        | "ValuesOfItem" >> beam.MapTuple(lambda _, row, values: (row["item_id"], values))
    )
    keyed = items | "KeyByItem" >> beam.Map(lambda item: (item["item_id"], item))
    return (
        {"items": keyed, "values": trained}
        | "JoinValues" >> beam.CoGroupByKey()
        | "Aggregate" >> beam.FlatMap(_set_aggregates, aggregates)
    )


def compute_aggregates(
    pairs: list[list[tuple[Any, ...]]], aggregates: Mapping[str, Aggregate]
) -> dict[str, list[float]]:
    """Compute the aggregates of one item.

    Args:
        pairs: For each training pair the values of its source rows.
        aggregates: What to compute, by name.

    Returns:
        A list of one number, or of none, for each.
    """
    extra = list(dict.fromkeys(each.column for each in aggregates.values() if each.column))
    found: dict[str, list[float]] = {}
    for name, aggregate in aggregates.items():
        if aggregate.function == "count":
            found[name] = [len(pairs)]
            continue
        position = extra.index(aggregate.column)
        given = [row[position] for rows in pairs for row in rows if row[position] is not None]
        compute = statistics.median if aggregate.function == "median" else statistics.fmean
        found[name] = [compute(given)] if given else []
    return found


def _set_aggregates(
    joined: tuple[str, Mapping[str, Iterable[Any]]], aggregates: Mapping[str, Aggregate]
) -> list[dict[str, Any]]:
    _, groups = joined
    found = compute_aggregates(list(groups["values"]), aggregates)
    return [{**item, **found} for item in groups["items"]]
