"""Fusing the modalities of an item, chunk by chunk."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

Tensor = Any
_ABSENT = -1e9


@keras.saving.register_keras_serializable(package="addrl")
class FusionAttention(keras.layers.Layer):
    """Fuses modalities by an attention over them, chunk by chunk.

    `w^k = softmax_m(MLP(normalise(sum_m x_m^k)))`, `y^k = sum_m w_m^k normalise(x_m^k)`, with the
    softmax over the modalities that the item has. There is one softmax (the authors' code applies
    two, which confines every weight). With `normalize=False` it is `y^k = sum_m w_m^k x_m^k`: a
    modality that says little of an item, as its features were rare in training, adds little. The
    MLP is one for all chunks, or with `shared=False` one for each, so that what one chunk learns
    moves no other.

    Args:
        mode: `attention`, or `uniform` for equal weights over the modalities present.
        hidden_dim: Width of the MLP (linear, tanh, linear).
        seed: Seed of the MLP's initial values; None for other values every time. Its last kernel
            starts at zero, so that all modalities weigh alike at first.
        normalize: Whether a modality's chunk has length 1 in the sum.
        shared: Whether all chunks have one MLP. Else the first axis of every weight is the chunk.

    Call arguments:
        chunks: Float `[batch, num_modalities, num_chunks, chunk_dim]`.
        present: Bool `[batch, num_modalities]`.

    Returns:
        `(fused, weights)`: float `[batch, num_chunks, chunk_dim]` and `[batch, num_chunks,
        num_modalities]`. The weights of a chunk add up to 1; an absent modality has weight 0. An
        item without any modality has zero chunks and weights.

    Raises:
        ValueError: `mode` is neither of the two, or a size but the batch's is not known.

    Reference:
        AD-DRL, arXiv 2312.14433, section 3.3.
    """

    def __init__(
        self,
        mode: str = "attention",
        hidden_dim: int = 32,
        seed: int | None = None,
        normalize: bool = True,
        shared: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if mode not in ("attention", "uniform"):
            raise ValueError(f"mode must be 'attention' or 'uniform'. Received: {mode!r}")
        self.mode = mode
        self.hidden_dim = hidden_dim
        self.normalize = normalize
        self.shared = shared
        self.seed = seed

    def build(self, chunks_shape: tuple[int | None, ...], present_shape: Any = None) -> None:
        if self.mode == "uniform":
            return
        _, num_modalities, num_chunks, chunk_dim = chunks_shape
        if num_modalities is None or num_chunks is None or chunk_dim is None:
            raise ValueError(
                "Modalities, chunks and their width must be known when the layer is built. "
                f"Received: shape {tuple(chunks_shape)}"
            )
        mlps = () if self.shared else (num_chunks,)
        limit = math.sqrt(6 / (chunk_dim + self.hidden_dim))  # Glorot's, of one chunk's kernel.
        self.hidden_kernel = self.add_weight(
            name="hidden_kernel",
            shape=(*mlps, chunk_dim, self.hidden_dim),
            initializer=keras.initializers.RandomUniform(-limit, limit, seed=self.seed),
        )
        self.hidden_bias = self.add_weight(
            name="hidden_bias", shape=(*mlps, self.hidden_dim), initializer="zeros"
        )
        self.output_kernel = self.add_weight(
            name="output_kernel",
            shape=(*mlps, self.hidden_dim, num_modalities),
            initializer="zeros",
        )

    def call(self, chunks: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        mask = ops.cast(present, chunks.dtype)[:, None, :]
        logits = self._logits(chunks) + (1.0 - mask) * _ABSENT
        # Over a single modality Keras would warn that a softmax has nothing to choose.
        alone = logits.shape[-1] == 1
        weights = (ops.ones_like(logits) if alone else ops.softmax(logits, axis=-1)) * mask
        parts = ops.normalize(chunks, axis=-1, order=2) if self.normalize else chunks
        return ops.einsum("bkm,bmkd->bkd", weights, parts), weights

    def _logits(self, chunks: Tensor) -> Tensor:
        if self.mode == "uniform":
            return ops.zeros_like(ops.swapaxes(chunks[..., 0], 1, 2))
        summed = ops.normalize(ops.sum(chunks, axis=1), axis=-1, order=2)
        hidden = ops.tanh(self._apply(summed, self.hidden_kernel) + self.hidden_bias)
        return self._apply(hidden, self.output_kernel)

    def _apply(self, chunks: Tensor, kernel: Tensor) -> Tensor:
        """Applies a kernel to `[batch, num_chunks, i]`, or each chunk's to the chunk."""
        return ops.einsum("bki,io->bko" if self.shared else "bki,kio->bko", chunks, kernel)

    def compute_output_shape(self, chunks_shape: Any, present_shape: Any = None) -> Any:
        batch, num_modalities, num_chunks, chunk_dim = chunks_shape
        return (batch, num_chunks, chunk_dim), (batch, num_chunks, num_modalities)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "mode": self.mode,
            "hidden_dim": self.hidden_dim,
            "normalize": self.normalize,
            "shared": self.shared,
            "seed": self.seed,
        }
