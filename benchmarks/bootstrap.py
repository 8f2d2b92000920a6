"""Whether a difference between two systems is more than the choice of users."""

from __future__ import annotations

from typing import Any

import numpy as np

DRAWS = 2000
LEVEL = 0.95


def compare(values: np.ndarray, reference: np.ndarray, seed: int = 0) -> dict[str, Any]:
    """Compares two systems user by user, by a paired bootstrap over the users.

    Args:
        values: Float `[num_users]`, a metric of each user under one system.
        reference: Likewise under the other.
        seed: Of the draws.

    Returns:
        `difference`, the mean of `values - reference`; `low` and `high`, its 95 % interval over
        draws of the users with replacement; `is_real`, whether the interval leaves out 0.

    Example:
        >>> found = compare(np.array([1.0, 1.0, 0.0, 1.0]), np.array([1.0, 1.0, 0.0, 1.0]))
        >>> found["difference"], found["is_real"]
        (0.0, False)

    Reference:
        Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section 13.3 (the percentile
        interval).
    """
    difference = np.asarray(values, np.float64) - reference
    generator = np.random.default_rng(seed)
    means = [
        difference[generator.integers(0, len(difference), len(difference))].mean()
        for _ in range(DRAWS)
    ]
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return {
        "difference": float(difference.mean()),
        "low": float(low),
        "high": float(high),
        "is_real": bool(low > 0 or high < 0),
    }
