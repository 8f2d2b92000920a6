"""Measures every system on the test of a preset: ours, the paper's, the baselines, and ablations.

    python -m benchmarks.accuracy hm --runs RUNS                 # adds to results/accuracy.json
    python -m benchmarks.accuracy hm --runs RUNS --only default  # one system

The data are those of the preset's pushed run. Ours are scored by the lists that their SavedModel's
`recommend` returns. Everything is chosen on validation and fitted on train and validation; a row of
the result is replaced when its system is measured again.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import bootstrap, systems
from benchmarks.fitted import Data, K, load_data
from benchmarks.provenance import ROOT, load_result, make_provenance, write_result

REFERENCE = "default"
SEEDS = (0, 1, 2)
# The parts of the result, and what makes two rows of a part the same.
KEYS = {
    "rows": ("data", "system", "seed", "metric"),
    "differences": ("data", "system", "metric"),
    "slices": ("data", "system", "by", "third"),
}


def measure(
    preset: str, data: Data, names: Iterable[str], seeds: Iterable[int]
) -> Iterator[dict[str, list[dict[str, Any]]]]:
    """Measures systems one by one, the reference first.

    Args:
        preset: Name of the preset.
        data: Its data.
        names: The systems, by their names in `benchmarks.systems`.
        seeds: Seeds of those that have several; the ablations have the first.

    Yields:
        Of a system: `rows`, one a seed and metric; and with the first seed `differences`, how it
        differs from the reference user by user, and `slices`, how it does where little is known
        and where much is. A variant of ours has no slices.
    """
    seeds = tuple(seeds)
    known = systems.make_systems(preset, data)
    reference: dict[str, np.ndarray] = {}
    for name in (REFERENCE, *(name for name in names if name != REFERENCE)):
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in KEYS}
        for seed in seeds if known[name].repeats else seeds[:1]:
            started = time.monotonic()
            lists = known[name].recommend(seed)
            figures = systems.score_lists(lists, data)
            seconds = round(time.monotonic() - started, 1)
            print(f"{preset} {name} seed {seed}: {_word(figures)}, {seconds} s", flush=True)
            found["rows"] += [
                _make_row(name, preset, seed, seconds, *pair) for pair in _average(figures)
            ]
            if seed != seeds[0]:
                continue
            if name == REFERENCE:
                reference = figures
            else:
                found["differences"] = _compare(name, preset, figures, reference)
            if not known[name].is_variant:
                found["slices"] = [
                    {"data": preset, "system": name, "commit": _get_commit(), **row}
                    for row in systems.score_slices(lists, data)
                ]
        yield found
        gc.collect()


def _compare(
    system: str, data: str, figures: dict[str, np.ndarray], reference: dict[str, np.ndarray]
) -> list[dict[str, Any]]:
    return [
        {
            "system": system,
            "data": data,
            "metric": metric,
            **bootstrap.compare(figures[metric], reference[metric]),
        }
        for metric in sorted(figures)
    ]


def merge(
    kept: Iterable[dict[str, Any]], new: list[dict[str, Any]], *keys: str
) -> list[dict[str, Any]]:
    """Replaces what was measured again.

    Args:
        kept: Rows that were there.
        new: Rows that take the place of those with equal keys.
        keys: What makes two rows the same.

    Returns:
        All rows, in the order of their keys.
    """
    rows = {tuple(row[key] for key in keys): row for row in (*kept, *new)}
    return [rows[key] for key in sorted(rows, key=str)]


def add(found: dict[str, list[dict[str, Any]]]) -> Path:
    """Adds what `measure` found to `results/accuracy.json`, in place of what is there of it."""
    try:
        result = load_result("accuracy")
    except FileNotFoundError:
        result = {}
    parts = {name: merge(result.get(name, []), found[name], *keys) for name, keys in KEYS.items()}
    return write_result("accuracy", {"provenance": make_provenance(k=K), **parts})


def _average(figures: dict[str, np.ndarray]) -> list[tuple[str, float]]:
    return [(metric, float(np.mean(values))) for metric, values in sorted(figures.items())]


def _make_row(
    system: str, data: str, seed: int, seconds: float, metric: str, value: float
) -> dict[str, Any]:
    provenance = make_provenance()
    return {
        "system": system,
        "data": data,
        "seed": seed,
        "metric": metric,
        "value": value,
        "seconds": seconds,
        "commit": provenance["commit"],
        "machine": provenance["machine"],
    }


def _get_commit() -> str:
    return str(make_provenance()["commit"])


def _word(figures: dict[str, np.ndarray]) -> str:
    return ", ".join(f"{metric} {value:.4f}" for metric, value in _average(figures))


def main() -> None:
    """Measures a preset's systems and writes what changed into the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("preset")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs")
    parser.add_argument("--only", nargs="+", metavar="SYSTEM", help="these systems alone")
    parser.add_argument("--without", nargs="+", metavar="SYSTEM", default=[], help="not these")
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS)
    options = parser.parse_args()
    data = load_data(options.preset, options.runs)
    known = systems.make_systems(options.preset, data)
    unknown = sorted({*(options.only or ()), *options.without} - set(known))
    if unknown:
        parser.error(f"A system must be one of {', '.join(known)}. Received: {unknown}")
    names = [name for name in options.only or known if name not in options.without]
    # Written after each system, so that what is measured is kept whatever comes after it.
    for found in measure(options.preset, data, names, options.seeds):
        path = add(found)
    print(path)


if __name__ == "__main__":
    main()
