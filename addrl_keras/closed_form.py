"""The closed-form start: a teacher split, without loss, into what each attribute explains.

With the teacher's weights `W` `[num_items, num_items]` (row: item in the history, column: item
scored) and the items' value distributions `Y = [Y_1 .. Y_A]` side by side:

    A = W Y (Y'Y + ridge I)^-1     affinity of a history item to each value of each attribute
    R = W - A Y'                   what no attribute explains
    score(user, i) = sum_h sum_k <A_k[h], Y_k[i]> + sum_h R[h, i]

The regression is joint over all attributes, so that correlated attributes do not count twice. `R`
becomes a residual tower of low rank and a sparse memory of its largest remaining entries.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import scipy.linalg
import scipy.sparse

from addrl_keras.factored import FactoredWeights

# Item-to-item weights: a matrix, or what stands for one.
Weights = np.ndarray | FactoredWeights


def compute_affinity(
    weights: Weights, distributions: Sequence[np.ndarray], ridge: float
) -> list[np.ndarray]:
    """Regresses the teacher's weights on the items' value distributions, all attributes together.

    Args:
        weights: `W`, `[num_items, num_items]`.
        distributions: `Y_k`, `[num_items, num_values_k]` for each attribute.
        ridge: Added to the diagonal of `Y'Y`; must be positive.

    Returns:
        `A_k`, `[num_items, num_values_k]` for each attribute.
    """
    joint = np.concatenate(distributions, axis=1)
    system = joint.T @ joint
    system[np.diag_indices_from(system)] += ridge
    solution = scipy.linalg.solve(system, (weights @ joint).T, assume_a="pos").T
    borders = np.cumsum([part.shape[1] for part in distributions])[:-1]
    return [part.astype(np.float32) for part in np.split(solution, borders, axis=1)]


def compute_remainder(
    weights: Weights, affinity: Sequence[np.ndarray], distributions: Sequence[np.ndarray]
) -> Weights:
    """Computes `R = W - sum_k A_k Y_k'` with a zero diagonal, `[num_items, num_items]`.

    The diagonal says how an item in the history scores itself. Such an item is never recommended to
    its owner, so the low rank of the residual tower is not spent on it.
    """
    explained = np.concatenate(affinity, axis=1), np.concatenate(distributions, axis=1)
    if isinstance(weights, FactoredWeights):
        return weights.subtract(*explained).clear_diagonal()
    remainder = weights - explained[0] @ explained[1].T
    np.fill_diagonal(remainder, 0.0)
    return remainder


def compute_residual_tower(
    history: scipy.sparse.csr_matrix,
    remainder: Weights,
    dim: int,
    generator: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Factorises the remainder as the users see it.

    The item vectors `V` are the top right singular vectors of `diag(n)^-1/2 X R`, in a random
    rotation that spreads their energy evenly over the dimensions; the query vectors are `R V`.

    Args:
        history: Binary CSR `[num_users, num_items]`.
        remainder: `R`, `[num_items, num_items]`.
        dim: Width of the tower; dimensions beyond the number of items stay zero.
        generator: For the rotation.

    Returns:
        `(query, item)`, both float32 `[num_items, dim]`.
    """
    counts = np.maximum(np.asarray(history.sum(axis=1)).ravel(), 1.0)
    users = scipy.sparse.csr_matrix(scipy.sparse.diags((counts**-0.5).astype(np.float32)) @ history)

    def covariance(block: np.ndarray) -> np.ndarray:
        # R' X' diag(n)^-1 X R: no matrix of users by items is ever dense.
        return remainder.T @ (users.T @ (users @ (remainder @ block)))

    num_items = remainder.shape[0]
    rank = min(dim, num_items)
    vectors = compute_top_eigenvectors(covariance, num_items, rank, generator)
    rotation, _ = np.linalg.qr(generator.standard_normal((rank, rank)))
    item = np.zeros((num_items, dim), np.float32)
    item[:, :rank] = vectors @ rotation
    return (remainder @ item).astype(np.float32), item


def compute_top_eigenvectors(
    apply: Callable[[np.ndarray], np.ndarray],
    size: int,
    rank: int,
    generator: np.random.Generator,
    iterations: int = 6,
) -> np.ndarray:
    """Computes the leading eigenvectors of a symmetric positive semi-definite operator.

    Block power iteration with a margin (Halko, Martinsson and Tropp 2011, algorithm 4.4): a few
    products with the operator, where a dense solver would need a number cubic in `size`.

    Args:
        apply: Multiplies the operator with a block `[size, columns]`.
        size: Rows of the operator.
        rank: Eigenvectors wanted, at most `size`.
        generator: For the first block.
        iterations: Products; more of them separate close eigenvalues better.

    Returns:
        Float32 `[size, rank]`, orthonormal columns, in ascending order of eigenvalue.
    """
    width = min(size, rank + max(16, rank // 2))
    block = generator.standard_normal((size, width)).astype(np.float32)
    for _ in range(iterations):
        block = _orthonormalize(apply(block))
    small = block.T @ apply(block)
    _, vectors = scipy.linalg.eigh((small + small.T) / 2)
    vectors = vectors[:, width - rank :]
    return np.asarray(block @ vectors, dtype=np.float32)


def _orthonormalize(block: np.ndarray) -> np.ndarray:
    """Returns an orthonormal basis of the columns, float32, of the same shape.

    Through the Gram matrix, which is all matrix products: LAPACK's QR of a tall block takes ten
    times as long. Float64 there makes up for the squared condition number.
    """
    tall = np.asarray(block, np.float64)
    values, vectors = scipy.linalg.eigh(tall.T @ tall)
    # A direction that is lost in rounding becomes a zero column, not noise of length 1.
    values = np.where(values > values[-1] * 1e-14, values, np.inf)
    return (tall @ (vectors / np.sqrt(values))).astype(np.float32)


def compute_memory(remainder: Weights, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Keeps the `size` entries of largest magnitude of every column (scored item) of `remainder`.

    Args:
        remainder: `[num_items, num_items]`, row: item in the history, column: item scored.
        size: Entries per column, at most `num_items`.

    Returns:
        `(source, weight)`, int64 and float32 `[num_items, size]`: row `i` lists, in ascending
        order, the history items that argue for or against item `i`, and how much.
    """
    if isinstance(remainder, FactoredWeights):
        return remainder.compute_memory(size)
    by_target = np.ascontiguousarray(remainder.T)
    source = np.argpartition(-np.abs(by_target), size - 1, axis=1)[:, :size]
    source.sort(axis=1)
    weight = np.take_along_axis(by_target, source, axis=1)
    return source.astype(np.int64), weight.astype(np.float32)


def compute_value_embedding(affinity: np.ndarray, dim: int) -> np.ndarray:
    """Computes an orthonormal embedding of an attribute's values that keeps most of the affinity.

    Returns:
        Float32 `[num_values, min(dim, num_values)]`: the identity where it fits, else the top right
        singular vectors of `affinity` `[num_items, num_values]`.
    """
    num_values = affinity.shape[1]
    if num_values <= dim:
        return np.eye(num_values, dtype=np.float32)
    _, vectors = scipy.linalg.eigh(
        affinity.T @ affinity, subset_by_index=(num_values - dim, num_values - 1)
    )
    return np.ascontiguousarray(vectors, dtype=np.float32)
