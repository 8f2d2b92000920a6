"""What every baseline is: fitted on who took what, it scores the catalogue for a history."""

from __future__ import annotations

import abc
import copy
from typing import Any

import numpy as np
import scipy.sparse

from addrl_keras.catalogue import Interactions
from addrl_keras.metrics.ranking import compute_ranking_metrics


class Baseline(abc.ABC):
    """A recommender fitted on a binary matrix of interactions.

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

    def validate(self, interactions: Interactions, k: int) -> tuple[float, Baseline]:
        """Measures these hyper-parameters on validation.

        Args:
            interactions: It is fitted on `train` and measured on `validation`.
            k: Length of the lists.

        Returns:
            NDCG@k, and the baseline, not fitted, with what was chosen underway, such as a number of
            epochs. What was fitted is freed.
        """
        fitted = copy.copy(self).fit(interactions.train)
        metrics = compute_ranking_metrics(
            fitted.score, interactions.train, interactions.validation, k, pass_users=True
        )
        return float(metrics[f"ndcg_at_{k}"]), self

    @abc.abstractmethod
    def score(
        self, history: scipy.sparse.csr_matrix, users: np.ndarray | None = None
    ) -> np.ndarray:
        """Scores the whole catalogue for each history.

        Args:
            history: Binary CSR `[batch, num_items]`; the users need not be among those fitted on.
            users: Int `[batch]`, the rows of the users in what was fitted on. Those that know a
                user by the history alone do not need it.

        Returns:
            Float32 `[batch, num_items]`. Items of the history are scored like all others: to mask
            them is the ranking's duty.
        """

    @property
    @abc.abstractmethod
    def hyperparameters(self) -> dict[str, Any]:
        """The hyper-parameters by name, as JSON can hold them."""
