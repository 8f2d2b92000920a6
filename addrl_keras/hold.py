"""Want and hold: the weights that keep the rest of a list while a value of one attribute is wanted.

Who asks for another brand wants it at the usual price and in the usual colours. So while a value of
attribute `j` is wanted, the contributions of the other chunks are weighed anew: those of attributes
mostly up, and residual and memory, which know the usual items best, mostly down. The weights are
chosen on validation, where the wanted value is one that a held-out item of the user has, and counts
before everything else.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import scipy.sparse

from addrl_keras.callbacks import Progress
from addrl_keras.catalogue import Catalogue, Interactions
from addrl_keras.config import PAPER
from addrl_keras.metrics import control
from addrl_keras.model import AdDrl

K = 20
WEIGHTS = (0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
# Of the items that have the wanted value, those that can come into a list.
_CANDIDATES = 2000
# Contributions that are in memory at once.
_CONTRIBUTIONS = 2**25


@dataclasses.dataclass(frozen=True)
class Wish:
    """One user who wants one value.

    Args:
        parts: Float `[num_chunks, num_candidates]`, what each chunk contributes to the items that
            have the value.
        is_relevant: Bool `[num_candidates]`, what should be found.
        values: For each other attribute the candidates' values, int `[num_candidates, most]`, -1
            where an item has fewer, and the distribution that the catalogue implies,
            `[num_values]`.
    """

    parts: np.ndarray
    is_relevant: np.ndarray
    values: Sequence[tuple[np.ndarray, np.ndarray]]


def choose_hold_weights(
    model: AdDrl,
    catalogue: Catalogue,
    interactions: Interactions,
    progress: Progress = lambda line: None,
    length: int = K,
) -> np.ndarray:
    """Chooses the weights on validation, chunk by chunk.

    Of each chunk the weight is taken that raises the recall of the held-out items of the wanted
    value, and lowers the drift of the other attributes beyond what the catalogue implies, most: the
    sum of both changes, each relative to where it was.

    Args:
        model: The towers, fitted on `interactions.train`.
        catalogue: The items.
        interactions: Train and validation.
        progress: Called with a line per attribute.
        length: Of the lists.

    Returns:
        Float32 `[num_attributes, num_chunks]`: for each attribute of which a value is wanted, the
        weights of all chunks. All are 1 where there is nothing to choose on, where
        `training.hold_users` is 0, and by the paper's recipe.
    """
    config = model.config
    names = config.chunk_names
    weights = np.ones((len(config.attributes), len(names)), np.float32)
    users = _choose_users(interactions, config.training.hold_users, config.training.seed)
    if config.recipe == PAPER or not len(users):
        return weights
    everybody = make_wishes(model, catalogue, interactions, users, length)
    for k, (name, wishes) in enumerate(zip(config.attribute_names, everybody, strict=True)):
        if not wishes:
            continue
        weights[k], before, after = _search(wishes, k, len(names), length)
        chosen = ", ".join(
            f"{other} {weight:g}"
            for other, weight in zip(names, weights[k], strict=True)
            if weight != 1
        )
        progress(
            f"hold while {name} is wanted: {chosen or 'nothing'}; Recall@{length} "
            f"{before[0]:.3f} -> {after[0]:.3f}, drift {before[1]:.3f} -> {after[1]:.3f}"
        )
    return weights


def make_wishes(
    model: AdDrl,
    catalogue: Catalogue,
    interactions: Interactions,
    users: np.ndarray,
    length: int = K,
) -> list[list[Wish]]:
    """Makes the wishes for values of each attribute.

    Args:
        model: The towers, fitted on `interactions.train`.
        catalogue: The items.
        interactions: Train and validation.
        users: Int `[num_users]`, who wishes.
        length: Of the lists.

    Returns:
        For each attribute a wish for each user who can be given a choice: one with a held-out item
        of known value, where more than `length` items have that value.
    """
    labels = [
        scipy.sparse.csr_matrix(catalogue.values[name].matrix, dtype=np.float32)
        for name in model.config.attribute_names
    ]
    values = [_list_values(part) for part in labels]
    held_out = interactions.validation[users]
    seed = model.config.training.seed
    wanted = [control.choose_wanted(part, held_out, seed) for part in labels]
    wishes: list[list[Wish]] = [[] for _ in labels]
    size = max(1, _CONTRIBUTIONS // (catalogue.num_items * len(model.config.chunk_names)))
    known = scipy.sparse.csr_matrix(interactions.train[users])
    length = min(length, catalogue.num_items)
    for number, parts in enumerate(model.iterate_split_scores(known, size, users)):
        rows = np.arange(number * size, min(len(users), (number + 1) * size))
        scores = np.where(known[rows].toarray() > 0, -np.inf, parts.sum(axis=1))
        neutral = np.argpartition(-scores, length - 1, axis=1)[:, :length]
        before = [control.compute_value_distribution(neutral, part) for part in labels]
        for k, mine in enumerate(labels):
            others = [other for other in range(len(labels)) if other != k]
            implied = {
                other: control.compute_implied_distribution(
                    before[other],
                    np.maximum(wanted[k][rows], 0),
                    mine,
                    labels[other],
                    np.ones(len(rows)),
                )
                for other in others
            }
            for place, row in enumerate(rows):
                if wanted[k][row] < 0:
                    continue
                items = _find_candidates(mine[:, [wanted[k][row]]], scores[place])
                relevant = np.isin(items, held_out[row].indices)
                if len(items) > length and relevant.any():
                    drifting = [(values[j][items], implied[j][place]) for j in others]
                    wishes[k].append(Wish(parts[place][:, items], relevant, drifting))
    return wishes


def measure(wishes: Sequence[Wish], weights: np.ndarray, length: int = K) -> tuple[float, float]:
    """Measures lists in which the wanted value counts before everything else.

    Args:
        wishes: Who wants what.
        weights: Float `[num_chunks]`.
        length: Of the lists.

    Returns:
        The mean recall, and the mean drift of the other attributes beyond what is implied.
    """
    recall, drift = np.zeros(len(wishes)), np.zeros(len(wishes))
    for number, wish in enumerate(wishes):
        best = np.argpartition(-(weights @ wish.parts), length)[:length]
        recall[number] = wish.is_relevant[best].sum() / wish.is_relevant.sum()
        for values, implied in wish.values:
            found = np.bincount(values[best].ravel() + 1, minlength=len(implied) + 1)[1:]
            found = found / max(found.sum(), 1)
            distance = control.compute_total_variation(found, implied)
            drift[number] += distance / len(wish.values)
    return float(recall.mean()), float(drift.mean())


def _search(
    wishes: Sequence[Wish], k: int, num_chunks: int, length: int
) -> tuple[np.ndarray, tuple[float, float], tuple[float, float]]:
    """Searches the weights chunk by chunk; returns them with the figures before and after."""
    weights = np.ones(num_chunks, np.float32)
    before = best = measure(wishes, weights, length)

    def gain(found: tuple[float, float]) -> float:
        return found[0] / max(before[0], 1e-9) - found[1] / max(before[1], 1e-9)

    # The memory and the residual, which come last, matter most.
    for chunk in reversed(range(num_chunks)):
        for weight in WEIGHTS if chunk != k else ():
            tried = weights.copy()
            tried[chunk] = weight
            found = measure(wishes, tried, length)
            # Neither may pay for the other.
            if found[0] >= before[0] and found[1] <= before[1] and gain(found) > gain(best):
                weights, best = tried, found
    return weights, before, best


def _choose_users(interactions: Interactions, count: int, seed: int) -> np.ndarray:
    has_both = (np.diff(interactions.train.indptr) > 0) & (
        np.diff(interactions.validation.indptr) > 0
    )
    order = np.random.default_rng(seed).permutation(np.flatnonzero(has_both))
    return np.sort(order[:count])


def _list_values(labels: scipy.sparse.csr_matrix) -> np.ndarray:
    """Lists the values of each item, int `[num_items, most]`, filled up with -1."""
    lengths = np.diff(labels.indptr)
    listed = np.full((labels.shape[0], max(1, lengths.max(initial=0))), -1)
    listed[np.arange(listed.shape[1]) < lengths[:, None]] = labels.indices
    return listed


def _find_candidates(has_value: scipy.sparse.csr_matrix, scores: np.ndarray) -> np.ndarray:
    """The items that have the value and are not in the history, the best of too many."""
    items = np.flatnonzero((has_value.toarray().ravel() > 0) & np.isfinite(scores))
    if len(items) <= _CANDIDATES:
        return items
    return items[np.argpartition(-scores[items], _CANDIDATES)[:_CANDIDATES]]
