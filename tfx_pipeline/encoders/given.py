"""Vectors that a column gives (`precomputed`): what makes one unusable."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from tfx_pipeline.encoders.errors import ContentError


def check_vector(values: Sequence[float], dim: int | None) -> np.ndarray:
    """Check a vector.

    Args:
        values: The numbers of the column.
        dim: Length that it must have; None where no item has a vector.

    Returns:
        float32 `[dim]`.

    Raises:
        ContentError: If it is empty, of another length, not finite or all zero.

    Example:
        >>> check_vector([3.0, 4.0], dim=2)
        array([3., 4.], dtype=float32)
    """
    if not len(values):
        raise ContentError("no vector", is_missing=True)
    if len(values) != dim:
        raise ContentError(f"{len(values)} numbers where most vectors have {dim}")
    vector = np.asarray(values, np.float32)
    bad = np.flatnonzero(~np.isfinite(vector))
    if len(bad):
        kind = "NaN" if math.isnan(vector[bad[0]]) else "infinity"
        raise ContentError(f"{kind} at position {bad[0]} ({len(bad)} of {dim} are not finite)")
    if not vector.any():
        # Zeros stand for a missing modality everywhere in the model.
        raise ContentError("a vector of zeros, which says nothing")
    return vector


def choose_dim(counts: Mapping[int, int]) -> int | None:
    """Choose the length that vectors must have: the most common one, of equals the larger.

    Args:
        counts: Number of vectors by length.

    Returns:
        The length; None where there is no vector at all.

    Example:
        >>> choose_dim({384: 10, 3: 1})
        384
    """
    lengths = {length: count for length, count in counts.items() if length}
    return max(lengths, key=lambda length: (lengths[length], length), default=None)
