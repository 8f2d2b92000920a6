"""Choosing a baseline's hyper-parameters on validation, and measuring it on test."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import scipy.sparse

from addrl_keras.baselines.base import Baseline
from addrl_keras.baselines.ease import EASE
from addrl_keras.baselines.item_knn import ItemKNN
from addrl_keras.baselines.most_popular import MostPopular
from addrl_keras.catalogue import Interactions
from addrl_keras.metrics.ranking import (
    compute_ndcg_at_k,
    compute_ranking_metrics,
    compute_recall_at_k,
    compute_sliced_metrics,
    rank_users,
)

RIDGES = (30.0, 100.0, 200.0, 300.0, 500.0)
WEIGHTED_RIDGES = (10.0, 30.0, 100.0)
# Above so many items one fit takes minutes where it takes seconds below, and the optimum is flat.
LARGE_CATALOGUE = 8000


def make_candidates(num_items: int) -> dict[str, list[Baseline]]:
    """Makes the grid of each baseline, by name.

    Args:
        num_items: Size of the catalogue; above `LARGE_CATALOGUE` the grids are coarser.
    """
    coarse = num_items > LARGE_CATALOGUE
    neighbours: list[Baseline] = [
        ItemKNN(shrink, count, exponent)
        for shrink in ((0.0, 30.0) if coarse else (0.0, 10.0, 30.0))
        for count in ((100,) if coarse else (20, 50, 100, 200))
        for exponent in (0.5, 0.7, 0.9)
    ]
    # Weighting long users down shrinks the Gram matrix, and the ridge with it.
    ease: list[Baseline] = [EASE(ridge) for ridge in ((100.0, 300.0) if coarse else RIDGES)]
    ease += [EASE(ridge, user_exponent=0.5) for ridge in ((30.0,) if coarse else WEIGHTED_RIDGES)]
    return {"most_popular": [MostPopular()], "item_knn": neighbours, "ease": ease}


def tune(candidates: Iterable[Baseline], interactions: Interactions, k: int = 20) -> Baseline:
    """Chooses the candidate with the best NDCG@k on validation, and fits it on all that is known.

    Args:
        candidates: Baselines that need not be fitted; they are not changed.
        interactions: The candidates are fitted on `train` and compared on `validation`.
        k: Length of the lists.

    Returns:
        A copy of the best candidate, fitted on train and validation together.

    Raises:
        ValueError: There is no candidate, or there are several and validation is empty.
    """
    candidates = list(candidates)
    if not candidates:
        raise ValueError("tune needs at least one candidate. Received: none")
    best = candidates[0]
    if len(candidates) > 1:
        best = max(candidates, key=lambda candidate: _validate(candidate, interactions, k))
    return copy.copy(best).fit(interactions.known)


def evaluate_baselines(
    interactions: Interactions,
    test: scipy.sparse.csr_matrix,
    k: int = 20,
    slices: Mapping[str, Mapping[str, np.ndarray]] | None = None,
) -> dict[str, dict[str, Any]]:
    """Tunes each baseline on validation and measures it on test.

    Args:
        interactions: What the baselines are chosen and fitted on.
        test: Binary CSR `[num_users, num_items]`, over the same users and items.
        k: Length of the lists.
        slices: For each attribute and value, bool `[num_items]`: the items that have it.

    Returns:
        By name (`most_popular`, `item_knn`, `ease`): `recall_at_K`, `ndcg_at_K`, `num_users`,
        `hyperparameters`, `seconds`, and `slices`, the two metrics by attribute and value where
        there are test items; in plain Python values that JSON can hold.
    """
    results: dict[str, dict[str, Any]] = {}
    for name, candidates in make_candidates(interactions.train.shape[1]).items():
        start = time.monotonic()
        baseline = tune(candidates, interactions, k)
        results[name] = {
            **_measure(baseline, interactions.known, test, k, slices or {}),
            "hyperparameters": baseline.hyperparameters,
            "seconds": round(time.monotonic() - start, 2),
        }
    return results


def _measure(
    baseline: Baseline,
    known: scipy.sparse.csr_matrix,
    test: scipy.sparse.csr_matrix,
    k: int,
    slices: Mapping[str, Mapping[str, np.ndarray]],
) -> dict[str, Any]:
    users, ranked = rank_users(baseline.score, known, test, k)
    relevant = test[users]
    return {
        f"recall_at_{k}": float(compute_recall_at_k(ranked, relevant).mean()),
        f"ndcg_at_{k}": float(compute_ndcg_at_k(ranked, relevant).mean()),
        "num_users": len(users),
        "slices": {
            attribute: {
                value: compute_sliced_metrics(ranked, relevant, members, k)
                for value, members in values.items()
                if relevant[:, members].nnz
            }
            for attribute, values in slices.items()
        },
    }


def _validate(candidate: Baseline, interactions: Interactions, k: int) -> float:
    """Returns NDCG@k on validation of a copy, so that its weights are freed at once."""
    fitted = copy.copy(candidate).fit(interactions.train)
    metrics = compute_ranking_metrics(fitted.score, interactions.train, interactions.validation, k)
    return float(metrics[f"ndcg_at_{k}"])
