"""Nearest neighbours between items, by how many users took both."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import scipy.sparse

from addrl_keras.baselines.base import Baseline


def compute_similarity(
    known: scipy.sparse.csr_matrix, shrink: float, exponent: float
) -> scipy.sparse.csc_matrix:
    r"""Computes `S_{ij} = c_{ij} / (n_i^{exponent} n_j^{1 - exponent} + shrink)`, 0 for `i = j`.

    `c_ij` users took both items, `n_i` users took item `i`.

    Args:
        known: Binary CSR `[num_users, num_items]`.
        shrink: Pulls similarities that rest on few users towards 0; at least 0.
        exponent: How the normalisation is shared: 0.5 is the cosine; above it the popularity of
            the item in the history weighs more than that of the item scored.

    Returns:
        Float32 CSC `[num_items, num_items]`; row: item of the history, column: item scored.
    """
    counts = np.asarray(known.sum(axis=0), dtype=np.float32).ravel()
    pairs = scipy.sparse.coo_matrix(known.T @ known)
    other = pairs.row != pairs.col
    row, column, together = pairs.row[other], pairs.col[other], pairs.data[other]
    norm = counts[row] ** exponent * counts[column] ** (1.0 - exponent)
    data = (together / (norm + shrink)).astype(np.float32)
    return scipy.sparse.csc_matrix((data, (row, column)), shape=pairs.shape)


def keep_neighbours(
    similarity: scipy.sparse.csc_matrix, neighbours: int
) -> scipy.sparse.csc_matrix:
    """Keeps the largest entries of each column; of equal ones those of the lower row.

    Args:
        similarity: `[num_items, num_items]`.
        neighbours: Entries to keep in a column, at least 1.

    Returns:
        The thinned matrix.
    """
    coo = similarity.tocoo()
    order = np.lexsort((coo.row, -coo.data, coo.col))
    column = coo.col[order]
    starts = np.searchsorted(column, np.arange(similarity.shape[1]))
    kept = order[np.arange(column.size) - starts[column] < neighbours]
    entries = (coo.data[kept], (coo.row[kept], coo.col[kept]))
    return scipy.sparse.csc_matrix(entries, shape=similarity.shape)


@dataclasses.dataclass
class ItemKNN(Baseline):
    """Scores an item by the similarities of its nearest neighbours in the history.

    Args:
        shrink: Pulls similarities that rest on few users towards 0.
        neighbours: How many neighbours of the scored item count.
        exponent: Asymmetry of the normalisation; 0.5 is the cosine.
        auxiliary: Auxiliary interactions, binary CSR `[num_auxiliary_users, num_items]`, whose rows
            count like those of more users.

    Raises:
        ValueError: A hyper-parameter is out of range.
    """

    shrink: float = 10.0
    neighbours: int = 100
    exponent: float = 0.5
    auxiliary: scipy.sparse.csr_matrix | None = dataclasses.field(default=None, repr=False)

    name = "item_knn"

    def __post_init__(self) -> None:
        for field, low, high in (
            ("shrink", 0.0, np.inf),
            ("neighbours", 1, np.inf),
            ("exponent", 0.0, 1.0),
        ):
            value = getattr(self, field)
            if not low <= value <= high:
                raise ValueError(
                    f"ItemKNN.{field} must lie in [{low}, {high}]. Received: {value!r}"
                )

    def fit(self, known: scipy.sparse.csr_matrix) -> ItemKNN:
        """Computes the similarities and keeps the nearest. See `Baseline.fit`."""
        if self.auxiliary is not None:
            known = scipy.sparse.vstack([known, self.auxiliary], format="csr")
        similarity = compute_similarity(known, self.shrink, self.exponent)
        self._weights = keep_neighbours(similarity, self.neighbours)
        return self

    def score(
        self, history: scipy.sparse.csr_matrix, users: np.ndarray | None = None
    ) -> np.ndarray:
        """Returns the sums of similarities over the history. See `Baseline.score`."""
        return np.asarray((history @ self._weights).toarray(), dtype=np.float32)

    @property
    def hyperparameters(self) -> dict[str, Any]:
        return {
            "shrink": self.shrink,
            "neighbours": self.neighbours,
            "exponent": self.exponent,
            "auxiliary": self.auxiliary is not None,
        }
