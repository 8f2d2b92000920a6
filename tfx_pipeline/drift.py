"""How the data of a run differ from those that the model in service was trained on.

Drift is told and stops nothing: where the world has changed, a model that is trained on it is the
remedy. What must not pass whatever was before is the schema's to say, and the AnomalyGate's.
"""

import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

DRIFT_FILE = "drift.json"


@dataclasses.dataclass(frozen=True)
class ColumnDrift:
    """One column, then and now.

    Attributes:
        table: `items` or `interactions`.
        column: Its name.
        distance: Jensen-Shannon divergence of its values, then and now: 0 for none, 1 at most; 1
            where only one of both has values.
        allowed: What the schema allows (`drift_comparator`), of the distance and of the change of
            the share of rows that have a value.
        present_before: Share of the rows that had a value.
        present_now: Share of the rows that have one.
    """

    table: str
    column: str
    distance: float
    allowed: float
    present_before: float
    present_now: float

    @property
    def drifted(self) -> bool:
        return self.distance > self.allowed or self.presence_drifted

    @property
    def presence_drifted(self) -> bool:
        return abs(self.present_now - self.present_before) > self.allowed

    def describe(self) -> str:
        """Word how it differs."""
        words = []
        if self.presence_drifted:
            words.append(
                f"{self.present_before:.1%} of the rows had a value, now {self.present_now:.1%}"
            )
        if self.distance > self.allowed:
            words.append(f"Jensen-Shannon divergence {self.distance:.3f}")
        return f"{self.table}.{self.column}: {', '.join(words)}, allowed {self.allowed:g}"


@dataclasses.dataclass(frozen=True)
class TableSize:
    """How many rows a table has, then and now.

    Attributes:
        table: `items` or `interactions`, of which those to train on count.
        before: Rows then.
        now: Rows now.
        at_least: The smallest ratio that the schema allows (`num_examples_drift_comparator`); None
            where it says nothing.
        at_most: The largest, likewise.
    """

    table: str
    before: int
    now: int
    at_least: float | None
    at_most: float | None

    @property
    def drifted(self) -> bool:
        too_few = self.at_least is not None and self.now < self.at_least * self.before
        return too_few or (self.at_most is not None and self.now > self.at_most * self.before)

    @property
    def allowed(self) -> str:
        """The ratios that are allowed, in words."""
        if self.at_least is None and self.at_most is None:
            return "anything"
        if self.at_least is None:
            return f"at most {self.at_most:g} times"
        if self.at_most is None:
            return f"at least {self.at_least:g} times"
        return f"{self.at_least:g} to {self.at_most:g} times"


@dataclasses.dataclass(frozen=True)
class Drift:
    """What differs from the data of the model in service.

    Attributes:
        version: That model's version; "" where there is none.
        columns: The columns that are compared.
        sizes: The tables.
        reason: Why nothing was compared; "" where it was.
    """

    version: str
    columns: tuple[ColumnDrift, ...] = ()
    sizes: tuple[TableSize, ...] = ()
    reason: str = ""

    def describe(self) -> list[str]:
        """Word what is beyond what the schema allows, a line each; none where nothing is.

        That there was a model, and its data could not be compared with, is a line too.
        """
        if self.reason:
            return [f"drift not told: {self.reason}"] if self.version else []
        lines = [
            f"{each.table}: {each.before:,} rows -> {each.now:,}, allowed {each.allowed} as many"
            for each in self.sizes
            if each.drifted
        ]
        columns = sorted(self.columns, key=lambda each: -each.distance)
        lines += [each.describe() for each in columns if each.drifted]
        return [f"drifted since version {self.version}: {line}" for line in lines]

    def summarize(self) -> list[str]:
        """Word what is beyond, or that nothing is; nothing where there was nothing to compare."""
        lines = self.describe()
        if lines or self.reason:
            return lines
        return [
            f"nothing drifted since version {self.version}: {len(self.sizes)} tables, "
            f"{len(self.columns)} columns compared"
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-able dictionary from which `from_dict` makes an equal one."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Drift":
        """Make it; inverse of `to_dict`."""
        return cls(
            data["version"],
            tuple(ColumnDrift(**each) for each in data["columns"]),
            tuple(TableSize(**each) for each in data["sizes"]),
            data["reason"],
        )


FIRST = Drift("", reason="there was no model in service")
# Of results and reports from before drift was looked at.
NOT_LOOKED_AT = Drift("", reason="this was made before drift was looked at")


def write_drift(drift: Drift, folder: str | os.PathLike) -> None:
    """Write it as JSON."""
    pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    text = json.dumps(drift.to_dict(), indent=1)
    pathlib.Path(folder, DRIFT_FILE).write_text(f"{text}\n", encoding="utf-8")


def load_drift(folder: str | os.PathLike) -> Drift:
    """Load what `write_drift` wrote."""
    text = pathlib.Path(folder, DRIFT_FILE).read_text(encoding="utf-8")
    return Drift.from_dict(json.loads(text))
