"""The retrieval model of the TensorFlow Recommenders tutorial, as its users write it.

The one place with a model of the old Keras: `tfrs.Model` is one, and what is compared is what its
users have. `TF_USE_LEGACY_KERAS` must be 1 before TensorFlow is imported, or TFRS refuses to load.
"""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import numpy as np
import scipy.sparse

from addrl_keras.baselines.base import Baseline
from addrl_keras.catalogue import Interactions
from addrl_keras.metrics.ranking import compute_ranking_metrics


@dataclasses.dataclass
class TfrsTwoTower(Baseline):
    """An embedding per user and per item, trained by `tfrs.tasks.Retrieval`.

    Args:
        dim: Width of the embeddings; 32 in the tutorial.
        learning_rate: Of Adagrad; .1 in the tutorial.
        epochs: Passes over the interactions. On validation every `STEP` passes are looked at, up to
            `MAX_EPOCHS`.
        batch_size: Interactions per step, which are each other's negatives.
        seed: Of the first weights and the order.

    Reference:
        TensorFlow Recommenders, tutorial "Recommending movies: retrieval".
    """

    dim: int = 32
    learning_rate: float = 0.1
    epochs: int = 3
    batch_size: int = 1024
    seed: int = 0

    name = "tfrs_two_tower"
    STEP = 3
    MAX_EPOCHS = 60
    PATIENCE = 4

    def fit(self, known: scipy.sparse.csr_matrix) -> TfrsTwoTower:
        """Trains for `epochs` passes. See `Baseline.fit`."""
        model, batches = self._make(known)
        model.fit(batches, epochs=self.epochs, verbose=0)
        self._keep(model)
        return self

    def validate(self, interactions: Interactions, k: int) -> tuple[float, TfrsTwoTower]:
        """Trains until validation gets worse; the number of passes becomes that of the best."""
        own = copy.copy(self)
        model, batches = own._make(interactions.train)
        figures: list[float] = []
        while len(figures) - int(np.argmax(figures or [0])) <= self.PATIENCE:
            model.fit(batches, epochs=self.STEP, verbose=0)
            own._keep(model)
            found = compute_ranking_metrics(
                own.score, interactions.train, interactions.validation, k, pass_users=True
            )
            figures.append(found[f"ndcg_at_{k}"])
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

    def _make(self, known: scipy.sparse.csr_matrix) -> tuple[Any, Any]:
        """Makes the model and the shuffled batches of a training."""
        import tensorflow as tf
        import tensorflow_recommenders as tfrs

        class Retrieval(tfrs.Model):
            def __init__(self, shape: tuple[int, int], dim: int, seed: int) -> None:
                super().__init__()
                self.towers = [
                    tf.keras.layers.Embedding(
                        size,
                        dim,
                        embeddings_initializer=tf.keras.initializers.RandomUniform(
                            -0.05, 0.05, seed=seed + side
                        ),
                    )
                    for side, size in enumerate(shape)
                ]
                self.task = tfrs.tasks.Retrieval()

            def compute_loss(self, features: Any, training: bool = False) -> Any:
                users, items = features
                return self.task(self.towers[0](users), self.towers[1](items))

        pairs = known.tocoo()
        batches = tf.data.Dataset.from_tensor_slices(
            (pairs.row.astype(np.int64), pairs.col.astype(np.int64))
        )
        batches = batches.shuffle(known.nnz, seed=self.seed).batch(self.batch_size).prefetch(2)
        model = Retrieval(known.shape, self.dim, self.seed)
        model.compile(optimizer=tf.keras.optimizers.Adagrad(self.learning_rate))
        return model, batches

    def _keep(self, model: Any) -> None:
        self._users, self._items = (tower.get_weights()[0] for tower in model.towers)
