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
    chunks: Tensor, present: Tensor, count: Tensor | None = None, temperature: float = 1.0
) -> Tensor:
    """Computes the contrast between each two modalities of the same item, both ways.

    For modalities `a` and `b` of an item `L_inter = sum_k -log softmax_j(<a^k, b^j> / T)[k]`, plus
    the same with `a` and `b` exchanged. The negatives of a chunk are the other chunks of the same
    item.

    Args:
        chunks: Float `[batch, num_modalities, num_chunks, chunk_dim]`.
        present: Bool `[batch, num_modalities]`, which modalities an item has. A pair that it lacks
            one of counts for nothing.
        count: Optional float `[batch]`, how often each item counts; once by default.
        temperature: `T`.

    Returns:
        A scalar: of each pair the sum over chunks and directions, averaged over the items that have
        both; summed over the pairs. 0 for a single modality.

    Example:
        >>> zeros, yes = ops.zeros((1, 2, 2, 3)), ops.ones((1, 2), "bool")
        >>> round(float(inter_modality(zeros, yes)), 4)  # 4 log 2
        2.7726
    """
    _, num_modalities, num_chunks, dim = chunks.shape
    flat = ops.reshape(chunks, (-1, num_modalities * num_chunks, dim))
    # One product for all pairs, both directions among them: [batch, M * K, M * K].
    similarity = ops.matmul(flat, ops.swapaxes(flat, 1, 2)) / temperature
    log_probability = ops.reshape(
        ops.log_softmax(ops.reshape(similarity, (-1, num_chunks)), axis=-1),
        (-1, num_modalities, num_chunks, num_modalities, num_chunks),
    )
    # As above: a product with the identity, [K, 1, K], in place of the diagonal.
    same_chunk = ops.eye(num_chunks, dtype=chunks.dtype)[:, None, :]
    per_pair = -ops.sum(log_probability * same_chunk, axis=(2, 4))
    mask = ops.cast(present, chunks.dtype)
    both = mask[:, :, None] * mask[:, None, :] * (1.0 - ops.eye(num_modalities, dtype=mask.dtype))
    if count is not None:
        both = both * ops.cast(count, both.dtype)[:, None, None]
    return ops.sum(ops.sum(per_pair * both, axis=0) / ops.maximum(ops.sum(both, axis=0), 1.0))


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
