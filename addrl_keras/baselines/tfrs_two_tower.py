"""The retrieval model of the TensorFlow Recommenders tutorial, as its users write it.

The one place with a model of the old Keras: `tfrs.Model` is one, and what is compared is what its
users have. `TF_USE_LEGACY_KERAS` must be 1 before TensorFlow is imported, or TFRS refuses to load.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import scipy.sparse

from addrl_keras.baselines.user_two_tower import UserTwoTower


@dataclasses.dataclass(kw_only=True)
class TfrsTwoTower(UserTwoTower):
    """An embedding per user and per item, trained by `tfrs.tasks.Retrieval`.

    The interactions of a batch are each other's negatives. For its arguments see `UserTwoTower`.

    Reference:
        TensorFlow Recommenders, tutorial "Recommending movies: retrieval".
    """

    name = "tfrs_two_tower"

    def _make(self, known: scipy.sparse.csr_matrix) -> tuple[Any, Any]:
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

        model = Retrieval(known.shape, self.dim, self.seed)
        model.compile(optimizer=tf.keras.optimizers.Adagrad(self.learning_rate))
        return model, self._make_batches(known, np.int64)

    def _get_embeddings(self, model: Any) -> tuple[np.ndarray, np.ndarray]:
        users, items = (tower.get_weights()[0] for tower in model.towers)
        return users, items
