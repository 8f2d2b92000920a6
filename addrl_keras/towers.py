"""The two towers and the memory: a user is a sum over a history, an item its chunks in a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import scipy.sparse
import tensorflow as tf
from keras import ops

from addrl_keras.config import PAPER, Config
from addrl_keras.pairs import Pairs

Tensor = Any


class UserTower(keras.layers.Layer):
    """Encodes a history: `e_u = n^-1/2 sum_h q_h`, with the query vectors `q_h` of its items.

    No user id is needed, so an unknown user with a history is served like a known one. A chunk of
    `q_h` is the item's affinity to the values of that chunk's attribute.

    Args:
        num_items: Size of the catalogue.
        dim: Width of all chunks together.
        num_users: Size of an optional table of free user embeddings, added to the sum; 0 for none.

    Call arguments:
        history: Float 0/1 `[batch, num_items]`.
        users: Optional int `[batch]`, user index, -1 for an unknown user.

    Returns:
        Float `[batch, dim]`.
    """

    def __init__(self, num_items: int, dim: int, num_users: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.query = self.add_weight(name="query", shape=(num_items, dim), initializer="zeros")
        self.embedding = None
        if num_users:
            self.embedding = self.add_weight(
                name="embedding", shape=(num_users, dim), initializer="zeros"
            )

    def call(self, history: Tensor, users: Tensor | None = None) -> Tensor:
        return self._add_users(ops.matmul(history * history_scale(history), self.query), users)

    def encode(self, history: Pairs, users: Tensor | None = None, dense: bool = False) -> Tensor:
        """Encodes histories given as pairs.

        Args:
            history: The pairs.
            users: As in `call`.
            dense: Whether to multiply rows `[batch, num_items]` with the table, which takes less
                time than to gather its rows where histories are long.

        Returns:
            Float `[batch, dim]`.
        """
        if not dense:
            return self._add_users(history.encode(self.query.value), users)
        scale = tf.gather(history.scale(), history.rows)
        rows = history.spread(scale, self.query.shape[0])
        return self._add_users(tf.matmul(rows, tf.convert_to_tensor(self.query)), users)

    def _add_users(self, vectors: Tensor, users: Tensor | None) -> Tensor:
        if self.embedding is not None and users is not None:
            known = ops.cast(users >= 0, vectors.dtype)[:, None]
            vectors = vectors + known * ops.take(self.embedding, ops.maximum(users, 0), axis=0)
        return vectors


def history_scale(history: Tensor) -> Tensor:
    """Returns `n^-1/2`, `[batch, 1]`, for 0/1 rows `[batch, num_items]`; 1 for an empty row."""
    return ops.rsqrt(ops.maximum(ops.sum(history, axis=-1, keepdims=True), 1.0))


def scale_histories(history: scipy.sparse.csr_matrix) -> scipy.sparse.csr_matrix:
    """Multiplies the rows of a binary CSR `[num_users, num_items]` by `n^-1/2`, in float32."""
    lengths = np.maximum(np.diff(history.indptr), 1).astype(np.float32)
    return scipy.sparse.csr_matrix(scipy.sparse.diags(lengths**-0.5) @ history, dtype=np.float32)


class ItemTower(keras.layers.Layer):
    """Holds the item vectors: per attribute the embedded value distribution, then the residual.

    `y_i^k = Y_k[i] E_k`, where `Y_k[i]` is item `i`'s distribution over the values of attribute `k`
    and `E_k` a fixed orthonormal embedding of the values. A chunk sees nothing but its attribute,
    so no gradient can entangle it.

    Args:
        num_items: Size of the catalogue.
        num_values: Number of values of each attribute.
        chunk_dims: Width of each attribute's chunk.
        residual_dim: Width of the residual chunk, a free vector per item.
        seed: Seed of the residual chunk's initial values; None for other values every time.
        free: Whether the attributes' chunks are free vectors too, as the paper's recipe makes them.
    """

    def __init__(
        self,
        num_items: int,
        num_values: Sequence[int],
        chunk_dims: Sequence[int],
        residual_dim: int,
        seed: int | None = None,
        free: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.distributions = [
            self.add_weight(
                name=f"distribution_{k}",
                shape=(num_items, size),
                initializer="zeros",
                trainable=False,
            )
            for k, size in enumerate(num_values)
        ]
        self.value_embeddings = [
            self.add_weight(
                name=f"values_{k}", shape=(size, dim), initializer="identity", trainable=False
            )
            for k, (size, dim) in enumerate(zip(num_values, chunk_dims, strict=True))
            if not free
        ]
        self.chunks = None
        if free:
            self.chunks = self.add_weight(
                name="chunks", shape=(num_items, sum(chunk_dims)), initializer="zeros"
            )
        self.residual = self.add_weight(
            name="residual",
            shape=(num_items, residual_dim),
            initializer=keras.initializers.GlorotUniform(seed=seed),
        )

    def call(self, inputs: Tensor | None = None) -> Tensor:
        """Returns the vectors of the whole catalogue, float `[num_items, dim]`."""
        residual = ops.convert_to_tensor(self.residual)
        return ops.concatenate([self.compute_attributes(), residual], axis=-1)

    def compute_attributes(self) -> Tensor:
        """Computes the attribute chunks side by side, `[num_items, dim]`; no step moves them."""
        if self.chunks is not None:
            return ops.convert_to_tensor(self.chunks)
        pairs = zip(self.distributions, self.value_embeddings, strict=True)
        return ops.concatenate(
            [ops.matmul(distribution, embedding) for distribution, embedding in pairs], axis=-1
        )


class Memory(keras.layers.Layer):
    """A sparse item-to-item term beside the towers: "because you bought X".

    `s_memory(u, i) = n^-1/2 sum_j w_ij [source_ij in the history of u]`, with `size` sources per
    item.

    Args:
        num_items: Size of the catalogue.
        size: Sources kept per scored item.
        dim: Width of the attributes' chunks together. `accounted`, `C` `[num_items, dim]`, is what
            of the weights `M = C Z' + rest` the attributes' chunks `Z` of the items scored have to
            answer for (`addrl_keras.accounting`). No score has need of it: `M` is in the weights.

    Call arguments:
        history: Float 0/1 `[batch, num_items]`.

    Returns:
        Float `[batch, num_items]`. Cost: `num_items * size` multiplications per user.
    """

    def __init__(self, num_items: int, size: int, dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.source = self.add_weight(
            name="source",
            shape=(num_items, size),
            dtype="int64",
            initializer="zeros",
            trainable=False,
        )
        self.weight = self.add_weight(name="weight", shape=(num_items, size), initializer="zeros")
        self.accounted = self.add_weight(
            name="accounted", shape=(num_items, dim), initializer="zeros", trainable=False
        )

    def call(self, history: Tensor) -> Tensor:
        source, weight = tf.convert_to_tensor(self.source), tf.convert_to_tensor(self.weight)
        num_items, size = tf.shape(source, tf.int64)[0], tf.shape(source, tf.int64)[1]
        indices = tf.stack([tf.repeat(tf.range(num_items), size), tf.reshape(source, [-1])], axis=1)
        matrix = tf.SparseTensor(
            indices, tf.reshape(weight, [-1]), tf.stack([num_items, num_items])
        )
        scaled = history * history_scale(history)
        return tf.transpose(tf.sparse.sparse_dense_matmul(matrix, scaled, adjoint_b=True))

    def compute_matrix(self) -> scipy.sparse.csr_matrix:
        """Computes the weights as a matrix, `[num_items, num_items]`, row: item in the history."""
        source, weight = self.source.numpy(), self.weight.numpy()
        target = np.repeat(np.arange(len(source)), source.shape[1])
        entries = (weight.ravel(), (source.ravel(), target))
        return scipy.sparse.csr_matrix(entries, shape=(len(source), len(source)))


def compute_chunk_dims(config: Config, num_values: Sequence[int]) -> tuple[int, ...]:
    """Width of each attribute's chunk: its number of values, at most `config.model.value_dim`.

    The paper's chunks are all of the width `config.model.chunk_dim`.
    """
    if config.recipe == PAPER:
        return (config.model.chunk_dim,) * len(num_values)
    return tuple(min(size, config.model.value_dim) for size in num_values)
