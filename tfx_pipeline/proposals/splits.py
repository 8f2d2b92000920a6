"""Which split the times of the interactions allow."""

import collections
import dataclasses
import datetime
import statistics
from collections.abc import Sequence

from tfx_pipeline.datasets import table_values
from tfx_pipeline.datasets.errors import DataError
from tfx_pipeline.datasets.table_options import Split
from tfx_pipeline.datasets.table_splits import compute_split_by_time
from tfx_pipeline.datasets.table_times import parse_time
from tfx_pipeline.proposals.look import TableSample
from tfx_pipeline.proposals.roles import Roles

_DAY = 86_400
# Shares of the rows before validation and before test.
_CUTS = (0.8, 0.9)
# What a split by time must leave: days, rows of each part, test users that have a history.
_MIN_DAYS = 14
_MIN_PART = 0.03
_MIN_WARM = 0.5
_MAX_MISSING = 0.01


@dataclasses.dataclass(frozen=True)
class SplitProposal:
    """A split, and why.

    Attributes:
        split: The rule and its cuts.
        why: The reason.
    """

    split: Split
    why: str


def propose_split(interactions: TableSample, roles: Roles, wish: str = "") -> SplitProposal:
    """Propose a split: by time where times are good, leave-last-out where users are, else random.

    Args:
        interactions: The interactions.
        roles: What the columns are.
        wish: The rule that a person asked for, or nothing.

    Returns:
        The proposal.

    Raises:
        DataError: The rule that a person asked for needs times, and there are none.
    """
    if wish not in ("", "random") and not roles.time:
        raise DataError(
            f"--split: this rule needs times, and no column of the interactions is used as one. "
            f"Received: {wish!r}. Name the column with --time-column, or take --split random."
        )
    if wish == "random" or not roles.time:
        reason = "as you said" if wish == "random" else "because there is no time"
        return SplitProposal(Split("random"), f"random per user and item, 80/10/10, {reason}")
    rows = _load_rows(interactions, roles)
    missing = 1 - len(interactions.get_cells(roles.time)) / len(interactions.rows)
    if wish:
        split = Split(wish, *(_make_cuts(rows) if wish == "by_time" else ()))
        return SplitProposal(split, f"{wish}, as you said")
    if missing > _MAX_MISSING:
        why = f"random per user and item, 80/10/10, because {missing:.1%} of the rows have no time"
        return SplitProposal(Split("random"), why)
    problem = _find_problem(rows)
    if not problem:
        cuts = _make_cuts(rows)
        why = f"by time, as times are good: the last tenth is test, from {cuts[1]}"
        return SplitProposal(Split("by_time", *cuts), why)
    if _are_histories_ordered(rows):
        why = f"leave-last-out per user, as users have ordered histories; not by time: {problem}"
        return SplitProposal(Split("leave_last_out"), why)
    why = f"random per user and item, 80/10/10; not by time: {problem}; not leave-last-out: few "
    return SplitProposal(Split("random"), f"{why}users have three interactions at different times")


Triple = tuple[str, str, int]


def _load_rows(interactions: TableSample, roles: Roles) -> list[Triple]:
    index = interactions.columns.index(roles.time)
    users, items = interactions.get_ids(roles.user), interactions.get_ids(roles.item)
    first: dict[tuple[str, str], int] = {}
    for (_, values), user, item in zip(interactions.rows, users, items, strict=True):
        try:
            moment = parse_time(values[index], roles.times.formats)
        except table_values.BadValueError:
            continue
        if user is not None and item is not None and moment is not None:
            first[user, item] = min(moment, first.get((user, item), moment))
    return [(user, item, moment) for (user, item), moment in first.items()]


def _make_cuts(rows: Sequence[Triple]) -> tuple[str, str]:
    """Make the cut times: midnights where the days are many, else seconds."""
    times = sorted(moment for _, _, moment in rows)
    cuts = [times[int(share * len(times))] for share in _CUTS]
    days = [cut // _DAY * _DAY for cut in cuts]
    if days[0] < days[1] and days[0] > times[0]:
        return tuple(
            datetime.datetime.fromtimestamp(day, datetime.UTC).date().isoformat() for day in days
        )
    return str(cuts[0]), str(cuts[1])


def _find_problem(rows: Sequence[Triple]) -> str:
    """Say what speaks against a split by time; nothing where it is good."""
    if not rows:
        return "no row has a user, an item and a time"
    times = [moment for _, _, moment in rows]
    days = (max(times) - min(times)) / _DAY
    if days < _MIN_DAYS:
        return f"all within {days:.0f} days"
    cuts = Split("by_time", *_make_cuts(rows)).cuts
    parts = [compute_split_by_time(moment, cuts) for moment in times]
    for part in ("train", "validation", "test"):
        share = parts.count(part) / len(parts)
        if share < _MIN_PART or (part == "train" and share < 0.5):
            return f"{part} would be {share:.0%} of the rows, because many fall on the same days"
    known = {user for (user, _, _), part in zip(rows, parts, strict=True) if part == "train"}
    tested = {user for (user, _, _), part in zip(rows, parts, strict=True) if part == "test"}
    warm = len(tested & known) / len(tested)
    if warm < _MIN_WARM:
        return f"only {warm:.0%} of the test users would have a history"
    return ""


def _are_histories_ordered(rows: Sequence[Triple]) -> bool:
    """Tell whether most users have three interactions or more, and a last one that stands alone."""
    histories: dict[str, list[int]] = collections.defaultdict(list)
    for user, _, moment in rows:
        histories[user].append(moment)
    sizes = [len(times) for times in histories.values()]
    last_alone = [
        sorted(times)[-1] > sorted(times)[-2] for times in histories.values() if times[1:]
    ]
    return (
        bool(last_alone) and statistics.median(sizes) >= 3 and statistics.fmean(last_alone) >= 0.8
    )
