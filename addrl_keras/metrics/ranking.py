"""Recall@k and NDCG@k of rankings of the whole catalogue, as macro means over users.

The protocol: an item that the user is known to have is never ranked; the mean is over the users
with at least one known and one relevant item; NDCG divides by the ideal DCG over min(k, number of
relevant items), not over the hits alone, which would flatter it twofold.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.sparse

PADDING = -1
# Scores that are in memory at once, at most.
_SCORES = 2**26


def rank_items(scores: np.ndarray, known: scipy.sparse.spmatrix, k: int) -> np.ndarray:
    """Ranks the catalogue for each user, without what the user is known to have.

    Args:
        scores: Float `[num_users, num_items]`. It is not changed.
        known: CSR `[num_users, num_items]`; stored non-zeros are left out of the ranking.
        k: Length of the lists, in 1..num_items.

    Returns:
        Int64 `[num_users, k]`: item indices, best first; of equal scores the lower index comes
        first, as in `tf.math.top_k`. A user with fewer than `k` items left gets `PADDING` (-1) at
        the end.

    Raises:
        ValueError: `k` is out of range, the shapes differ, or a score is NaN.

    Example:
        >>> known = scipy.sparse.csr_matrix([[0, 0, 1, 0]])
        >>> rank_items(np.array([[1.0, 3.0, 9.0, 3.0]]), known, k=2)
        array([[1, 3]])
    """
    num_users, num_items = scores.shape
    if not 1 <= k <= num_items:
        raise ValueError(
            f"k must lie in 1..{num_items}, the size of the catalogue. Received: {k!r}"
        )
    if known.shape != scores.shape:
        raise ValueError(
            f"scores and known must have one shape. Received: {scores.shape} and {known.shape}"
        )
    if np.isnan(scores).any():
        user = int(np.flatnonzero(np.isnan(scores).any(axis=1))[0])
        raise ValueError(f"A NaN cannot be ranked. Received: NaN among the scores of row {user}")
    masked = np.array(scores, dtype=np.result_type(scores.dtype, np.float32))
    masked[known.nonzero()] = -np.inf
    # Everything at or above the k-th largest score, ties included: few enough to sort exactly.
    threshold = np.partition(masked, num_items - k, axis=1)[:, num_items - k]
    rows, columns = np.nonzero((masked >= threshold[:, None]) & (masked > -np.inf))
    order = np.lexsort((columns, -masked[rows, columns], rows))
    rows, columns = rows[order], columns[order]
    positions = np.arange(rows.size) - np.searchsorted(rows, np.arange(num_users))[rows]
    kept = positions < k
    ranked = np.full((num_users, k), PADDING, dtype=np.int64)
    ranked[rows[kept], positions[kept]] = columns[kept]
    return ranked


def compute_hits(ranked: np.ndarray, relevant: scipy.sparse.spmatrix) -> np.ndarray:
    """Tells which ranked items are relevant.

    Args:
        ranked: Int `[num_users, k]` of item indices, `PADDING` where a list is short.
        relevant: CSR `[num_users, num_items]`, non-zero where the item is relevant.

    Returns:
        Bool `[num_users, k]`.
    """
    csr = scipy.sparse.csr_matrix(relevant)
    rows = np.repeat(np.arange(ranked.shape[0]), ranked.shape[1])
    found = np.asarray(csr[rows, np.maximum(ranked, 0).ravel()]).ravel() != 0
    return found.reshape(ranked.shape) & (ranked != PADDING)


def compute_recall_at_k(ranked: np.ndarray, relevant: scipy.sparse.spmatrix) -> np.ndarray:
    """Computes hits / relevant for each user.

    Args:
        ranked: Int `[num_users, k]` of different item indices, best first.
        relevant: CSR `[num_users, num_items]`, non-zero where the item is relevant.

    Returns:
        Float64 `[num_users]`, NaN for a user without relevant items.

    Example:
        >>> compute_recall_at_k(np.array([[2, 0]]), scipy.sparse.csr_matrix([[1, 1, 0, 1]]))
        array([0.33333333])
    """
    counts = _count_relevant(relevant)
    hits = compute_hits(ranked, relevant).sum(axis=1)
    return np.divide(hits, counts, out=np.full(len(counts), np.nan), where=counts > 0)


def compute_ndcg_at_k(ranked: np.ndarray, relevant: scipy.sparse.spmatrix) -> np.ndarray:
    r"""Computes the normalised discounted cumulative gain for each user.

    \(\sum_{p \in hits} 1 / \log_2(p + 1)\) over the ideal, the same sum over the first
    \(\min(k, relevant)\) positions, with positions counted from 1.

    Args:
        ranked: Int `[num_users, k]` of different item indices, best first.
        relevant: CSR `[num_users, num_items]`, non-zero where the item is relevant.

    Returns:
        Float64 `[num_users]`, NaN for a user without relevant items.

    Example:
        >>> compute_ndcg_at_k(np.array([[2, 0]]), scipy.sparse.csr_matrix([[1, 0, 0, 0]])).round(4)
        array([0.6309])
    """
    num_positions = ranked.shape[1]
    discount = 1.0 / np.log2(np.arange(2, num_positions + 2))
    ideal = np.concatenate([[0.0], np.cumsum(discount)])
    counts = _count_relevant(relevant)
    best = ideal[np.minimum(counts, num_positions)]
    gain = compute_hits(ranked, relevant) @ discount
    return np.divide(gain, best, out=np.full(len(counts), np.nan), where=counts > 0)


def rank_users(
    score: Callable[..., np.ndarray],
    known: scipy.sparse.csr_matrix,
    relevant: scipy.sparse.csr_matrix,
    k: int = 20,
    batch_size: int = 1024,
    pass_users: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Ranks the catalogue for the users that count: with a known and a relevant item.

    Args:
        score: Maps histories, CSR `[batch, num_items]`, to scores `[batch, num_items]`.
        known: CSR `[num_users, num_items]`: the histories, which are also what is left out.
        relevant: CSR `[num_users, num_items]`: what should be found.
        k: Length of the lists; a catalogue of fewer items is ranked whole.
        batch_size: Users per call of `score`; fewer where the catalogue is so large that their
            scores would take hundreds of megabytes.
        pass_users: Gives `score` a second argument, the indices of the batch's users, int
            `[batch]`: for a model with an embedding per user.

    Returns:
        The users, int `[users]`, and their lists, int `[users, k]`.

    Raises:
        ValueError: No user counts, so that there is nothing to average.
    """
    users = np.flatnonzero((_count_relevant(known) > 0) & (_count_relevant(relevant) > 0))
    if not users.size:
        raise ValueError(
            "No user has both a known and a relevant item, so there is nothing to average. "
            f"Received: {known.nnz} known and {relevant.nnz} relevant interactions"
        )
    batch_size = min(batch_size, max(1, _SCORES // known.shape[1]))
    ranked = []
    for start in range(0, len(users), batch_size):
        batch = users[start : start + batch_size]
        history = known[batch]
        scores = score(history, batch) if pass_users else score(history)
        ranked.append(rank_items(scores, history, min(k, known.shape[1])))
    return users, np.concatenate(ranked)


def compute_ranking_metrics(
    score: Callable[..., np.ndarray],
    known: scipy.sparse.csr_matrix,
    relevant: scipy.sparse.csr_matrix,
    k: int = 20,
    batch_size: int = 1024,
    pass_users: bool = False,
) -> dict[str, float]:
    """Ranks the catalogue for all users that count, and averages.

    Args:
        score: As in `rank_users`, like all other arguments.
        known: CSR `[num_users, num_items]`.
        relevant: CSR `[num_users, num_items]`.
        k: Length of the lists.
        batch_size: Users per call of `score`.
        pass_users: Whether `score` takes the users' indices too.

    Returns:
        `recall_at_K`, `ndcg_at_K` and `num_users`, the users that count.

    Raises:
        ValueError: No user counts.
    """
    users, ranked = rank_users(score, known, relevant, k, batch_size, pass_users)
    return {
        f"recall_at_{k}": float(compute_recall_at_k(ranked, relevant[users]).mean()),
        f"ndcg_at_{k}": float(compute_ndcg_at_k(ranked, relevant[users]).mean()),
        "num_users": len(users),
    }


def compute_sliced_metrics(
    ranked: np.ndarray, relevant: scipy.sparse.csr_matrix, members: np.ndarray, k: int = 20
) -> dict[str, float]:
    """Computes the metrics over those relevant items that belong to a slice of the catalogue.

    Each pair of a user and one of the user's `n` relevant items weighs `1 / n`:
    `sum(hit / n) / sum(1 / n)`, and likewise for NDCG. Over all items that is the mean over users.

    Args:
        ranked: Int `[num_users, k]` of item indices, best first.
        relevant: CSR `[num_users, num_items]`; every user has a relevant item.
        members: Bool `[num_items]`, the items in the slice.
        k: Length of the lists, for the names of the metrics.

    Returns:
        `recall_at_K` and `ndcg_at_K`, NaN for a slice without relevant items.
    """
    counts = _count_relevant(relevant)
    within = scipy.sparse.csr_matrix(relevant) @ scipy.sparse.diags(members.astype(np.float32))
    total = (_count_relevant(within) / counts).sum()
    if not total:
        return {f"recall_at_{k}": float("nan"), f"ndcg_at_{k}": float("nan")}
    discount = 1.0 / np.log2(np.arange(2, ranked.shape[1] + 2))
    ideal = np.cumsum(discount)[np.minimum(counts, ranked.shape[1]) - 1]
    hits = compute_hits(ranked, within)
    return {
        f"recall_at_{k}": float((hits.sum(axis=1) / counts).sum() / total),
        f"ndcg_at_{k}": float((hits @ discount / ideal).sum() / total),
    }


def _count_relevant(matrix: scipy.sparse.spmatrix) -> np.ndarray:
    """Returns the number of non-zeros of each row, int64 `[num_users]`."""
    return np.asarray((scipy.sparse.csr_matrix(matrix) != 0).sum(axis=1)).ravel().astype(np.int64)
