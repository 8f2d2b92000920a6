"""What encoding found: which items lack a modality and why, and how much there was to do."""

import dataclasses
import json
import os
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tfx_pipeline.datasets.errors import DataError

PROBLEMS_FILE = "problems.jsonl"
SUMMARY_FILE = "summary.json"

_PROBLEMS_SHOWN = 5

# Stands for a content that is not named.
EMPTY = "(empty)"

MISSING = "missing"
BROKEN = "broken"
ENCODED = "encoded"
CACHED = "from_cache"
CONTENTS = "contents_encoded"
GIVEN = "given"
SECONDS = "seconds"
_COUNTS = (ENCODED, CACHED, GIVEN, MISSING, BROKEN)


class MissingModalityError(DataError):
    """Raised where more items lack a modality than its configuration lets through."""


@dataclasses.dataclass(frozen=True, order=True)
class Problem:
    """Why an item lacks a modality.

    Attributes:
        item_id: The item.
        modality: Name of the modality.
        source: The file, or the column where there is no file.
        reason: What is wrong, a clause without a full stop.
        kind: `missing` where there is nothing, `broken` where there is something unusable.
    """

    item_id: str
    modality: str
    source: str
    reason: str
    kind: str = BROKEN

    def __str__(self) -> str:
        """Return the problem in a line."""
        return f"item {self.item_id!r}, {self.source}: {self.reason}"


def make_summary(
    modalities: Sequence[Any], counts: Mapping[tuple[str, str], float]
) -> dict[str, dict[str, Any]]:
    """Make the summary of a run.

    Args:
        modalities: The vector modalities of the configuration.
        counts: Number of items by (modality, one of the counts of this module); `seconds` and
            `contents_encoded` are no numbers of items.

    Returns:
        By modality: `items`, how many of them were `encoded` now, taken `from_cache` or `given` as
        vectors, `missing`, `broken`; `contents_encoded`, how many different contents went through
        the encoder; and `seconds`, how long it took for them.
    """
    summary = {}
    for modality in modalities:
        numbers = {name: int(counts.get((modality.name, name), 0)) for name in _COUNTS}
        summary[modality.name] = {
            "column": modality.column,
            "encoder": modality.handle or modality.encoder,
            "items": sum(numbers.values()),
            **numbers,
            CONTENTS: int(counts.get((modality.name, CONTENTS), 0)),
            SECONDS: round(counts.get((modality.name, SECONDS), 0.0), 3),
        }
    return summary


def write_report(
    folder: str | os.PathLike, problems: Iterable[Problem], summary: Mapping[str, Any]
) -> pathlib.Path:
    """Write the list of problems and the summary.

    Args:
        folder: Where to, made where missing.
        problems: The problems; they are sorted.
        summary: What `make_summary` returned.

    Returns:
        Path of the list: one JSON object a line.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(dataclasses.asdict(each), ensure_ascii=False) for each in sorted(problems)]
    path = folder / PROBLEMS_FILE
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    text = json.dumps(summary, indent=2, ensure_ascii=False)
    (folder / SUMMARY_FILE).write_text(f"{text}\n", encoding="utf-8")
    return path


def load_problems(folder: str | os.PathLike) -> list[Problem]:
    """Load the list that `write_report` wrote.

    Args:
        folder: Where it lies.

    Returns:
        The problems.
    """
    text = pathlib.Path(folder, PROBLEMS_FILE).read_text(encoding="utf-8")
    return [Problem(**json.loads(line)) for line in text.splitlines()]


def load_summary(folder: str | os.PathLike) -> dict[str, dict[str, Any]]:
    """Load the summary that `write_report` wrote.

    Args:
        folder: Where it lies.

    Returns:
        As `make_summary`.
    """
    return json.loads(pathlib.Path(folder, SUMMARY_FILE).read_text(encoding="utf-8"))


def make_lines(summary: Mapping[str, Any]) -> list[str]:
    """Word a summary, a line for each modality.

    Args:
        summary: What `make_summary` returned.

    Returns:
        The lines.
    """
    words = {ENCODED: "encoded", CACHED: "from the cache", GIVEN: "given"}
    words |= {MISSING: "missing", BROKEN: "broken"}
    lines = []
    for name, numbers in summary.items():
        parts = [f"{numbers[key]:,} {word}" for key, word in words.items() if numbers[key]]
        lines.append(f"{name}: {', '.join(parts) or 'no items'}")
    return lines


def find_refused(modalities: Sequence[Any], summary: Mapping[str, Any]) -> list[Any]:
    """Find the modalities that too many items lack.

    Args:
        modalities: The vector modalities of the configuration.
        summary: What `make_summary` returned.

    Returns:
        Those whose `max_missing_share` is exceeded.
    """
    return [
        modality
        for modality in modalities
        if _count_lacking(summary[modality.name])
        > modality.max_missing_share * summary[modality.name]["items"]
    ]


def make_refusal(
    refused: Sequence[Any], summary: Mapping[str, Any], problems: Sequence[Problem], path: str
) -> MissingModalityError:
    """Make the error about modalities that too many items lack.

    Args:
        refused: What `find_refused` returned.
        summary: What `make_summary` returned.
        problems: All problems.
        path: Where the whole list is.

    Returns:
        The error, to be raised.
    """
    lines = []
    for modality in refused:
        numbers = summary[modality.name]
        lacking = _count_lacking(numbers)
        lines.append(
            f"The modality {modality.name!r} (column {modality.column!r}) is missing or broken for "
            f"{lacking:,} of {numbers['items']:,} items, {lacking / numbers['items']:.1%}; at most "
            f"{modality.max_missing_share:.1%} may lack it:"
        )
        own = sorted(each for each in problems if each.modality == modality.name)
        lines += [f"  - {each}" for each in own[:_PROBLEMS_SHOWN]]
        if len(own) > _PROBLEMS_SHOWN:
            lines.append(f"  - and {len(own) - _PROBLEMS_SHOWN:,} more")
    lines.append(f"The whole list is {path}. Repair them, or raise max_missing_share.")
    return MissingModalityError("\n".join(lines))


def _count_lacking(numbers: Mapping[str, int]) -> int:
    return numbers[MISSING] + numbers[BROKEN]
