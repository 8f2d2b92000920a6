"""What a chunk tells of an attribute, and how many dimensions vectors really use."""

from __future__ import annotations

import numpy as np
import scipy.linalg


def compute_probe_accuracy(
    vectors: np.ndarray, labels: np.ndarray, ridge: float = 1.0, seed: int = 0
) -> tuple[float, float]:
    """Reads an attribute from vectors by a linear probe, on items that the probe has not seen.

    The probe is a ridge classifier on standardised vectors: one-hot labels are regressed on 70 % of
    the items, and the largest output is the answer on the rest.

    Args:
        vectors: Float `[num_items, dim]`.
        labels: Int `[num_items]`, -1 where the value is not known; such items count for nothing.
        ridge: Of the regression.
        seed: Of the split.

    Returns:
        The probe's accuracy and that of always answering the most frequent value, both on the rest;
        NaN where fewer than ten items have a label.

    Example:
        >>> vectors = np.eye(2)[np.arange(40) % 2]
        >>> compute_probe_accuracy(vectors, np.arange(40) % 2)[0]
        1.0
    """
    if (labels >= 0).sum() < 10:
        return float("nan"), float("nan")
    fitted, rest = split_items(labels, seed)
    values, codes = np.unique(labels[fitted], return_inverse=True)
    mean, scale = vectors[fitted].mean(axis=0), vectors[fitted].std(axis=0)
    scale = np.where(scale > 1e-6 * max(1e-12, scale.max()), scale, np.inf)
    inputs, held_out = ((vectors[rows] - mean) / scale for rows in (fitted, rest))
    targets = np.eye(len(values))[codes]
    offset = targets.mean(axis=0)
    system = inputs.T @ inputs
    system[np.diag_indices_from(system)] += ridge
    weights = scipy.linalg.solve(system, inputs.T @ (targets - offset), assume_a="pos")
    answers = values[np.argmax(held_out @ weights + offset, axis=1)]
    majority = values[np.argmax(offset)]
    return float((answers == labels[rest]).mean()), float((labels[rest] == majority).mean())


def split_items(labels: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Splits the items of known value into the 70 % that a probe sees and the rest.

    Args:
        labels: Int `[num_items]`, -1 where the value is not known.
        seed: Of the split.

    Returns:
        Two int arrays of positions.
    """
    order = np.random.default_rng(seed).permutation(np.flatnonzero(labels >= 0))
    border = int(0.7 * len(order))
    return order[:border], order[border:]


def compute_effective_rank(vectors: np.ndarray) -> float:
    """Computes how many dimensions vectors use: `exp` of the entropy of their spectrum.

    The singular values of the centred vectors, divided by their sum, are the distribution.

    Args:
        vectors: Float `[num_vectors, dim]`.

    Returns:
        From 1, where all lie on a line, to `dim`; 0 where all are the same.

    Example:
        >>> round(compute_effective_rank(np.concatenate([np.eye(4), -np.eye(4)])), 6)
        4.0

    Reference:
        Roy and Vetterli, The Effective Rank, EUSIPCO 2007.
    """
    centred = np.asarray(vectors, np.float64) - np.mean(vectors, axis=0)
    squared = np.maximum(scipy.linalg.eigvalsh(centred.T @ centred), 0.0)
    singular = np.sqrt(squared)
    if singular.sum() < 1e-12:
        return 0.0
    share = singular / singular.sum()
    share = share[share > 0]
    return float(np.exp(-(share * np.log(share)).sum()))


def compute_dci(importance: np.ndarray) -> tuple[float, float]:
    """Computes how far each dimension stands for one factor, and each factor for one dimension.

    Disentanglement of a dimension is `1 - H(P_i)`, with the entropy over factors of its relative
    importance, to the base of their number; completeness of a factor `1 - H(P_j)`, over dimensions.
    Disentanglement is averaged by the dimensions' importance, completeness plainly.

    Args:
        importance: Float `[num_dimensions, num_factors]`, at least 0: what each dimension
            contributes to the prediction of each factor.

    Returns:
        Disentanglement and completeness, in 0..1.

    Example:
        >>> compute_dci(np.eye(3))
        (1.0, 1.0)

    Reference:
        Eastwood and Williams, A Framework for the Quantitative Evaluation of Disentangled
        Representations, ICLR 2018.
    """
    importance = np.asarray(importance, float)
    total = importance.sum()
    if total <= 0:
        return 0.0, 0.0
    weights = importance.sum(axis=1) / total
    disentanglement = float((weights * _compute_certainty(importance)).sum())
    return disentanglement, float(_compute_certainty(importance.T).mean())


def _compute_certainty(rows: np.ndarray) -> np.ndarray:
    """`1 - entropy` of each row, divided by its sum, to the base of its length."""
    sums = rows.sum(axis=1, keepdims=True)
    shares = np.divide(rows, sums, out=np.full_like(rows, 1 / rows.shape[1]), where=sums > 0)
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    return 1.0 + (shares * logs).sum(axis=1) / np.log(max(2, rows.shape[1]))
