"""Control curves: what a wish for a value does to a list, and what it costs.

Each user wishes a value that one of the user's test items has. The strength of the wish is swept,
and the served lists are measured: the share of the wanted value, the recall of the test items that
have it, and the drift of the other attributes beyond what the wanted value itself implies in the
catalogue (`addrl_keras.metrics.control`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import scipy.sparse

from addrl_keras.metrics import control, ranking
from addrl_keras.recommender import Recommender
from addrl_keras.training import FitResult

K = 20
SYSTEMS = ("want", "want_hold", "boost", "filter")
# Shares of the wanted value at which systems are compared, beside the fullest that they reach.
SHARES = (0.5, 0.75, 0.9)
_BATCH = 128


@dataclasses.dataclass(frozen=True)
class Wishes:
    """Who wishes which value of one attribute, and how a list of theirs is measured.

    Attributes:
        users: Int `[num_users]`, rows of the interactions.
        wanted: Int `[num_users]`, the wanted value.
        has_value: Bool `[num_users, num_items]`, whether an item is known to have it.
        relevant: Binary CSR `[num_users, num_items]`, test items that have it.
        attribute: Its name.
        before: For each other attribute its distribution in the list without the wish.
        labels: The known values of all attributes, binary CSR `[num_items, num_values]`.
    """

    users: np.ndarray
    wanted: np.ndarray
    has_value: np.ndarray
    relevant: scipy.sparse.csr_matrix
    attribute: str
    before: Mapping[str, np.ndarray]
    labels: Mapping[str, scipy.sparse.csr_matrix]

    def measure(self, ranked: np.ndarray) -> dict[str, np.ndarray]:
        """Measures lists, int `[num_users, K]`; returns each figure for each user."""
        hits = np.take_along_axis(self.has_value, np.maximum(ranked, 0), axis=1)
        hits &= ranked != ranking.PADDING
        shares = hits.sum(axis=1) / np.maximum((ranked != ranking.PADDING).sum(axis=1), 1)
        drift, total = [], []
        for name, before in self.before.items():
            now = control.compute_value_distribution(ranked, self.labels[name])
            implied = control.compute_implied_distribution(
                before, self.wanted, self.labels[self.attribute], self.labels[name], shares
            )
            drift.append(control.compute_total_variation(now, implied))
            total.append(control.compute_total_variation(now, before))
        return {
            "share": shares,
            "recall": ranking.compute_recall_at_k(ranked, self.relevant),
            # Where there is no other attribute, nothing drifts.
            "drift": np.mean(drift, axis=0) if drift else np.zeros(len(ranked)),
            "total_drift": np.mean(total, axis=0) if total else np.zeros(len(ranked)),
        }


def make_wishes(
    result: FitResult,
    test: scipy.sparse.csr_matrix,
    attribute: str,
    users: np.ndarray,
    neutral: np.ndarray,
) -> Wishes:
    """Makes the wishes for values of one attribute: each user's is of one of the user's test items.

    Args:
        result: A fitted model.
        test: Binary CSR `[num_users, num_items]`, what should be found.
        attribute: Its name.
        users: Int `[num_users]`, who may wish; those without a test item of known value do not.
        neutral: Int `[num_users, K]`, their lists without a wish.
    """
    labels = {
        name: scipy.sparse.csr_matrix(result.catalogue.values[name].matrix, dtype=np.float32)
        for name in result.model.config.attribute_names
    }
    wanted = control.choose_wanted(labels[attribute], test[users])
    wishing = wanted >= 0
    users, wanted, ranked = users[wishing], wanted[wishing], neutral[wishing]
    has_value = labels[attribute][:, wanted].T.toarray() > 0
    others = [name for name in labels if name != attribute]
    before = {name: control.compute_value_distribution(ranked, labels[name]) for name in others}
    relevant = scipy.sparse.csr_matrix(test[users].multiply(has_value))
    return Wishes(users, wanted, has_value, relevant, attribute, before, labels)


class Served:
    """The lists of a served model under wishes.

    Args:
        result: A fitted model.
    """

    def __init__(self, result: FitResult) -> None:
        self.recommender = Recommender(result)
        self.result = result
        self._position = {item.encode(): i for i, item in enumerate(result.catalogue.item_ids)}
        self._position[b""] = ranking.PADDING

    def recommend(self, users: np.ndarray, **settings: Any) -> np.ndarray:
        """Asks for lists.

        Args:
            users: Int `[num_users]`.
            settings: As `Recommender.recommend` takes them; lists have a row a user.

        Returns:
            Int `[num_users, K]`, positions in the catalogue; shorter where it has fewer items.
        """
        length = min(K, self.result.catalogue.num_items)
        ids = np.array(self.result.interactions.user_ids, dtype=object)[users]
        rows = []
        for start in range(0, len(users), _BATCH):
            part = slice(start, start + _BATCH)
            given = {
                name: value[part] if isinstance(value, list) else value
                for name, value in settings.items()
            }
            answer = self.recommender.recommend(list(ids[part]), k=length, **given)
            rows += [[self._position[item] for item in row] for row in answer["item_ids"].numpy()]
        return np.array(rows, int).reshape(len(rows), length)

    def boost(self, wishes: Wishes, strength: float) -> np.ndarray:
        """Re-ranks: the model's scores, and a bonus for every item that is known to be wanted."""
        known = self.result.interactions.known[wishes.users]
        rows = []
        for start in range(0, len(wishes.users), _BATCH):
            part = slice(start, start + _BATCH)
            scores = self.result.model.compute_scores(known[part], wishes.users[part])
            spread = scores.std(axis=1, keepdims=True)
            scores = scores + strength * spread * wishes.has_value[part]
            scores[known[part].nonzero()] = -np.inf
            rows.append(np.argsort(-scores, axis=1, kind="stable")[:, :K])
        return np.concatenate(rows)


def sweep(
    served: Served,
    test: scipy.sparse.csr_matrix,
    attribute: str,
    users: np.ndarray,
    strengths: Sequence[float],
    systems: Sequence[str] = SYSTEMS,
) -> Iterator[tuple[str, float, dict[str, np.ndarray]]]:
    """Sweeps the strength of wishes for the values of one attribute.

    Args:
        served: Whose lists.
        test: Binary CSR `[num_users, num_items]`, what should be found.
        attribute: Its name.
        users: Int `[num_users]`, who may wish.
        strengths: In standard deviations of a user's scores.
        systems: Which of `SYSTEMS`: the wish alone (`want`), with the weights that hold the rest
            (`want_hold`), re-ranking by a bonus for the known label (`boost`), and only items of
            the wanted value (`filter`, once, at infinite strength).

    Yields:
        The name of a system, the strength, and what `Wishes.measure` finds; nothing where nobody
        has a test item of known value.
    """
    result = served.result
    config = result.model.config
    wishes = make_wishes(result, test, attribute, users, served.recommend(users))
    if not len(wishes.users):
        return
    names = result.catalogue.values[attribute].names
    targets = [[f"{attribute}={names[value]}"] for value in wishes.wanted]
    hold = result.hold_weights[config.attribute_names.index(attribute)][None]
    for strength in strengths:
        wish = {"attribute_targets": targets, "target_strength": np.array([strength], np.float32)}
        if "want" in systems:
            yield "want", strength, wishes.measure(served.recommend(wishes.users, **wish))
        if "want_hold" in systems:
            held = served.recommend(wishes.users, hold_weights=hold, **wish)
            yield "want_hold", strength, wishes.measure(held)
        if "boost" in systems:
            yield "boost", strength, wishes.measure(served.boost(wishes, strength))
    if "filter" in systems:
        only = served.recommend(wishes.users, attribute_filters=targets)
        yield "filter", float("inf"), wishes.measure(only)


def compare(curves: Mapping[str, list[dict[str, float]]]) -> list[dict[str, Any]]:
    """Compares systems where the wanted value has the same share of the list.

    Args:
        curves: By system the means at each strength, by rising strength.

    Returns:
        For each of `SHARES` that a wish and the re-ranking reach, and the fullest that they reach:
        `share`, and by system `recall` and `drift`, between the strengths on a straight line; of
        further systems where they reach it.
    """
    swept = [name for name in ("boost", "want", "want_hold") if name in curves]
    full = min(max(point["share"] for point in curves[name]) for name in swept)
    lowest = max(curves[name][0]["share"] for name in swept)
    rows: list[dict[str, Any]] = []
    for share in (*(each for each in SHARES if lowest <= each < full), full):
        row: dict[str, Any] = {"share": share, "is_full": share == full}
        for name in curves:
            if name == "filter" or share > max(point["share"] for point in curves[name]):
                continue
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
