"""What the two-towers of the tutorials share: embeddings of users and items."""

from __future__ import annotations

import abc
import dataclasses
from typing import Any

import numpy as np
import scipy.sparse

from addrl_keras.baselines.learnt import LearntBaseline


@dataclasses.dataclass(kw_only=True)
class UserTwoTower(LearntBaseline):
    """An embedding per user and per item, whose dot product is the score.

    A pass is over the interactions; the optimiser is Adagrad, with a rate of .1 in the tutorials.

    Args:
        dim: Width of the embeddings; 32 in the tutorials.
    """

    dim: int = 32

    def score(
        self, history: scipy.sparse.csr_matrix, users: np.ndarray | None = None
    ) -> np.ndarray:
        """Returns the dot products of the users' embeddings with the items'.

        Raises:
            ValueError: There are no `users`; this model knows nobody by the history.
        """
        if users is None:
            raise ValueError("A model with an embedding per user needs users. Received: users=None")
        return self._users[users] @ self._items.T

    @property
    def hyperparameters(self) -> dict[str, Any]:
        names = ("dim", "learning_rate", "epochs", "batch_size")
        return {name: getattr(self, name) for name in names}

    def _make_batches(self, known: scipy.sparse.csr_matrix, dtype: type) -> Any:
        """Makes the shuffled pairs of user and item, as a `tf.data.Dataset`."""
        import tensorflow as tf

        pairs = known.tocoo()
        batches = tf.data.Dataset.from_tensor_slices(
            (pairs.row.astype(dtype), pairs.col.astype(dtype))
        )
        return batches.shuffle(known.nnz, seed=self.seed).batch(self.batch_size).prefetch(2)

    def _keep(self, model: Any) -> None:
        self._users, self._items = self._get_embeddings(model)

    @abc.abstractmethod
    def _get_embeddings(self, model: Any) -> tuple[np.ndarray, np.ndarray]:
        """Returns the embeddings `[num_users, dim]` and `[num_items, dim]` of a model."""
