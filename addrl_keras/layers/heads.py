"""The classifiers that give chunks their meaning during training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

Tensor = Any


@keras.saving.register_keras_serializable(package="addrl")
class ChunkClassifier(keras.layers.Layer):
    """Says which attribute a chunk stands for.

    `logits^k = W dropout(LeakyReLU_0.2(x^k)) + b`, whose softmax is to name chunk `k`. There
    is one per modality, shared by the modality's chunks.

    Args:
        num_chunks: Number of chunks, which are the classes.
        dropout: Dropout rate, 0 to 1.
        seed: Seed of the initial weights and of the dropout; None for others every time.

    Call arguments:
        chunks: Float `[batch, num_chunks, chunk_dim]`.

    Returns:
        Logits `[batch, num_chunks, num_chunks]`; row `k` is about chunk `k`.

    Reference:
        AD-DRL, arXiv 2312.14433, section 3.2 (high-level, intra-modality).
    """

    def __init__(
        self, num_chunks: int, dropout: float = 0.2, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.num_chunks = num_chunks
        self.dropout = dropout
        self.seed = seed
        self._dropout = keras.layers.Dropout(dropout, seed=seed, dtype=self.dtype_policy)
        self._linear = keras.layers.Dense(
            num_chunks,
            kernel_initializer=keras.initializers.GlorotUniform(seed=seed),
            dtype=self.dtype_policy,
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self._linear.build(input_shape)

    def call(self, chunks: Tensor, training: bool = False) -> Tensor:
        hidden = ops.leaky_relu(chunks, negative_slope=0.2)
        return self._linear(self._dropout(hidden, training=training))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*input_shape[:-1], self.num_chunks)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_chunks": self.num_chunks,
            "dropout": self.dropout,
            "seed": self.seed,
        }


@keras.saving.register_keras_serializable(package="addrl")
class ValueHeads(keras.layers.Layer):
    """Predicts the value of each attribute from its fused chunk, one linear head per attribute.

    `logits^k = H^k y^k + h^k` for attribute `k` and its fused chunk `y^k`, over the attribute's
    values.

    Args:
        num_values: Number of values of each attribute, in the order of the chunks.
        seed: Seed of the heads' initial weights; None for others every time.

    Call arguments:
        fused: Float `[batch, num_chunks, chunk_dim]`; chunks beyond the attributes (residual) have
            no head.

    Returns:
        A list of logits, `[batch, num_values[k]]` for attribute `k`.

    Raises:
        ValueError: There are fewer chunks than attributes.

    Reference:
        AD-DRL, arXiv 2312.14433, section 3.4 (low-level).
    """

    def __init__(self, num_values: Sequence[int], seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_values = tuple(num_values)
        self.seed = seed
        self._heads = [
            keras.layers.Dense(
                size,
                kernel_initializer=keras.initializers.GlorotUniform(seed=seed),
                dtype=self.dtype_policy,
                name=f"head_{k}",
            )
            for k, size in enumerate(self.num_values)
        ]

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        if input_shape[1] is not None and input_shape[1] < len(self._heads):
            raise ValueError(
                f"{len(self._heads)} value heads need as many chunks. Received: shape {input_shape}"
            )
        for head in self._heads:
            head.build((input_shape[0], input_shape[-1]))

    def get_head(self, attribute: int) -> keras.layers.Dense:
        """Gets the head of an attribute, by its place in configured order."""
        return self._heads[attribute]

    def call(self, fused: Tensor) -> list[Tensor]:
        return [head(fused[:, k]) for k, head in enumerate(self._heads)]

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> list[tuple[int | None, ...]]:
        return [(input_shape[0], size) for size in self.num_values]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_values": self.num_values, "seed": self.seed}
