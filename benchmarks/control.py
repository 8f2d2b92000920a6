"""Control curves: what a wish does to a list, and what it costs, on the test of a pushed model.

    python -m benchmarks.control hm toys --runs RUNS    # writes results/control.json

Each user wishes a value that one of the user's test items has, for one attribute after the other.
The strength of the wish is swept from nothing to where it counts before everything else, and the
served lists are measured: the share of the wanted value, the Recall@20 of the test items that have
it, and the drift of the other attributes, which is the total-variation distance of their values'
distributions from those of the list without the wish, beyond what the wanted value itself implies
in the catalogue (`addrl_keras.metrics.control`). Systems:

    want         the wish alone
    want_hold    with the weights that hold the rest, as `--want` sends them
    boost        re-ranking: the same model's scores, and a bonus for the known label
    filter       only items of the wanted value
    no_terms     want_hold, of the same model fitted without the paper's terms
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from addrl_keras.control import Served, compare, sweep
from addrl_keras.training import FitResult
from benchmarks import bootstrap
from benchmarks.disentanglement import make_losses
from benchmarks.fitted import Data, load_data, load_result_of_run, make_parser
from benchmarks.provenance import make_provenance, write_result

USERS = 1000
WITHOUT = "no_terms"
STRENGTHS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 20.0)


def measure(preset: str, data: Data, result: FitResult, seed: int = 0) -> dict[str, Any]:
    """Measures the control curves of a preset.

    Returns:
        By attribute: `curves`, by system a list of means a strength; and `at_full`, by system how
        the figures at full strength differ from the boost's, by a paired bootstrap over users.
    """
    counted = np.flatnonzero(
        (data.interactions.known.getnnz(axis=1) > 0) & (data.test.getnnz(axis=1) > 0)
    )
    users = np.sort(np.random.default_rng(seed).permutation(counted)[:USERS])
    found: dict[str, Any] = {}
    served, without = Served(result), Served(fit_without_terms(data))
    for attribute in data.config.attribute_names:
        curves: dict[str, list[dict[str, float]]] = {}
        last: dict[str, dict[str, np.ndarray]] = {}
        points = itertools.chain(
            sweep(served, data.test, attribute, users, STRENGTHS),
            (
                (WITHOUT, *point[1:])
                for point in sweep(without, data.test, attribute, users, STRENGTHS, ("want_hold",))
            ),
        )
        for system, strength, figures in points:
            means = {name: round(float(values.mean()), 5) for name, values in figures.items()}
            curves.setdefault(system, []).append({"strength": strength, **means})
            last[system] = figures
        k = data.config.attribute_names.index(attribute)
        found[attribute] = {
            "num_users": len(last["want"]["share"]),
            "hold": dict(
                zip(data.config.chunk_names, map(float, result.hold_weights[k]), strict=True)
            ),
            "curves": curves,
            "compared": compare(curves),
            "at_full": {
                name: bootstrap.compare(last["want_hold"][name], last["boost"][name])
                for name in ("recall", "drift")
            },
        }
        print(f"{preset} {attribute}: {_word(found[attribute])}", flush=True)
    return found


def fit_without_terms(data: Data) -> FitResult:
    """Fits the preset without the paper's terms: values that are not known are not predicted."""
    from addrl_keras import fit

    return fit(make_losses(data.config)[WITHOUT], data.catalogue, data.interactions)


def _word(found: dict[str, Any]) -> str:
    parts = []
    for row in found["compared"]:
        figures = ", ".join(
            f"{name} {row[name]['recall']:.4f}/{row[name]['drift']:.3f}"
            for name in row
            if isinstance(row[name], dict)
        )
        parts.append(f"share {row['share']:.2f}: {figures}")
    return "; ".join(parts)


def main() -> None:
    """Measures the presets that are named and writes the result."""
    options = make_parser(__doc__).parse_args()
    found = {
        name: measure(name, load_data(name, options.runs), load_result_of_run(name, options.runs))
        for name in options.presets
    }
    print(write_result("control", {"provenance": make_provenance(users=USERS), "presets": found}))


if __name__ == "__main__":
    main()
