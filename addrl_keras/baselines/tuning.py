"""Choosing a baseline's hyper-parameters on validation, and measuring it on test."""

from __future__ import annotations

import copy
import dataclasses
import math
import time
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import scipy.sparse

from addrl_keras.baselines.base import Baseline
from addrl_keras.baselines.content_blend import ContentBlend
from addrl_keras.baselines.ease import EASE
from addrl_keras.baselines.item_knn import ItemKNN
from addrl_keras.baselines.keras_rs_two_tower import KerasRsTwoTower
from addrl_keras.baselines.learnt import LearntBaseline, Progress
from addrl_keras.baselines.macrid_vae import MacridVAE
from addrl_keras.baselines.most_popular import MostPopular
from addrl_keras.baselines.tfrs_two_tower import TfrsTwoTower
from addrl_keras.catalogue import Catalogue, Interactions
from addrl_keras.config import StartConfig
from addrl_keras.memory import find_shortage
from addrl_keras.metrics.ranking import (
    compute_ndcg_at_k,
    compute_recall_at_k,
    compute_sliced_metrics,
    rank_users,
)

RIDGES = (30.0, 100.0, 200.0, 300.0, 500.0)
WEIGHTED_RIDGES = (10.0, 30.0, 100.0)
AUXILIARY_WEIGHTS = (0.5, 1.0)
# Above so many items one fit takes minutes where it takes seconds below, and the optimum is flat.
LARGE_CATALOGUE = 8000


# What every run is compared with, in seconds; the others are fitted on request.
QUICK = ("most_popular", "item_knn", "ease")
BASELINES = (*QUICK, "content_blend", "tfrs_two_tower", "keras_rs_two_tower", "macrid_vae")
# Those that form matrices of items by items.
_DENSE = ("ease", "content_blend")
# Those that gradients train, whose result hangs on a seed, and what is tried of each option. They
# take minutes a fit, so options are chosen one after the other, and not all against all.
_LEARNT: dict[str, tuple[type[LearntBaseline], dict[str, tuple[Any, ...]]]] = {
    "tfrs_two_tower": (
        TfrsTwoTower,
        {"dim": (32, 128, 256), "learning_rate": (0.1, 0.5), "batch_size": (1024, 8192)},
    ),
    "keras_rs_two_tower": (
        KerasRsTwoTower,
        {"dim": (32, 128, 256, 512), "learning_rate": (0.1, 0.03)},
    ),
    "macrid_vae": (MacridVAE, {"beta": (0.2, 0.02, 1.0), "concepts": (4, 7)}),
}
LEARNT = tuple(_LEARNT)


@dataclasses.dataclass(frozen=True)
class Content:
    """What a baseline of content rests on.

    Attributes:
        catalogue: The items with their content.
        start: What their blend was chosen to be.
    """

    catalogue: Catalogue
    start: StartConfig


def choose_baseline(
    name: str,
    interactions: Interactions,
    k: int = 20,
    content: Content | None = None,
    seed: int = 0,
    progress: Progress = lambda line: None,
) -> Baseline:
    """Chooses a baseline's hyper-parameters on validation, and fits it on all that is known.

    Args:
        name: One of `BASELINES`.
        interactions: What to choose on and to fit on.
        k: Length of the lists.
        content: Needed by `content_blend`.
        seed: Of those in `LEARNT`.
        progress: Called with lines while one of `LEARNT` is trained.

    Raises:
        ValueError: There is no baseline of that name, or it lacks its content.
    """
    if name not in _LEARNT:
        size, auxiliary = interactions.train.shape[1], interactions.auxiliary
        return tune(make_candidates(name, size, content, auxiliary), interactions, k)
    kind, options = _LEARNT[name]
    best = kind(seed=seed)
    figure = -math.inf
    for option, values in options.items():
        # What the best so far has was measured with the option before.
        untried = [each for each in values if figure < 0 or each != getattr(best, option)]
        for value in untried:
            candidate = dataclasses.replace(best, **{option: value})
            progress(f"{name}: {option} {value}")
            found, candidate = candidate.validate(interactions, k, progress)
            if found > figure:
                figure, best = found, candidate
    return copy.copy(best).fit(interactions.known)


def make_candidates(
    name: str,
    num_items: int,
    content: Content | None = None,
    auxiliary: scipy.sparse.csr_matrix | None = None,
) -> list[Baseline]:
    """Makes the grid of a baseline in closed form.

    Args:
        name: One of `BASELINES` that is not in `LEARNT`.
        num_items: Size of the catalogue; above `LARGE_CATALOGUE` the grids are coarser.
        content: Needed by `content_blend`.
        auxiliary: Auxiliary interactions, binary CSR `[num_auxiliary_users, num_items]`; the grid
            then has candidates with them beside those without.

    Raises:
        ValueError: There is no baseline of that name, or it lacks its content.
    """
    coarse = num_items > LARGE_CATALOGUE
    if name == "most_popular":
        return [MostPopular()]
    if name == "item_knn":
        return [
            ItemKNN(shrink, count, exponent, rows)
            for rows in ((None,) if auxiliary is None else (None, auxiliary))
            for shrink in ((0.0, 30.0) if coarse else (0.0, 10.0, 30.0))
            for count in ((100,) if coarse else (20, 50, 100, 200))
            for exponent in (0.5, 0.7, 0.9)
        ]
    if name == "ease":
        ridges, weighted = ((100.0, 300.0), (30.0,)) if coarse else (RIDGES, WEIGHTED_RIDGES)
        # Weighting long users down shrinks the Gram matrix, and the ridge with it.
        plain = [
            *(EASE(ridge) for ridge in ridges),
            *(EASE(ridge, user_exponent=0.5) for ridge in weighted),
        ]
        more = [
            dataclasses.replace(one, auxiliary=auxiliary, auxiliary_weight=weight)
            for weight in (() if auxiliary is None else AUXILIARY_WEIGHTS)
            for one in plain
        ]
        return [*plain, *more]
    if name == "content_blend" and content is not None:
        # Its weights were chosen on validation with those of our model.
        return [ContentBlend(content.start, content.catalogue, auxiliary)]
    if name == "content_blend":
        raise ValueError("content_blend needs the content of the items. Received: content=None")
    closed_form = ", ".join(each for each in BASELINES if each not in LEARNT)
    raise ValueError(f"name must be one of {closed_form}. Received: {name!r}")


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
        _, best = max(
            (candidate.validate(interactions, k) for candidate in candidates),
            key=lambda found: found[0],
        )
    return copy.copy(best).fit(interactions.known)


def evaluate_baselines(
    interactions: Interactions,
    test: scipy.sparse.csr_matrix,
    k: int = 20,
    slices: Mapping[str, Mapping[str, np.ndarray]] | None = None,
    names: Iterable[str] = QUICK,
    content: Content | None = None,
    progress: Progress = lambda line: None,
) -> dict[str, dict[str, Any]]:
    """Tunes each baseline on validation and measures it on test.

    A baseline whose matrices the machine cannot hold is left out.

    Args:
        interactions: What the baselines are chosen and fitted on.
        test: Binary CSR `[num_users, num_items]`, over the same users and items.
        k: Length of the lists.
        slices: For each attribute and value, bool `[num_items]`: the items that have it.
        names: Which of `BASELINES`.
        content: Needed by `content_blend`.
        progress: Called with a line for each that is left out, and while one is trained.

    Returns:
        By name: `recall_at_K`, `ndcg_at_K`, `num_users`, `hyperparameters`, `seconds`, and
        `slices`, the two metrics by attribute and value where there are test items; in plain Python
        values that JSON can hold.
    """
    results: dict[str, dict[str, Any]] = {}
    for name in names:
        start = time.monotonic()
        shortage = find_shortage(test.shape[1]) if name in _DENSE else ""
        if shortage:
            progress(f"{name} is left out: it forms {shortage}")
            continue
        baseline = choose_baseline(name, interactions, k, content, progress=progress)
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
    users, ranked = rank_users(baseline.score, known, test, k, pass_users=True)
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
