"""What every baseline is: fitted on who took what, it scores the catalogue for a history."""

from __future__ import annotations

import abc
from typing import Any

import numpy as np
import scipy.sparse


class Baseline(abc.ABC):
    """A recommender without training steps, fitted on a binary matrix of interactions.

    A subclass is a dataclass whose fields are its hyper-parameters.
    """

    name: str

    @abc.abstractmethod
    def fit(self, known: scipy.sparse.csr_matrix) -> Baseline:
        """Fits on what is known.

        Args:
            known: Binary CSR `[num_users, num_items]`.

        Returns:
            The baseline itself.
        """

    @abc.abstractmethod
    def score(self, history: scipy.sparse.csr_matrix) -> np.ndarray:
        """Scores the whole catalogue for each history.

        Args:
            history: Binary CSR `[batch, num_items]`; the users need not be among those fitted on.

        Returns:
            Float32 `[batch, num_items]`. Items of the history are scored like all others: to mask
            them is the ranking's duty.
        """

    @property
    @abc.abstractmethod
    def hyperparameters(self) -> dict[str, Any]:
        """The hyper-parameters by name, as JSON can hold them."""
