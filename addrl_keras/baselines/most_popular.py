"""The same list for everybody: what is taken most."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import scipy.sparse

from addrl_keras.baselines.base import Baseline


@dataclasses.dataclass
class MostPopular(Baseline):
    """Scores an item by the number of users that took it."""

    name = "most_popular"

    def fit(self, known: scipy.sparse.csr_matrix) -> MostPopular:
        """Counts the users of each item. See `Baseline.fit`."""
        self._counts = np.asarray(known.sum(axis=0), dtype=np.float32).ravel()
        return self

    def score(
        self, history: scipy.sparse.csr_matrix, users: np.ndarray | None = None
    ) -> np.ndarray:
        """Returns the counts, whatever the history. See `Baseline.score`."""
        return np.tile(self._counts, (history.shape[0], 1))

    @property
    def hyperparameters(self) -> dict[str, Any]:
        return {}
