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
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

from addrl_keras.metrics import control, ranking
from benchmarks import bootstrap
from benchmarks.fitted import Data, K, load_data, load_result_of_run
from benchmarks.provenance import ROOT, make_provenance, write_result

USERS = 1000
STRENGTHS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 20.0)
# Shares of the wanted value at which systems are compared, beside the fullest that they reach.
SHARES = (0.5, 0.75, 0.9)
_BATCH = 128

Lists = Callable[[float], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Wishes:
    """Who wishes which value of one attribute, and how a list of theirs is measured.

    Attributes:
        users: Int `[num_users]`, rows of the interactions.
        wanted: Int `[num_users]`, the wanted value.
        has_value: Bool `[num_users, num_items]`, whether an item is known to have it.
        relevant: Binary CSR `[num_users, num_items]`, test items that have it.
        implied: For each other attribute the distribution that the catalogue implies.
        before: For each other attribute that of the list without the wish.
        labels: The known values of all attributes, binary CSR `[num_items, num_values]`.
    """

    users: np.ndarray
    wanted: np.ndarray
    has_value: np.ndarray
    relevant: scipy.sparse.csr_matrix
    implied: Mapping[str, np.ndarray]
    before: Mapping[str, np.ndarray]
    labels: Mapping[str, scipy.sparse.csr_matrix]

    def measure(self, ranked: np.ndarray) -> dict[str, np.ndarray]:
        """Measures lists, int `[num_users, K]`; returns each figure for each user."""
        hits = np.take_along_axis(self.has_value, np.maximum(ranked, 0), axis=1)
        hits &= ranked != ranking.PADDING
        shares = hits.sum(axis=1) / np.maximum((ranked != ranking.PADDING).sum(axis=1), 1)
        now = {
            name: control.compute_value_distribution(ranked, self.labels[name])
            for name in self.implied
        }

        def average(others: Mapping[str, np.ndarray]) -> np.ndarray:
            distances = [control.compute_total_variation(now[name], others[name]) for name in now]
            return np.mean(distances, axis=0)

        return {
            "share": shares,
            "recall": ranking.compute_recall_at_k(ranked, self.relevant),
            "drift": average(self.implied),
            "total_drift": average(self.before),
        }


def make_wishes(data: Data, attribute: str, neutral: Lists, users: np.ndarray) -> Wishes:
    """Makes the wishes for values of one attribute.

    Args:
        data: The data.
        attribute: Its name.
        neutral: Makes the lists without a wish.
        users: Int `[num_users]`, who may wish; those without a test item of known value do not.
    """
    labels = {
        name: scipy.sparse.csr_matrix(data.catalogue.values[name].matrix, dtype=np.float32)
        for name in data.config.attribute_names
    }
    wanted = control.choose_wanted(labels[attribute], data.test[users])
    wishing = wanted >= 0
    users, wanted, ranked = users[wishing], wanted[wishing], neutral(0.0)[wishing]
    has_value = labels[attribute][:, wanted].T.toarray() > 0
    others = [name for name in labels if name != attribute and labels[name].shape[1]]
    before = {name: control.compute_value_distribution(ranked, labels[name]) for name in others}
    implied = {
        name: control.compute_implied_distribution(
            before[name], wanted, labels[attribute], labels[name]
        )
        for name in others
    }
    relevant = scipy.sparse.csr_matrix(data.test[users].multiply(has_value))
    return Wishes(users, wanted, has_value, relevant, implied, before, labels)


class Served:
    """The lists of a served model under wishes.

    Args:
        result: A fitted model.
    """

    def __init__(self, result: Any) -> None:
        from addrl_keras import Recommender

        self._recommender = Recommender(result)
        self._result = result
        self._position = {item.encode(): i for i, item in enumerate(result.catalogue.item_ids)}
        self._position[b""] = ranking.PADDING

    def recommend(self, users: np.ndarray, **settings: Any) -> np.ndarray:
        """Asks for lists.

        Args:
            users: Int `[num_users]`.
            settings: As `Recommender.recommend` takes them; lists have a row a user.

        Returns:
            Int `[num_users, K]`, positions in the catalogue.
        """
        ids = np.array(self._result.interactions.user_ids, dtype=object)[users]
        rows = []
        for start in range(0, len(users), _BATCH):
            part = slice(start, start + _BATCH)
            given = {
                name: value[part] if isinstance(value, list) else value
                for name, value in settings.items()
            }
            answer = self._recommender.recommend(list(ids[part]), k=K, **given)
            rows += [[self._position[item] for item in row] for row in answer["item_ids"].numpy()]
        return np.array(rows)

    def boost(self, wishes: Wishes, strength: float) -> np.ndarray:
        """Re-ranks: the model's scores, and a bonus for every item that is known to be wanted."""
        known = self._result.interactions.known[wishes.users]
        rows = []
        for start in range(0, len(wishes.users), _BATCH):
            part = slice(start, start + _BATCH)
            scores = self._result.model.compute_scores(known[part], wishes.users[part])
            spread = scores.std(axis=1, keepdims=True)
            scores = scores + strength * spread * wishes.has_value[part]
            scores[known[part].nonzero()] = -np.inf
            rows.append(np.argsort(-scores, axis=1, kind="stable")[:, :K])
        return np.concatenate(rows)


def sweep(
    data: Data, result: Any, attribute: str, users: np.ndarray
) -> Iterator[tuple[str, float, dict[str, np.ndarray]]]:
    """Sweeps the strength of wishes for one attribute.

    Yields:
        The name of a system, the strength, and what `Wishes.measure` finds.
    """
    served = Served(result)
    wishes = make_wishes(data, attribute, lambda _: served.recommend(users), users)
    names = data.catalogue.values[attribute].names
    targets = [[f"{attribute}={names[value]}"] for value in wishes.wanted]
    k = data.config.attribute_names.index(attribute)
    full = data.config.model.target_strength
    for strength in STRENGTHS:
        # Who wishes half as much holds half as much, as `serving.requests.combine_holds` does.
        hold = result.hold_weights[k : k + 1] ** min(1.0, strength / full)
        wish = {"attribute_targets": targets, "target_strength": np.float32([strength])}
        yield "want", strength, wishes.measure(served.recommend(wishes.users, **wish))
        held = served.recommend(wishes.users, attribute_weights=hold, **wish)
        yield "want_hold", strength, wishes.measure(held)
        yield "boost", strength, wishes.measure(served.boost(wishes, strength))
    only = served.recommend(wishes.users, attribute_filters=targets)
    yield "filter", float("inf"), wishes.measure(only)


def measure(preset: str, data: Data, result: Any, seed: int = 0) -> dict[str, Any]:
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
    for attribute in data.config.attribute_names:
        curves: dict[str, list[dict[str, float]]] = {}
        last: dict[str, dict[str, np.ndarray]] = {}
        for system, strength, figures in sweep(data, result, attribute, users):
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


def compare(curves: Mapping[str, list[dict[str, float]]]) -> list[dict[str, Any]]:
    """Compares systems where the wanted value has the same share of the list.

    Args:
        curves: By system the means at each strength, by rising strength.

    Returns:
        For each of `SHARES` that all reach, and the fullest that all reach: `share`, and by system
        `recall` and `drift`, between the strengths on a straight line.
    """
    swept = [name for name in ("boost", "want", "want_hold") if name in curves]
    full = min(max(point["share"] for point in curves[name]) for name in swept)
    lowest = max(curves[name][0]["share"] for name in swept)
    rows: list[dict[str, Any]] = []
    for share in (*(each for each in SHARES if lowest <= each < full), full):
        row: dict[str, Any] = {"share": share, "is_full": share == full}
        for name in swept:
            row[name] = {
                figure: interpolate(curves[name], share, figure) for figure in ("recall", "drift")
            }
        rows.append(row)
    return rows


def interpolate(points: list[dict[str, float]], share: float, figure: str) -> float:
    """Reads a figure off a curve at a share, between its points on a straight line."""
    order = np.argsort([point["share"] for point in points], kind="stable")
    shares = [points[i]["share"] for i in order]
    return round(float(np.interp(share, shares, [points[i][figure] for i in order])), 5)


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
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("presets", nargs="+")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs")
    options = parser.parse_args()
    found = {
        name: measure(name, load_data(name, options.runs), load_result_of_run(name, options.runs))
        for name in options.presets
    }
    print(write_result("control", {"provenance": make_provenance(users=USERS), "presets": found}))


if __name__ == "__main__":
    main()
