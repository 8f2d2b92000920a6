"""What the two-towers of the tutorials share: embeddings of users and items, early stopping."""

from __future__ import annotations

import abc
import copy
import dataclasses
from typing import Any, ClassVar, Self

import numpy as np
import scipy.sparse

from addrl_keras.baselines.base import Baseline
from addrl_keras.catalogue import Interactions
from addrl_keras.metrics.ranking import compute_ranking_metrics


@dataclasses.dataclass
class UserTwoTower(Baseline):
    """An embedding per user and per item, whose dot product is the score.

    Args:
        dim: Width of the embeddings; 32 in the tutorials.
        learning_rate: Of Adagrad; .1 in the tutorials.
        epochs: Passes over the interactions. On validation every `STEP` passes are looked at, up to
            `MAX_EPOCHS`, until `PATIENCE` looks in a row were no better.
        batch_size: Interactions per step.
        seed: Of the first weights and the order.
    """

    dim: int = 32
    learning_rate: float = 0.1
    epochs: int = 3
    batch_size: int = 1024
    seed: int = 0

    STEP: ClassVar[int] = 3
    MAX_EPOCHS: ClassVar[int] = 60
    PATIENCE: ClassVar[int] = 4

    def fit(self, known: scipy.sparse.csr_matrix) -> Self:
        """Trains for `epochs` passes. See `Baseline.fit`."""
        model, batches = self._make(known)
        model.fit(batches, epochs=self.epochs, verbose=0, shuffle=False)
        self._users, self._items = self._get_embeddings(model)
        return self

    def validate(self, interactions: Interactions, k: int) -> tuple[float, Self]:
        """Trains until validation gets worse; the number of passes becomes that of the best."""
        own = copy.copy(self)
        model, batches = own._make(interactions.train)
        figures: list[float] = []
        while len(figures) - int(np.argmax(figures or [0])) <= self.PATIENCE:
            model.fit(batches, epochs=self.STEP, verbose=0, shuffle=False)
            own._users, own._items = own._get_embeddings(model)
            found = compute_ranking_metrics(
                own.score, interactions.train, interactions.validation, k, pass_users=True
            )
            figures.append(float(found[f"ndcg_at_{k}"]))
            if len(figures) * self.STEP >= self.MAX_EPOCHS:
                break
        best = int(np.argmax(figures))
        return figures[best], dataclasses.replace(self, epochs=(best + 1) * self.STEP)

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

    @abc.abstractmethod
    def _make(self, known: scipy.sparse.csr_matrix) -> tuple[Any, Any]:
        """Makes the compiled model and the shuffled batches of a training."""

    @abc.abstractmethod
    def _get_embeddings(self, model: Any) -> tuple[np.ndarray, np.ndarray]:
        """Returns the embeddings `[num_users, dim]` and `[num_items, dim]` of a model."""
