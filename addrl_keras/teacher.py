"""The teacher: which item-to-item weights `W` the closed-form start is built from.

`W` blends what was bought together with what looks alike:

    W = D^-a (sum_t blend_t W_t / (mean row sum of |W_t|)) D^a

where `W_t` is EASE on a Gram matrix with side information, ItemKNN, a low-pass filter on the graph
of users and items, or the nearest neighbours by one modality or attribute; `D` holds the number of
users of each item.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse
import scipy.sparse.linalg

from addrl_keras.baselines.ease import (
    add_auxiliary,
    compute_ease_weights,
    compute_user_weighted_gram,
)
from addrl_keras.baselines.item_knn import compute_similarity as compute_co_occurrence
from addrl_keras.baselines.item_knn import keep_neighbours
from addrl_keras.catalogue import Catalogue, Features, compute_similarity
from addrl_keras.config import EASE, ITEM_KNN, SPECTRAL, StartConfig


def get_evidence(catalogue: Catalogue, name: str) -> Features:
    """Gets the rows `[num_items, dim]` of an attribute's values or a modality's features."""
    if name in catalogue.values:
        return catalogue.values[name].matrix
    return catalogue.features[name]


def compute_gram(
    history: scipy.sparse.csr_matrix,
    catalogue: Catalogue,
    start: StartConfig,
    auxiliary: scipy.sparse.csr_matrix | None = None,
) -> np.ndarray:
    """Computes `X' N_X X + auxiliary_weight A' N_A A + sum_s weight_s F_s F_s'`.

    `N` weights each row by its number of items to the power of `-user_exponent`. A user's auxiliary
    interactions `A` are a row of their own, beside that of the history `X`.

    Args:
        history: Binary CSR `X` `[num_users, num_items]`.
        catalogue: Where the side information comes from.
        start: Its `user_exponent`, `auxiliary_weight` and `side_information`.
        auxiliary: Binary CSR `A` `[num_auxiliary_users, num_items]`.

    Returns:
        Float32 `[num_items, num_items]`.

    Raises:
        ValueError: Auxiliary interactions count, and there are none.
    """
    gram = compute_user_weighted_gram(history, start.user_exponent)
    if start.auxiliary_weight:
        if auxiliary is None:
            raise ValueError(
                "start.auxiliary_weight counts auxiliary interactions, and there are none. "
                f"Received: auxiliary=None with the weight {start.auxiliary_weight:g}"
            )
        add_auxiliary(gram, auxiliary, start.auxiliary_weight, start.user_exponent)
    for name, weight in start.side_information:
        rows = get_evidence(catalogue, name)
        gram += weight * compute_similarity(rows, rows)
    return gram


def compute_content_neighbours(rows: Features, neighbours: int, power: float) -> np.ndarray:
    """Computes cosines to a power, with the largest entries of each column kept.

    Args:
        rows: Features `[num_items, dim]`.
        neighbours: Entries kept per column; of equal ones all are kept.
        power: Above 1 it favours the nearest.

    Returns:
        Float32 `[num_items, num_items]` with a zero diagonal.
    """
    similarity = np.maximum(compute_similarity(rows, rows), 0.0) ** power
    np.fill_diagonal(similarity, 0.0)
    if neighbours < len(similarity):
        least = np.partition(similarity, -neighbours, axis=0)[-neighbours]
        similarity[similarity < least] = 0.0
    return similarity


def compute_smooth_vectors(history: scipy.sparse.csr_matrix, rank: int) -> np.ndarray:
    """Computes the smoothest signals over the items, `V`.

    `V` holds the leading right singular vectors of `D_u^-1/2 X D_i^-1/2`, where `D_u` and `D_i` are
    the numbers of items of each user and of users of each item: two items are alike where many
    short paths lead from one to the other, not only where users took both.

    Args:
        history: Binary CSR `X` `[num_users, num_items]`.
        rank: Vectors kept; fewer where there are fewer users or items.

    Returns:
        Float32 `[num_items, vectors kept]`, orthonormal columns; none without interactions.

    Reference:
        Shen et al., How Powerful is Graph Convolution for Recommendation?, CIKM 2021, section 4
        (the ideal low-pass filter of GF-CF).
    """
    users, items = (
        scipy.sparse.diags(np.maximum(np.asarray(history.sum(axis=axis)).ravel(), 1.0) ** -0.5)
        for axis in (1, 0)
    )
    normalised = users @ history @ items
    rank = min(rank, min(history.shape) - 1)
    if rank < 1 or not history.nnz:
        return np.zeros((history.shape[1], 0), np.float32)
    # A start of its own, so that the same history gives the same vectors.
    start = np.ones(min(history.shape)) / min(history.shape)
    vectors = scipy.sparse.linalg.svds(normalised, k=rank, v0=start)[2].T
    return np.ascontiguousarray(vectors, dtype=np.float32)


def compute_low_pass(history: scipy.sparse.csr_matrix, rank: int) -> np.ndarray:
    """Computes the projector on the smoothest signals over the items, `V V'`.

    Args:
        history: Binary CSR `[num_users, num_items]`.
        rank: Signals that pass.

    Returns:
        Float32 `[num_items, num_items]` with a zero diagonal.
    """
    vectors = compute_smooth_vectors(history, rank)
    projector = vectors @ vectors.T
    np.fill_diagonal(projector, 0.0)
    return projector


def compute_popularity_factor(history: scipy.sparse.csr_matrix, exponent: float) -> np.ndarray:
    """Computes `D^a`: the number of users of each item to a power, float32 `[num_items]`."""
    counts = np.asarray(history.sum(axis=0), dtype=np.float32).ravel()
    return np.asarray(np.maximum(counts, 1.0) ** np.float32(exponent))


def compute_teacher(
    history: scipy.sparse.csr_matrix,
    catalogue: Catalogue,
    start: StartConfig,
    auxiliary: scipy.sparse.csr_matrix | None = None,
) -> np.ndarray:
    """Computes the teacher's item-to-item weights.

    Sources: EASE, Steck 2019 (arXiv 1905.03375), with side information in the Gram matrix.

    Args:
        history: Binary CSR `[num_users, num_items]`.
        catalogue: Where the side information comes from.
        start: Hyper-parameters.
        auxiliary: Auxiliary interactions, binary CSR `[num_auxiliary_users, num_items]`.

    Returns:
        Float32 `[num_items, num_items]` with a zero diagonal; row: item in the history, column:
        item scored.
    """
    weights = _compute_blend(history, catalogue, start, auxiliary)
    if start.popularity_exponent:
        factor = compute_popularity_factor(history, start.popularity_exponent)
        weights *= factor / factor[:, None]
    return weights


def _compute_blend(
    history: scipy.sparse.csr_matrix,
    catalogue: Catalogue,
    start: StartConfig,
    auxiliary: scipy.sparse.csr_matrix | None,
) -> np.ndarray:
    if len(start.blend) == 1:
        return _compute_part(start.blend[0][0], history, catalogue, start, auxiliary)
    total = np.zeros((catalogue.num_items, catalogue.num_items), np.float32)
    for name, weight in start.blend:
        part = _compute_part(name, history, catalogue, start, auxiliary)
        scale = np.abs(part).sum(axis=1).mean()
        if scale > 0:
            total += np.float32(weight / scale) * part
    return total


def _compute_part(
    name: str,
    history: scipy.sparse.csr_matrix,
    catalogue: Catalogue,
    start: StartConfig,
    auxiliary: scipy.sparse.csr_matrix | None,
) -> np.ndarray:
    if name == EASE:
        gram = compute_gram(history, catalogue, start, auxiliary)
        return compute_ease_weights(gram, start.ease_lambda)
    if name == ITEM_KNN:
        similarity = compute_co_occurrence(history, start.knn_shrink, start.knn_exponent)
        return keep_neighbours(similarity, start.knn_neighbours).toarray()
    if name == SPECTRAL:
        return compute_low_pass(history, start.spectral_rank)
    rows = get_evidence(catalogue, name)
    return compute_content_neighbours(rows, start.content_neighbours, start.content_power)
