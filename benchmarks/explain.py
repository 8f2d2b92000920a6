"""Whether the reasons are the reasons: deletion and insertion curves, and preferences on the test.

    python -m benchmarks.explain hm toys --runs RUNS    # writes results/explain.json

**Chunks.** For every user's first recommendation the chunks are taken out of the score one by one
(deletion) or put in (insertion), in the order of what they claim to add beyond their average, in
the reverse order, and at random. A claim that is true pushes the item down the catalogue at once.
**Past items.** The past items that claim most are taken out of the user's history, and all items
are scored anew. **Preferences.** The value that a profile says a user likes most is looked for
among the user's test items, beside the value that the user's history has most often, and the one
that most of what everybody took has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.sparse

from addrl_keras.metrics.control import normalize_counts
from addrl_keras.model import AdDrl
from addrl_keras.new_items import compute_weights
from benchmarks.fitted import Data, load_data, load_result_of_run, make_parser
from benchmarks.provenance import make_provenance, write_result

USERS = 2000
PAST = (1, 2, 3, 5)
_BATCH = 64


def measure(data: Data, result: Any, seed: int = 0) -> dict[str, Any]:
    """Measures the reasons of a fitted model, for users with a test item.

    Returns:
        `chunks`, `past` and `preferences`, see the functions that make them.
    """
    has_both = (data.interactions.known.getnnz(axis=1) > max(PAST)) & (data.test.getnnz(axis=1) > 0)
    order = np.random.default_rng(seed).permutation(np.flatnonzero(has_both))
    users = np.sort(order[:USERS])
    return {
        "num_users": len(users),
        "chunks": measure_chunks(result.model, data, users, seed),
        "past": measure_past(result.model, data, users, seed),
        "preferences": measure_preferences(result, data, users),
    }


def measure_chunks(model: AdDrl, data: Data, users: np.ndarray, seed: int) -> dict[str, Any]:
    """Takes chunks out of, and puts them into, the score of every user's first recommendation.

    Returns:
        `deletion` and `insertion`: by order (`claimed`, `random`, `reverse`) the mean over users of
        the item's place after 0, 1, ... chunks, as the share of the catalogue that is behind it.
    """
    generator = np.random.default_rng(seed)
    curves: dict[str, dict[str, list[np.ndarray]]] = {"deletion": {}, "insertion": {}}
    for start in range(0, len(users), _BATCH):
        rows = users[start : start + _BATCH]
        known = scipy.sparse.csr_matrix(data.interactions.known[rows])
        parts = model.split_scores(known, rows)
        scores = np.where(known.toarray() > 0, -np.inf, parts.sum(axis=1))
        first = scores.argmax(axis=1)
        for row, item in enumerate(first):
            lifts = parts[row, :, item] - parts[row].mean(axis=1)
            orders = {
                "claimed": np.argsort(-lifts),
                "random": generator.permutation(len(lifts)),
                "reverse": np.argsort(lifts),
            }
            for name, order in orders.items():
                inserted = np.concatenate(
                    [np.zeros((1, parts.shape[2]), np.float32), parts[row][order].cumsum(axis=0)]
                )
                deleted = inserted[-1] - inserted
                # What is left of all chunks is nothing, up to rounding.
                deleted[-1] = 0.0
                for kind, steps in (("deletion", deleted), ("insertion", inserted)):
                    curves[kind].setdefault(name, []).append(find_place(steps, item))
    return {
        kind: {name: np.mean(rows, axis=0).round(4).tolist() for name, rows in orders.items()}
        for kind, orders in curves.items()
    }


def find_place(scores: np.ndarray, item: int) -> np.ndarray:
    """Finds the share of the catalogue that is behind an item; of equals half.

    Args:
        scores: Float `[num_steps, num_items]`.
        item: Its position.

    Example:
        >>> find_place(np.array([[1.0, 2.0, 0.0], [1.0, 1.0, 1.0]]), 1)
        array([1. , 0.5])
    """
    own = scores[:, item][:, None]
    behind = (scores < own).sum(axis=1) + 0.5 * ((scores == own).sum(axis=1) - 1)
    return behind / (scores.shape[1] - 1)


def measure_past(model: AdDrl, data: Data, users: np.ndarray, seed: int) -> dict[str, Any]:
    """Takes past items out of the history, and asks for the place of the first recommendation.

    Returns:
        By order the mean place after each of 0 and `PAST` items, as in `measure_chunks`.
    """
    generator = np.random.default_rng(seed)
    curves: dict[str, list[np.ndarray]] = {}
    query, vectors = model.user_tower.query.numpy(), np.asarray(model.item_tower(None))
    weights = compute_weights(model, vectors, query, np.arange(len(vectors)))
    known = scipy.sparse.csr_matrix(data.interactions.known[users])
    for row in range(len(users)):
        history = known.indices[known.indptr[row] : known.indptr[row + 1]]
        # The length of a history scales all scores alike, so it moves no place.
        scores = weights[history].sum(axis=0)
        scores[history] = -np.inf
        item = int(scores.argmax())
        evidence = weights[history, item]
        orders = {
            "claimed": np.argsort(-evidence),
            "random": generator.permutation(len(history)),
            "reverse": np.argsort(evidence),
        }
        for name, order in orders.items():
            left = [weights[np.delete(history, order[:count])].sum(axis=0) for count in (0, *PAST)]
            curves.setdefault(name, []).append(find_place(np.stack(left), item))
    return {
        "counts": [0, *PAST],
        **{name: np.mean(rows, axis=0).round(4).tolist() for name, rows in curves.items()},
    }


def measure_preferences(result: Any, data: Data, users: np.ndarray) -> dict[str, Any]:
    """Looks for the most liked value of each attribute among the user's test items.

    Returns:
        By attribute: the mean share of a user's test items (of known value) that have the value
        that the profile expects most (`profile`), which the history has most often (`counting`),
        and which most of what everybody took has (`base_rate`).
    """
    from addrl_keras import Recommender

    recommender = Recommender(result)
    ids = np.array(result.interactions.user_ids, dtype=object)[users]
    answers = [
        recommender.profile(list(ids[start : start + _BATCH]))
        for start in range(0, len(users), _BATCH)
    ]
    expected = np.concatenate([np.asarray(each["value_expected_shares"]) for each in answers])
    counted = np.concatenate([np.asarray(each["value_history_shares"]) for each in answers])
    taken = np.asarray(data.interactions.known.sum(axis=0)).ravel()
    found, offset = {}, 0
    for name in data.config.attribute_names:
        labels = data.catalogue.values[name].matrix
        part = slice(offset, offset + labels.shape[1])
        offset += labels.shape[1]
        test = data.test[users]
        shares = normalize_counts((test @ labels).toarray().astype(float))
        known = shares.sum(axis=1) > 0
        base = int((taken @ labels).argmax())
        choices: Mapping[str, np.ndarray] = {
            "profile": expected[:, part].argmax(axis=1),
            "counting": counted[:, part].argmax(axis=1),
            "base_rate": np.full(len(users), base),
        }
        found[name] = {
            kind: round(float(shares[known, choice[known]].mean()), 4)
            for kind, choice in choices.items()
        }
    return found


def main() -> None:
    """Measures the presets that are named and writes the result."""
    options = make_parser(__doc__).parse_args()
    found = {}
    for name in options.presets:
        data = load_data(name, options.runs)
        found[name] = measure(data, load_result_of_run(name, options.runs))
        print(f"{name}: {found[name]}", flush=True)
    print(write_result("explain", {"provenance": make_provenance(users=USERS), "presets": found}))


if __name__ == "__main__":
    main()
