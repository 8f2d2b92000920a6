"""The AD-DRL two-tower: a score is a sum over chunks, by attribute, residual and memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
import scipy.sparse
import tensorflow as tf
from keras import ops

from addrl_keras.config import PAPER, Config
from addrl_keras.layers.retrieval import DOT, SOFTPLUS, score_chunks, score_parts
from addrl_keras.pairs import Pairs
from addrl_keras.preferences import get_kind
from addrl_keras.towers import (
    ItemTower,
    Memory,
    UserTower,
    compute_chunk_dims,
    scale_histories,
)
from addrl_keras.training_step import Frozen, Step, make_frozen

Tensor = Any


@dataclasses.dataclass(frozen=True)
class ModelShape:
    """Sizes that the data, not the configuration, decides.

    Args:
        num_items: Size of the catalogue.
        num_users: Number of known users.
        num_values: Number of values of each attribute, in configured order.
    """

    num_items: int
    num_users: int
    num_values: tuple[int, ...]


@keras.saving.register_keras_serializable(package="addrl")
class AdDrl(keras.Model):
    """Scores the whole catalogue for users given by their histories.

    `s(u, i) = sum_k <e_u^k, y_i^k> + memory(u, i)`. A score is a logit: one unit more multiplies
    the odds of the item by `e`, and a chunk's part of the sum is that chunk's contribution, but for
    what the memory knows of values, which is accounted to the attributes (`split_scores`). By the
    paper's recipe it is `sum_k softplus(<e_u^k, y_i^k>)`, with an embedding per user in `e_u`.

    Args:
        config: The model's configuration.
        shape: The sizes of the data.

    Call arguments:
        inputs: Dict with `history`, float 0/1 `[batch, num_items]`, and optionally `users`, int
            `[batch]`, the index of the user or -1 (used only with `config.model.user_embedding`).

    Returns:
        Scores, float `[batch, num_items]`.
    """

    def __init__(self, config: Config, shape: ModelShape, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        config.validate()
        if len(shape.num_values) != len(config.attributes):
            raise ValueError(
                "The shape must give a number of values for each of "
                f"{list(config.attribute_names)}. "
                f"Received: num_values={shape.num_values}"
            )
        self.config, self.shape = config, shape
        is_paper = config.recipe == PAPER
        attribute_dims = compute_chunk_dims(config, shape.num_values)
        self.chunk_dims = (*attribute_dims, config.model.residual_dim)
        self.user_tower = UserTower(
            shape.num_items,
            sum(self.chunk_dims),
            shape.num_users if config.model.user_embedding or is_paper else 0,
            name="user_tower",
        )
        self.item_tower = ItemTower(
            shape.num_items,
            shape.num_values,
            attribute_dims,
            config.model.residual_dim,
            config.training.seed,
            free=is_paper,
            name="item_tower",
        )
        self.memory = None
        if config.model.memory_size:
            self.memory = Memory(
                shape.num_items,
                min(config.model.memory_size, shape.num_items),
                sum(attribute_dims),
                name="memory",
            )
        self._seeds = keras.random.SeedGenerator(config.training.seed)
        self._mean_loss = keras.metrics.Mean(name="loss")
        self._frozen: Frozen | None = None
        # Item-to-item weights `[num_items, num_items]`, where the loss is distillation.
        self.teacher: np.ndarray | None = None
        self.built = True

    def call(self, inputs: Mapping[str, Tensor]) -> Tensor:
        history = inputs["history"]
        users = self.user_tower(history, inputs.get("users"))
        scores = score_chunks(users, self.item_tower(None), self.chunk_dims, self.score_kind)
        return scores if self.memory is None else scores + self.memory(history)

    @property
    def score_kind(self) -> str:
        """How a chunk's dot product becomes its contribution."""
        return SOFTPLUS if self.config.recipe == PAPER else DOT

    def prepare_training(self, items: scipy.sparse.csr_matrix) -> None:
        """Computes what no step changes; call it before `fit` and after setting weights.

        Args:
            items: Binary CSR `[num_users, num_items]`, the training interactions.
        """
        self._frozen = make_frozen(self, items, self.teacher)

    def finish_training(self) -> None:
        """Lets go of what only steps need, the teacher among it."""
        self._frozen = self.teacher = None

    def train_step(self, data: Any) -> dict[str, Tensor]:
        """Holds out a random part of each user's items and learns to predict it from the rest.

        Args:
            data: Dict with `lengths`, int `[batch]`, the number of each user's items, `items`, int
                `[sum of lengths]`, and `users`, int `[batch]`.

        Raises:
            ValueError: `prepare_training` was not called.
        """
        if self._frozen is None:
            raise ValueError(
                "A model is trained on what `prepare_training` computes; call it before `fit`."
            )
        inputs, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        kind = get_kind(self.config.losses.preference_kind)
        history, targets = self._hold_out(inputs["items"], inputs["lengths"])
        with tf.GradientTape() as tape:
            dense = self._frozen.has_long_histories
            users = self.user_tower.encode(history, inputs["users"], dense)
            step = Step(self, self._frozen, history, targets, users)
            loss = self.config.losses.preference * kind.compute_loss(step)
        gradients = tape.gradient(loss, self.trainable_variables)
        if kind.IS_DENSE:
            # Whichever way a history was encoded, the moments of every row decay in each step.
            gradients = [None if part is None else tf.convert_to_tensor(part) for part in gradients]
        self.optimizer.apply(gradients, self.trainable_variables)
        self._mean_loss.update_state(loss)
        return {"loss": self._mean_loss.result()}

    def draw(self, shape: Tensor) -> Tensor:
        """Draws numbers in [0, 1) from the model's own seeds, float of a shape."""
        return keras.random.uniform(shape, seed=self._seeds)

    def _hold_out(self, items: Tensor, lengths: Tensor) -> tuple[Pairs, Pairs]:
        num_rows = tf.shape(lengths)[0]
        pairs = Pairs(tf.repeat(tf.range(num_rows), lengths), items, num_rows)
        low, high = self.config.training.keep_share
        share = keras.random.uniform((num_rows, 1), low, high, seed=self._seeds)
        kept = self.draw(tf.shape(items)) < tf.gather(share[:, 0], pairs.rows)
        return pairs.keep(kept), pairs.keep(~kept)

    def compute_scores(
        self, history: Any, users: np.ndarray | None = None, batch_size: int = 512
    ) -> np.ndarray:
        """Computes the scores of the whole catalogue, float32 `[num_users, num_items]`, in batches.

        Args:
            history: CSR `[num_users, num_items]`, 1 where the user has the item.
            users: Optional int `[num_users]`, user index or -1.
            batch_size: Users per batch.
        """
        # As `call` does, but histories stay sparse: most of the catalogue is in none of them.
        items = ops.convert_to_numpy(self.item_tower(None))
        query = self.user_tower.query.numpy()
        memory = None if self.memory is None else self.memory.compute_matrix()
        scaled = scale_histories(history)
        parts = []
        for start in range(0, history.shape[0], batch_size):
            rows = slice(start, start + batch_size)
            vectors = self._add_embeddings(scaled[rows] @ query, users, rows)
            scores = ops.convert_to_numpy(
                score_chunks(vectors, items, self.chunk_dims, self.score_kind)
            ).copy()
            if memory is not None:
                scores += (scaled[rows] @ memory).toarray()
            parts.append(scores)
        return np.concatenate(parts)

    def split_scores(
        self, history: scipy.sparse.csr_matrix, users: np.ndarray | None = None
    ) -> np.ndarray:
        """Computes what each chunk contributes to every score, all at once.

        Args:
            history: CSR `[num_users, num_items]`, 1 where the user has the item.
            users: As in `compute_scores`.

        Returns:
            Float32 `[num_users, num_chunks, num_items]`, in the order of the configuration's
            `chunk_names`; their sum over the chunks is what `compute_scores` computes.
        """
        return next(self.iterate_split_scores(history, max(1, history.shape[0]), users))

    def iterate_split_scores(
        self, history: scipy.sparse.csr_matrix, batch_size: int, users: np.ndarray | None = None
    ) -> Iterator[np.ndarray]:
        """Yields what `split_scores` computes, for `batch_size` users at a time."""
        items = tf.convert_to_tensor(self.item_tower(None))
        query = self.compute_item_preferences()
        memory = accounted = None
        if self.memory is not None:
            memory, accounted = self.memory.compute_matrix(), self.memory.accounted.numpy()
        scaled = scale_histories(history)
        for start in range(0, max(1, history.shape[0]), batch_size):
            rows = slice(start, start + batch_size)
            vectors = self._add_embeddings(scaled[rows] @ query, users, rows)
            parts = score_parts(tf.constant(vectors), items, self.chunk_dims, self.score_kind)
            if memory is not None:
                moved = scaled[rows] @ accounted
                moved = tf.matmul(moved, items[:, : moved.shape[1]], transpose_b=True)
                parts.append((scaled[rows] @ memory).toarray() - moved)
            yield np.stack([ops.convert_to_numpy(part) for part in parts], axis=1)

    def compute_item_preferences(self) -> np.ndarray:
        """Computes what having an item says of the taste in each chunk, `[num_items, dim]`.

        Of the attributes' chunks it is the query vectors together with the memory's share.
        """
        query = self.user_tower.query.numpy()
        if self.memory is not None:
            accounted = self.memory.accounted.numpy()
            query[:, : accounted.shape[1]] += accounted
        return query

    def _add_embeddings(
        self, vectors: np.ndarray, users: np.ndarray | None, rows: slice
    ) -> np.ndarray:
        if users is None or self.user_tower.embedding is None:
            return vectors
        own = self.user_tower.embedding.numpy()[np.maximum(users[rows], 0)]
        return np.asarray(vectors + own * (users[rows] >= 0)[:, None], np.float32)

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "config": self.config.to_dict(),
            "shape": dataclasses.asdict(self.shape),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> AdDrl:
        shape = ModelShape(
            **{**config["shape"], "num_values": tuple(config["shape"]["num_values"])}
        )
        return cls(Config.from_dict(config["config"]), shape, name=config["name"])
