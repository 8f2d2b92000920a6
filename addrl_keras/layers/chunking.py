"""Cutting a modality's vector into chunks, one per attribute and one residual."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

Tensor = Any


@keras.saving.register_keras_serializable(package="addrl")
class ChunkedProjection(keras.layers.Layer):
    """Projects a modality's feature linearly and cuts the result into chunks.

    `x^k = W^k f / ||f||` for chunk `k`, with `W` `[num_chunks * chunk_dim, dim]` learnt as one
    kernel. There is no bias: it would give an item without the modality a vector.

    Args:
        num_chunks: Number of chunks, attributes plus residual.
        chunk_dim: Width of a chunk.
        seed: Seed of the kernel's initial values; None for other values every time.
        initial_scale: Factor of the kernel's initial values. The nearer to 0, the less a feature
            says that no item had in training.

    Call arguments:
        inputs: Float `[batch, dim]`. It is L2-normalised first; a row of zeros (missing modality)
            gives zero chunks.

    Returns:
        Float `[batch, num_chunks, chunk_dim]`.

    Raises:
        ValueError: `num_chunks`, `chunk_dim` or `initial_scale` is not positive.

    Example:
        >>> ChunkedProjection(num_chunks=3, chunk_dim=4)(keras.ops.ones((2, 5))).shape
        TensorShape([2, 3, 4])

    Reference:
        AD-DRL, arXiv 2312.14433, section 3.2.
    """

    def __init__(
        self,
        num_chunks: int,
        chunk_dim: int,
        seed: int | None = None,
        initial_scale: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if num_chunks < 1 or chunk_dim < 1:
            raise ValueError(
                "num_chunks and chunk_dim must be at least 1. "
                f"Received: num_chunks={num_chunks}, chunk_dim={chunk_dim}"
            )
        if not initial_scale > 0:
            raise ValueError(f"initial_scale must be more than 0. Received: {initial_scale!r}")
        self.num_chunks = num_chunks
        self.chunk_dim = chunk_dim
        self.initial_scale = initial_scale
        self.seed = seed

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.kernel = self.add_weight(
            name="kernel",
            shape=(input_shape[-1], self.num_chunks * self.chunk_dim),
            initializer=keras.initializers.VarianceScaling(
                self.initial_scale**2, "fan_avg", "uniform", seed=self.seed
            ),
        )

    def call(self, inputs: Tensor) -> Tensor:
        projected = ops.matmul(ops.normalize(inputs, axis=-1, order=2), self.kernel)
        return ops.reshape(projected, (-1, self.num_chunks, self.chunk_dim))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (input_shape[0], self.num_chunks, self.chunk_dim)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_chunks": self.num_chunks,
            "chunk_dim": self.chunk_dim,
            "initial_scale": self.initial_scale,
            "seed": self.seed,
        }
