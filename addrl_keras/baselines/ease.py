"""EASE: the item-to-item weights that best rebuild each history from its other items."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import scipy.sparse
from scipy.linalg import lapack

from addrl_keras.baselines.base import Baseline


def compute_ease_weights(gram: np.ndarray, ridge: float) -> np.ndarray:
    r"""Computes the weights `W` of EASE from a Gram matrix of the items.

    With `P = (gram + ridge I)^{-1}`, `W_{ij} = -P_{ij} / P_{jj}` off the diagonal and 0 on it: the
    least-squares solution of `X ~ X W` with an L2 penalty, where no item may predict itself. The
    inverse is taken in float32 through a Cholesky factor: half the memory, and a fraction of the
    time, of `numpy.linalg.inv` in float64.

    Args:
        gram: `[num_items, num_items]`, symmetric and positive semi-definite. It is not changed.
        ridge: What is added to the diagonal, above 0.

    Returns:
        Float32 `[num_items, num_items]`. Column `j` holds what each item of a history adds to the
        score of item `j`, so `history @ W` are the scores.

    Raises:
        ValueError: `gram` is not square, `ridge` is not above 0, or their sum is not positive
            definite.

    Example:
        >>> compute_ease_weights(np.array([[2.0, 1.0], [1.0, 2.0]]), ridge=1.0).round(4)
        array([[0.    , 0.3333],
               [0.3333, 0.    ]], dtype=float32)

    Reference:
        Steck, Embarrassingly Shallow Autoencoders for Sparse Data, WWW 2019, equation 8.
    """
    if gram.ndim != 2 or gram.shape[0] != gram.shape[1]:
        raise ValueError(f"The Gram matrix must be square. Received: shape {gram.shape}")
    if not ridge > 0:
        raise ValueError(
            f"ridge must be above 0, or items nobody took have no inverse. Received: {ridge!r}"
        )
    # LAPACK works in place on Fortran order, and the transpose of a symmetric matrix is itself.
    matrix = np.array(gram, dtype=np.float32, order="C").T
    matrix[np.diag_indices_from(matrix)] += np.float32(ridge)
    factor, info = lapack.spotrf(matrix, lower=1, clean=0, overwrite_a=1)
    if info == 0:
        inverse, info = lapack.spotri(factor, lower=1, overwrite_c=1)
    if info != 0 or not np.isfinite(np.diagonal(inverse)).all():
        raise ValueError(
            "The Gram matrix plus ridge is not positive definite in float32: raise the ridge, or "
            f"look for NaN in the features. Received: ridge {ridge!r}, LAPACK info {info}"
        )
    # Of a symmetric inverse spotri fills one triangle; the other still holds the input.
    inverse = np.tril(inverse)
    inverse += np.tril(inverse, -1).T
    inverse /= -np.diagonal(inverse).copy()
    np.fill_diagonal(inverse, 0.0)
    return np.ascontiguousarray(inverse)


def compute_user_weighted_gram(known: scipy.sparse.csr_matrix, user_exponent: float) -> np.ndarray:
    r"""Computes `X' diag(n^{-user\_exponent}) X`, where `n` is each user's number of items.

    Args:
        known: Binary CSR `X` `[num_users, num_items]`.
        user_exponent: 0 counts every interaction alike, 1 every user alike.

    Returns:
        Float32 `[num_items, num_items]`.
    """
    counts = np.asarray(known.sum(axis=1)).ravel()
    weights = np.maximum(counts, 1.0) ** -user_exponent
    weighted = scipy.sparse.diags(weights.astype(np.float32)) @ known
    return np.asarray((known.T @ weighted).toarray(), dtype=np.float32)


def add_auxiliary(
    gram: np.ndarray, auxiliary: scipy.sparse.csr_matrix, weight: float, user_exponent: float
) -> None:
    """Adds `weight A' diag(n^-user_exponent) A` to a Gram matrix, in place.

    A user's auxiliary interactions are a row of their own, not a part of the history's.

    Args:
        gram: Float32 `[num_items, num_items]`.
        auxiliary: Binary CSR `A` `[num_auxiliary_users, num_items]`.
        weight: How much a row counts beside one of a history.
        user_exponent: As in `compute_user_weighted_gram`.
    """
    further = compute_user_weighted_gram(auxiliary, user_exponent)
    further *= np.float32(weight)
    gram += further


@dataclasses.dataclass
class EASE(Baseline):
    """EASE, optionally with long users weighted down and more rows in the Gram matrix.

    Args:
        ridge: L2 penalty.
        user_exponent: Power of a user's number of items by which the user's row is weighted down.
        side_gram: Float `[num_items, num_items]` that is added to the Gram matrix, such as
            `5 F F'` for features `F`: side information enters as more users.
        auxiliary: Auxiliary interactions, binary CSR `[num_auxiliary_users, num_items]`: more users
            whose rows count `auxiliary_weight`.
        auxiliary_weight: 0 leaves them out.
    """

    ridge: float = 300.0
    user_exponent: float = 0.0
    side_gram: np.ndarray | None = dataclasses.field(default=None, repr=False)
    auxiliary: scipy.sparse.csr_matrix | None = dataclasses.field(default=None, repr=False)
    auxiliary_weight: float = 0.0

    name = "ease"

    def fit(self, known: scipy.sparse.csr_matrix) -> EASE:
        """Inverts the Gram matrix of `known`. See `Baseline.fit`."""
        gram = compute_user_weighted_gram(known, self.user_exponent)
        if self.side_gram is not None:
            gram += np.asarray(self.side_gram, dtype=np.float32)
        if self.auxiliary is not None and self.auxiliary_weight:
            add_auxiliary(gram, self.auxiliary, self.auxiliary_weight, self.user_exponent)
        self._weights = compute_ease_weights(gram, self.ridge)
        return self

    def score(
        self, history: scipy.sparse.csr_matrix, users: np.ndarray | None = None
    ) -> np.ndarray:
        """Returns `history @ W`. See `Baseline.score`."""
        return np.asarray(history @ self._weights, dtype=np.float32)

    @property
    def hyperparameters(self) -> dict[str, Any]:
        names = ("ridge", "user_exponent", "auxiliary_weight")
        return {name: getattr(self, name) for name in names}
