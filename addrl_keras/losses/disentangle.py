"""What makes a chunk stand for its attribute: the three terms of AD-DRL (arXiv 2312.14433).

Each is masked where data is missing: what is not known counts for nothing.
"""

from __future__ import annotations

from typing import Any

from keras import ops

Tensor = Any


def _masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    mask = ops.cast(mask, values.dtype)
    return ops.sum(values * mask) / ops.maximum(ops.sum(mask), 1.0)


def intra_modality(logits: Tensor, present: Tensor) -> Tensor:
    """Computes the chunk classification loss of one modality, `L_intra = sum_k CE(C(x^k), k)`.

    Args:
        logits: Float `[batch, num_chunks, num_chunks]`; row `k` is what the classifier says of
            chunk `k`.
        present: Bool or float `[batch]`, whether the item has the modality, or how often it counts.
            Items without it count for nothing.

    Returns:
        A scalar: summed over the chunks, averaged over the items that have the modality.

    Example:
        >>> round(float(intra_modality(ops.zeros((1, 2, 2)), ops.array([True]))), 4)  # 2 log 2
        1.3863
    """
    log_probability = ops.log_softmax(logits, axis=-1)
    # A product with the identity: the gradient of `diagonal` fails in a graph whose batch size is
    # not known.
    on_diagonal = log_probability * ops.eye(logits.shape[-1], dtype=log_probability.dtype)
    return _masked_mean(-ops.sum(on_diagonal, axis=(-2, -1)), present)


def inter_modality(
    first: Tensor, second: Tensor, present: Tensor, temperature: float = 1.0
) -> Tensor:
    """Computes the contrast between two modalities of the same item, both ways.

    `L_inter = sum_k -log softmax_j(<a^k, b^j> / T)[k]`, plus the same with `a` and `b` exchanged.
    The negatives of a chunk are the other chunks of the same item.

    Args:
        first: Float `[batch, num_chunks, chunk_dim]`, the chunks of one modality.
        second: Likewise, of the other modality.
        present: Bool or float `[batch]`, whether the item has both modalities, or how often it
            counts.
        temperature: `T`.

    Returns:
        A scalar: summed over chunks and directions, averaged over the items that have both.

    Example:
        >>> zeros = ops.zeros((1, 2, 3))
        >>> round(float(inter_modality(zeros, zeros, ops.array([True]))), 4)  # 4 log 2
        2.7726
    """
    similarity = ops.einsum("bkd,bjd->bkj", first, second) / temperature
    both_ways = (
        intra_modality(similarity, present),
        intra_modality(ops.swapaxes(similarity, 1, 2), present),
    )
    return both_ways[0] + both_ways[1]


def attribute_value(logits: Tensor, distribution: Tensor, count: Tensor | None = None) -> Tensor:
    """Computes the cross-entropy of an attribute's value head, `L_low`.

    Args:
        logits: Float `[batch, num_values]`.
        distribution: Float `[batch, num_values]`: one-hot, or uniform over the values of a
            multi-valued attribute. A row of zeros means that the value is not known; it counts for
            nothing.
        count: Optional float `[batch]`, how often each item counts; once by default.

    Returns:
        A scalar, averaged over the items whose value is known.

    Example:
        >>> logits, labels = ops.zeros((2, 4)), ops.array([[1.0, 0, 0, 0], [0, 0, 0, 0]])
        >>> round(float(attribute_value(logits, labels)), 4)  # log 4; the second item has no label
        1.3863
    """
    labels = ops.cast(distribution, logits.dtype)
    per_item = -ops.sum(labels * ops.log_softmax(logits, axis=-1), axis=-1)
    known = ops.cast(ops.sum(labels, axis=-1) > 0, logits.dtype)
    return _masked_mean(per_item, known if count is None else known * count)
