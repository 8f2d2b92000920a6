"""What came of adding items."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any


@dataclasses.dataclass(frozen=True)
class LeftOut:
    """An item that could not be added.

    Attributes:
        item_id: The item.
        place: Where it is in the file.
        reason: Why.
    """

    item_id: str
    place: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Unreadable:
    """Values of a column that cannot be read, and count as missing because the project says so.

    Attributes:
        column: Name of the column in the file.
        count: How many there are.
        given: How many values the column has, readable or not.
        first: The first few, each with its place and what is wrong.
    """

    column: str
    count: int
    given: int
    first: Sequence[str]

    def __str__(self) -> str:
        """Return it in a line."""
        more = ", ..." if self.count > len(self.first) else ""
        return (
            f"column {self.column!r}: {self.count:,} of {self.given:,} values cannot be read and "
            f"count as missing: {', '.join(self.first)}{more}"
        )


@dataclasses.dataclass(frozen=True)
class Alike:
    """A known item that a new one is like.

    Attributes:
        item_id: The known item.
        title: Its title, empty where it has none.
        similarity: In 0..1.
    """

    item_id: str
    title: str
    similarity: float


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of adding items.

    Attributes:
        preset: Name of the preset.
        base: The version that items were added to.
        item_ids: The items that were added, or would have been.
        titles: Titles of those that have one.
        left_out: Items that could not be added.
        ignored: Columns of the file that nothing reads.
        unreadable: Values that cannot be read, by column.
        modalities: Counts by vector modality (`encoders.report.make_summary`).
        problems: The first things that items lack, in words.
        problems_path: The whole list of them; empty where there is none.
        attributes: Counts by attribute (`aligned.ValueCounts`), as dictionaries.
        alike: For a few of the new items, the known ones that they are like.
        gate: What the servability gate measured (`components.probing.run_probe`).
        refusals: Why the gate refuses; empty where it does not.
        serving: Folder of the versions.
        num_items: Size of the catalogue, with the new items.
        pushed: The version that was pushed; None where the gate refuses or nothing was to be.
        seconds: How long it took.
        log: File of the log.
    """

    preset: str
    base: int
    item_ids: Sequence[str]
    titles: Mapping[str, str]
    left_out: Sequence[LeftOut]
    ignored: Sequence[str]
    unreadable: Sequence[Unreadable]
    modalities: Mapping[str, Mapping[str, Any]]
    problems: Sequence[str]
    problems_path: str
    attributes: Mapping[str, Mapping[str, Any]]
    alike: Mapping[str, Sequence[Alike]]
    gate: Mapping[str, Any]
    refusals: Sequence[str]
    serving: str
    num_items: int
    pushed: int | None = None
    seconds: float = 0.0
    log: str = ""

    @property
    def passed(self) -> bool:
        """Whether the gate lets the larger model serve."""
        return not self.refusals

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON would have it."""
        return {**dataclasses.asdict(self), "passed": self.passed}
