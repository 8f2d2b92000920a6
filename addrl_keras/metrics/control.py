"""How well a list can be steered: the share that follows, and what drifts along with it."""

from __future__ import annotations

import numpy as np
import scipy.sparse

from addrl_keras.metrics.ranking import PADDING


def compute_value_distribution(ranked: np.ndarray, labels: scipy.sparse.csr_matrix) -> np.ndarray:
    """Computes how the values of an attribute are distributed over lists.

    Args:
        ranked: Int `[num_users, k]`, positions in the catalogue, -1 where a list is short.
        labels: Binary CSR `[num_items, num_values]`, the known values.

    Returns:
        Float `[num_users, num_values]`; a row adds up to 1, or is zero where no value is known.

    Example:
        >>> labels = scipy.sparse.csr_matrix(np.eye(2)[[0, 1, 1]])
        >>> compute_value_distribution(np.array([[0, 1, 2, 2]]), labels)
        array([[0.25, 0.75]])
    """
    num_users, k = ranked.shape
    rows, items = np.repeat(np.arange(num_users), k), ranked.ravel()
    there = items != PADDING
    shape = (num_users, labels.shape[0])
    ones = np.ones(there.sum())
    lists = scipy.sparse.csr_matrix((ones, (rows[there], items[there])), shape=shape)
    return normalize_counts((lists @ labels).toarray().astype(float))


def compute_implied_distribution(
    before: np.ndarray,
    wanted: np.ndarray,
    wanted_labels: scipy.sparse.csr_matrix,
    labels: scipy.sparse.csr_matrix,
    share: np.ndarray,
) -> np.ndarray:
    """Computes what wanting a value implies for another attribute, by the catalogue alone.

    Who wants LEGO gets more building toys, because that is what LEGO makes. By Bayes' rule a list
    with the distribution `q(x)` becomes one with `q(x) P(v | x)`, where `P(v | x)` is the share of
    the items of value `x` that have the wanted value `v`; and what else is in the list one with
    `q(x) (1 - P(v | x))`.

    Args:
        before: Float `[num_users, num_values]`, the other attribute's distribution in the list
            without the wish.
        wanted: Int `[num_users]`, the value that is wanted.
        wanted_labels: Binary CSR `[num_items, num_wanted_values]`, its attribute's known values.
        labels: Binary CSR `[num_items, num_values]`, those of the other attribute.
        share: Float `[num_users]`, how much of the list has the wanted value.

    Returns:
        Float `[num_users, num_values]`; where nothing of the list goes with the wanted value, the
        distribution among the items that have it.
    """
    together = np.asarray((wanted_labels.T @ labels).toarray(), float)[wanted]
    counts = np.asarray(labels.sum(axis=0), float).ravel()

    def update(items: np.ndarray) -> np.ndarray:
        updated = before * items / np.maximum(counts, 1.0)
        is_empty = updated.sum(axis=1, keepdims=True) == 0
        return normalize_counts(np.where(is_empty, items, updated))

    return share[:, None] * update(together) + (1 - share[:, None]) * update(counts - together)


def compute_total_variation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Computes the total-variation distance of distributions, in 0..1.

    Args:
        first: Float `[..., num_values]`.
        second: Likewise.

    Returns:
        Float `[...]`.

    Example:
        >>> compute_total_variation(np.array([[1.0, 0.0]]), np.array([[0.25, 0.75]]))
        array([0.75])
    """
    return 0.5 * np.abs(first - second).sum(axis=-1)


def choose_wanted(
    labels: scipy.sparse.csr_matrix, relevant: scipy.sparse.csr_matrix, seed: int = 0
) -> np.ndarray:
    """Chooses for each user a value that one of the items to be found has, at random.

    Args:
        labels: Binary CSR `[num_items, num_values]`.
        relevant: Binary CSR `[num_users, num_items]`, what should be found.
        seed: Of the choice.

    Returns:
        Int `[num_users]`, -1 where no item to be found has a known value.
    """
    generator = np.random.default_rng(seed)
    counts = scipy.sparse.csr_matrix(relevant @ labels)
    wanted = np.full(relevant.shape[0], -1)
    for row in np.flatnonzero(np.diff(counts.indptr)):
        part = slice(counts.indptr[row], counts.indptr[row + 1])
        shares = counts.data[part] / counts.data[part].sum()
        wanted[row] = generator.choice(counts.indices[part], p=shares)
    return wanted


def normalize_counts(rows: np.ndarray) -> np.ndarray:
    """Divides each row by its sum; rows of zeros stay so."""
    totals = rows.sum(axis=1, keepdims=True)
    return np.divide(rows, totals, out=np.zeros_like(rows), where=totals > 0)
