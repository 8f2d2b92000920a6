"""Item-to-item weights that are never formed: a sparse matrix plus a product of two thin ones.

    W = S + U V'

The closed-form start needs nothing of a teacher but products and single entries, so a teacher can
have this form. It takes memory in proportion to the items and to the pairs of items that somebody
took together, not to all pairs.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import scipy.sparse

from addrl_keras.baselines.item_knn import compute_similarity, keep_neighbours
from addrl_keras.config import ITEM_KNN, StartConfig
from addrl_keras.teacher import compute_popularity_factor, compute_smooth_vectors

# Rows that the mean size of the entries of a low-rank part is estimated on.
_SAMPLED_ROWS = 256


@dataclasses.dataclass(frozen=True)
class FactoredWeights:
    """Item-to-item weights `S + U V'`; row: item in the history, column: item scored.

    Args:
        sparse: `S`, float32 CSR `[num_items, num_items]`.
        left: `U`, float32 `[num_items, rank]`.
        right: `V`, float32 `[num_items, rank]`.
    """

    sparse: scipy.sparse.csr_matrix
    left: np.ndarray
    right: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        return self.sparse.shape

    @property
    def T(self) -> FactoredWeights:  # noqa: N802 - the name that NumPy has for it.
        return FactoredWeights(self.sparse.T.tocsr(), self.right, self.left)

    def __matmul__(self, block: np.ndarray) -> np.ndarray:
        return np.asarray(self.sparse @ block + self.left @ (self.right.T @ block))

    def subtract(self, left: np.ndarray, right: np.ndarray) -> FactoredWeights:
        """Computes `W - left right'`, both `[num_items, rank]`."""
        return FactoredWeights(
            self.sparse,
            np.concatenate([self.left, -left], axis=1).astype(np.float32),
            np.concatenate([self.right, right], axis=1).astype(np.float32),
        )

    def clear_diagonal(self) -> FactoredWeights:
        """Computes the same weights with a diagonal of zeros."""
        diagonal = self.sparse.diagonal() + np.einsum("ir,ir->i", self.left, self.right)
        sparse = (self.sparse - scipy.sparse.diags(diagonal.astype(np.float32))).tocsr()
        return FactoredWeights(sparse, self.left, self.right)

    def get_entries(
        self, rows: np.ndarray, columns: np.ndarray, numbers: int = 2**24
    ) -> np.ndarray:
        """Computes single entries.

        Args:
            rows: Int `[num_entries]`.
            columns: Int `[num_entries]`.
            numbers: Of the factors, that are gathered at once; bounds the memory.

        Returns:
            Float32 `[num_entries]`.
        """
        if not len(rows):
            return np.zeros(0, np.float32)
        block = max(1, numbers // max(1, self.left.shape[1]))
        found = np.asarray(self.sparse[rows, columns], np.float32).ravel()
        for start in range(0, len(rows), block):
            part = slice(start, start + block)
            found[part] += np.einsum(
                "ir,ir->i", self.left[rows[part]], self.right[columns[part]], dtype=np.float32
            )
        return found

    def compute_memory(self, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Keeps entries of every column, as `closed_form.compute_memory` does.

        Only entries of the sparse part are looked at, which says who was taken together. A column
        with fewer of them is filled with the item itself, with weight 0: nobody who has an item is
        recommended it.

        Returns:
            `(source, weight)`, int64 and float32 `[num_items, size]`.
        """
        num_items = self.shape[0]
        entries = self.sparse.tocoo()
        other = entries.row != entries.col
        rows, columns = entries.row[other], entries.col[other]
        weights = self.get_entries(rows, columns)
        order = np.lexsort((-np.abs(weights), columns))
        rows, columns, weights = rows[order], columns[order], weights[order]
        place = np.arange(len(columns)) - np.searchsorted(columns, np.arange(num_items))[columns]
        kept = place < size
        source = np.tile(np.arange(num_items)[:, None], (1, size))
        weight = np.zeros((num_items, size), np.float32)
        source[columns[kept], place[kept]] = rows[kept]
        weight[columns[kept], place[kept]] = weights[kept]
        order = np.argsort(source, axis=1, kind="stable")
        return np.take_along_axis(source, order, axis=1), np.take_along_axis(weight, order, axis=1)


def compute_factored_teacher(
    history: scipy.sparse.csr_matrix, start: StartConfig
) -> FactoredWeights:
    """Computes the teacher of `start.kind = "factored"`: ItemKNN, the low-pass filter, or both.

    The same weights as `teacher.compute_teacher` gives for this blend, but for the mean row sum of
    the low-rank part, which is estimated on some of its rows where there are many.

    Args:
        history: Binary CSR `[num_users, num_items]`.
        start: Hyper-parameters.
    """
    num_items = history.shape[1]
    empty = np.zeros((num_items, 0), np.float32)
    teacher = FactoredWeights(
        scipy.sparse.csr_matrix((num_items, num_items), dtype=np.float32), empty, empty
    )
    for name, weight in start.blend:
        if not weight:
            continue
        if name == ITEM_KNN:
            similarity = compute_similarity(history, start.knn_shrink, start.knn_exponent)
            sparse = keep_neighbours(similarity, start.knn_neighbours).tocsr()
            part = FactoredWeights(sparse, empty, empty)
            scale = abs(sparse).sum() / num_items
        else:
            vectors = compute_smooth_vectors(history, start.spectral_rank)
            part = FactoredWeights(0.0 * teacher.sparse, vectors, vectors).clear_diagonal()
            scale = _estimate_row_sum(part)
        factor = np.float32(weight / scale if scale > 0 and len(start.blend) > 1 else 1.0)
        teacher = FactoredWeights(
            (teacher.sparse + factor * part.sparse).tocsr(),
            np.concatenate([teacher.left, factor * part.left], axis=1),
            np.concatenate([teacher.right, part.right], axis=1),
        )
    if not start.popularity_exponent:
        return teacher
    popularity = compute_popularity_factor(history, start.popularity_exponent)
    sparse = scipy.sparse.diags(1.0 / popularity) @ teacher.sparse @ scipy.sparse.diags(popularity)
    return FactoredWeights(
        scipy.sparse.csr_matrix(sparse, dtype=np.float32),
        teacher.left / popularity[:, None],
        teacher.right * popularity[:, None],
    )


def _estimate_row_sum(weights: FactoredWeights, block: int = 16) -> float:
    """Estimates the mean row sum of `|W|` of a low-rank part with a zero diagonal."""
    num_items = weights.shape[0]
    rows = np.unique(np.linspace(0, num_items - 1, min(_SAMPLED_ROWS, num_items)).astype(int))
    total = 0.0
    for start in range(0, len(rows), block):
        chosen = rows[start : start + block]
        dense = weights.left[chosen] @ weights.right.T
        dense[np.arange(len(chosen)), chosen] = 0.0
        total += float(np.abs(dense).sum())
    return total / len(rows)
