"""The best closed form that is no two-tower: interactions blended with content, undivided."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import scipy.sparse

from addrl_keras.baselines.base import Baseline
from addrl_keras.catalogue import Catalogue
from addrl_keras.config import StartConfig


@dataclasses.dataclass
class ContentBlend(Baseline):
    """Scores by the whole matrix `W` that our own model starts from (`addrl_keras.teacher`).

    It has every weight that was chosen for our model, and none of what it promises: no chunks, no
    place for an item that comes later, and `num_items` squared numbers to serve.

    Args:
        start: What `W` blends.
        catalogue: The items with their content.
        auxiliary: Auxiliary interactions, binary CSR `[num_auxiliary_users, num_items]`.
    """

    start: StartConfig
    catalogue: Catalogue = dataclasses.field(repr=False)
    auxiliary: scipy.sparse.csr_matrix | None = dataclasses.field(default=None, repr=False)

    name = "content_blend"

    def fit(self, known: scipy.sparse.csr_matrix) -> ContentBlend:
        """Computes `W`. See `Baseline.fit`."""
        from addrl_keras.teacher import compute_teacher  # The teacher is made of baselines itself.

        self._weights = compute_teacher(known, self.catalogue, self.start, self.auxiliary)
        return self

    def score(
        self, history: scipy.sparse.csr_matrix, users: np.ndarray | None = None
    ) -> np.ndarray:
        """Returns `history @ W`. See `Baseline.score`."""
        return np.asarray(history @ self._weights, dtype=np.float32)

    @property
    def hyperparameters(self) -> dict[str, Any]:
        start = dataclasses.asdict(self.start)
        return {name: value for name, value in start.items() if not isinstance(value, (str, tuple))}
