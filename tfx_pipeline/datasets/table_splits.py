"""Beam transforms that put the interactions of one's own tables into train, validation and test.

Rows come as (row, values): the canonical row and what the pair's source rows say for aggregates.
They leave as (split, row, values).
"""

from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam

from tfx_pipeline.datasets.splits import assign_split
from tfx_pipeline.datasets.table_options import Split

Interaction = tuple[dict[str, Any], list[tuple[Any, ...]]]


@beam.ptransform_fn
def AssignSplits(rows, split: Split):  # noqa: N802 (Beam names transforms so)
    """Assign each interaction to a split.

    Args:
        rows: PCollection of (row, values), one per pair of user and item.
        split: The rule.

    Returns:
        PCollection of (split, row, values).
    """
    if split.rule == "leave_last_out":
        return (
            rows
            | "KeyByUser" >> beam.Map(lambda pair: (pair[0]["user_id"], pair))
            | "GroupUser" >> beam.GroupByKey()
            | "LeaveLastOut" >> beam.FlatMapTuple(lambda _, group: leave_last_out(group))
        )
    if split.rule == "by_time":
        cuts = split.cuts
        return rows | "ByTime" >> beam.Map(
            lambda pair: (compute_split_by_time(pair[0]["timestamp"], cuts), *pair)
        )
    return rows | "AtRandom" >> beam.Map(
        lambda pair: (assign_split(pair[0]["user_id"], pair[0]["item_id"]), *pair)
    )


def compute_split_by_time(timestamp: int, cuts: tuple[int, int]) -> str:
    """Compute the split of a time: each cut is the first time of what follows it.

    Example:
        >>> [compute_split_by_time(time, (10, 20)) for time in (9, 10, 19, 20)]
        ['train', 'validation', 'validation', 'test']
    """
    validation, test = cuts
    if timestamp < validation:
        return "train"
    return "validation" if timestamp < test else "test"


def leave_last_out(group: Iterable[Interaction]) -> Iterator[tuple[str, dict[str, Any], list]]:
    """Leave out a user's last interaction for test and the one before for validation.

    Training always keeps at least one: of two, one is test; one alone is training. Of equal times
    the order of the item ids decides, so that every machine agrees.

    Args:
        group: The user's interactions.

    Yields:
        (split, row, values).
    """
    ordered = sorted(group, key=lambda pair: (pair[0]["timestamp"], pair[0]["item_id"]))
    last = len(ordered) - 1
    for position, (row, values) in enumerate(ordered):
        split = "train"
        if position == last and last >= 1:
            split = "test"
        elif position == last - 1 and last >= 2:
            split = "validation"
        yield split, row, values
