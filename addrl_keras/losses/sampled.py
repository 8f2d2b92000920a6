"""Softmax over some items in place of the catalogue, corrected for how they were drawn."""

from __future__ import annotations

from typing import Any

import tensorflow_recommenders as tfrs
from keras import ops

from addrl_keras.losses.preference import MASKED_SCORE

Tensor = Any


def sampled_softmax(
    positive: Tensor, candidates: Tensor, log_expected: Tensor, excluded: Tensor, weights: Tensor
) -> Tensor:
    """Computes the softmax cross-entropy of targets against drawn candidates.

    A candidate that is expected `q` times in the draw stands for `1/q` items, so that the
    denominator is, in expectation, that of the whole catalogue:
    `loss = -sum_t w_t log(exp(s_t) / (exp(s_t) + sum_j exp(s_tj - log q_j))) / sum_t w_t`.

    Args:
        positive: Float `[num_targets]`, the targets' scores.
        candidates: Float `[num_targets, num_candidates]`, the candidates' scores for the same
            users.
        log_expected: Float `[num_candidates]`, the logarithm of how often each candidate was to be
            expected in the draw.
        excluded: Bool `[num_targets, num_candidates]`, candidates that take no part: the target
            itself (an accidental hit) and the history.
        weights: Float `[num_targets]`.

    Returns:
        A scalar; 0 if all weights are 0.

    Example:
        >>> drawn = ops.zeros((1, 2))  # two of four other items, so each stands for two
        >>> half = ops.log(ops.array([0.5, 0.5]))
        >>> none = ops.zeros((1, 2), "bool")
        >>> loss = sampled_softmax(ops.zeros(1), drawn, half, none, ops.ones(1))
        >>> round(float(loss), 4)  # log 5
        1.6094

    Reference:
        Bengio and Senecal, Adaptive Importance Sampling to Accelerate Training of a Neural
        Probabilistic Language Model, 2008, section III.
    """
    corrected = candidates - log_expected[None, :]
    corrected = ops.where(excluded, ops.cast(MASKED_SCORE, corrected.dtype), corrected)
    logits = ops.concatenate([positive[:, None], corrected], axis=1)
    per_target = ops.logsumexp(logits, axis=1) - positive
    return ops.sum(weights * per_target) / ops.maximum(ops.sum(weights), 1e-12)


def in_batch_softmax(
    scores: Tensor, item_ids: Tensor, probability: Tensor, excluded: Tensor
) -> Tensor:
    """Computes the softmax cross-entropy of each user's item against the other users' items.

    A popular item is often somebody else's, so `log probability` is taken off its scores. Another
    user's item that is the same item (an accidental hit) is left out. Without `excluded`, and up to
    the mean, this is `tfrs.tasks.Retrieval(remove_accidental_hits=True)`, whose layers it uses; the
    task itself takes embeddings, and scores here may have terms beside the dot product.

    Args:
        scores: Float `[batch, batch]`; row: user, column: the item of the user of that number.
        item_ids: Int `[batch]`.
        probability: Float `[batch]`, the share of all interactions that are with the item.
        excluded: Bool `[batch, batch]`, items that take no part; never the diagonal.

    Returns:
        A scalar, averaged over the batch.

    Example:
        >>> ids, even = ops.array([3, 5, 5]), ops.ones(3) / 3
        >>> none = ops.zeros((3, 3), "bool")
        >>> loss = in_batch_softmax(ops.zeros((3, 3)), ids, even, none)
        >>> round(float(loss), 4)  # (log 3 + log 2 + log 2) / 3: the same item is no negative
        0.8283

    Reference:
        Yi et al., Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations,
        RecSys 2019, equation 5.
    """
    labels = ops.eye(ops.shape(scores)[0], dtype=scores.dtype)
    logits = tfrs.layers.loss.SamplingProbablityCorrection()(scores, probability)
    logits = tfrs.layers.loss.RemoveAccidentalHits()(labels, logits, item_ids)
    logits = ops.where(excluded, ops.cast(MASKED_SCORE, logits.dtype), logits)
    return -ops.mean(ops.sum(labels * ops.log_softmax(logits, axis=-1), axis=-1))
