"""The retrieval model of the Keras Recommenders example, on interactions in place of ratings."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import scipy.sparse

from addrl_keras.baselines.user_two_tower import UserTwoTower


@dataclasses.dataclass(kw_only=True)
class KerasRsTwoTower(UserTwoTower):
    """An embedding per user and per item, scored by `keras_rs.layers.BruteForceRetrieval`.

    Towers, layer and optimiser are those of the example. Its loss is not: the example predicts
    ratings by their mean square, and where everything known is a 1 the best such model scores all
    items alike. So the loss is the softmax over the whole catalogue, summed over the batch. For its
    arguments see `UserTwoTower`.

    Reference:
        Keras Recommenders, example "Recommending movies: retrieval".
    """

    name = "keras_rs_two_tower"
    # Against all items it learns in a few passes what it is going to, and overfits from there.
    STEP = 1

    def _make(self, known: scipy.sparse.csr_matrix) -> tuple[Any, Any]:
        import keras

        model = make_model(known.shape, self.dim, self.seed)
        model.compile(optimizer=keras.optimizers.Adagrad(self.learning_rate))
        # The layers of keras-rs 0.4 hold ids as int32 alone.
        return model, self._make_batches(known, np.int32)

    def _get_embeddings(self, model: Any) -> tuple[np.ndarray, np.ndarray]:
        towers = (model.user_embedding, model.candidate_embedding)
        users, items = (np.asarray(tower.embeddings) for tower in towers)
        return users, items


def make_model(shape: tuple[int, int], dim: int, seed: int, k: int = 10) -> Any:
    """Makes the model, not compiled.

    Args:
        shape: Number of users and of items.
        dim: Width of the embeddings.
        seed: Of the first weights.
        k: How many items the model retrieves, at most the number of items.

    Returns:
        A Keras model: users int32 `[batch]` to `user_embeddings` `[batch, dim]` and, unless in
        training, `predictions` int32 `[batch, k]`, the best items. Its targets are items `[batch]`.
    """
    import keras
    import keras_rs

    class Retrieval(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.user_embedding, self.candidate_embedding = (
                keras.layers.Embedding(
                    size,
                    dim,
                    embeddings_initializer=keras.initializers.RandomUniform(
                        -0.05, 0.05, seed=seed + side
                    ),
                )
                for side, size in enumerate(shape)
            )
            self.retrieval = keras_rs.layers.BruteForceRetrieval(
                k=min(k, shape[1]), return_scores=False
            )
            # The sum: of a mean each row's gradient is so small that Adagrad hardly moves.
            self.loss_fn = keras.losses.SparseCategoricalCrossentropy(
                from_logits=True, reduction="sum"
            )

        def build(self, input_shape: Any) -> None:
            self.user_embedding.build(input_shape)
            self.candidate_embedding.build(input_shape)
            # As in the example: the candidates are the variable itself, not a copy to update.
            self.retrieval.candidate_embeddings = self.candidate_embedding.embeddings
            self.retrieval.build(input_shape)
            super().build(input_shape)

        def call(self, users: Any, training: bool = False) -> dict[str, Any]:
            result = {"user_embeddings": self.user_embedding(users)}
            if not training:
                result["predictions"] = self.retrieval(result["user_embeddings"])
            return result

        def compute_loss(
            self,
            x: Any = None,
            y: Any = None,
            y_pred: Any = None,
            sample_weight: Any = None,
            training: bool = True,
        ) -> Any:
            scores = self.retrieval.compute_score(
                y_pred["user_embeddings"], self.candidate_embedding.embeddings
            )
            return self.loss_fn(y, scores, sample_weight)

    return Retrieval()
