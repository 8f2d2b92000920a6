"""What a user is likely to take: losses on the scores of the catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf
from keras import ops

if TYPE_CHECKING:
    from addrl_keras.pairs import Pairs

Tensor = Any
MASKED_SCORE = -1e9


def history_softmax(scores: Tensor, history: Tensor, targets: Tensor) -> Tensor:
    """Computes the softmax cross-entropy of a user's held-out items over the catalogue.

    `loss = mean_u -1/|T_u| sum_{i in T_u} log softmax(scores_u without the history)_i`, over the
    users with targets.

    Args:
        scores: Float `[batch, num_items]`.
        history: 0/1 `[batch, num_items]`, the items that the user tower saw. They cannot be
            recommended, so they take no part in the softmax.
        targets: 0/1 `[batch, num_items]`, the items to predict; not in `history`.

    Returns:
        A scalar; 0 if no user has a target.

    Example:
        >>> scores = ops.zeros((1, 4))
        >>> history, targets = ops.array([[1.0, 0, 0, 0]]), ops.array([[0, 1.0, 0, 0]])
        >>> loss = history_softmax(scores, history, targets)
        >>> round(float(loss), 4)  # log(3): three items are left
        1.0986

    Reference:
        Liang et al., Variational Autoencoders for Collaborative Filtering, WWW 2018, equation 2
        (multinomial likelihood).
    """
    scores = ops.where(history > 0, ops.cast(MASKED_SCORE, scores.dtype), scores)
    log_probability = ops.log_softmax(scores, axis=-1)
    targets = ops.cast(targets, scores.dtype)
    count = ops.sum(targets, axis=-1)
    has_target = ops.cast(count > 0, scores.dtype)
    per_user = -ops.sum(targets * log_probability, axis=-1) / ops.maximum(count, 1.0)
    return ops.sum(per_user * has_target) / ops.maximum(ops.sum(has_target), 1.0)


def bpr_hardest(positive: Tensor, negatives: Tensor) -> Tensor:
    """Computes the Bayesian personalised ranking loss against the hardest of a few negatives.

    `loss = sum_b softplus(-(s_pos - max_n s_neg))`: a sum over the batch, as the paper has it.

    Args:
        positive: Float `[batch]`, scores of items that the users took.
        negatives: Float `[batch, num_negatives]`, scores of items that they did not.

    Returns:
        A scalar.

    Example:
        >>> loss = bpr_hardest(ops.array([1.0, 0.0]), ops.array([[-9.0, 1.0], [0.0, -9.0]]))
        >>> round(float(loss), 4)  # 2 log 2
        1.3863

    Reference:
        Rendle et al., BPR, UAI 2009, section 4.1; AD-DRL, arXiv 2312.14433, section 3.5.
    """
    return ops.sum(ops.softplus(ops.max(negatives, axis=-1) - positive))


def history_softmax_of_pairs(scores: Tensor, history: Pairs, targets: Pairs) -> Tensor:
    """Computes `history_softmax` with histories and targets as pairs, in one fused kernel.

    Args:
        scores: Float `[batch, num_items]`.
        history: The items that take no part.
        targets: The items to predict.

    Returns:
        A scalar; 0 if no user has a target.
    """
    num_items = tf.shape(scores)[1]
    count = targets.counts()
    labels = targets.spread(1.0 / tf.gather(count, targets.rows), num_items)
    hidden = history.spread(tf.fill(tf.shape(history.rows), MASKED_SCORE), num_items)
    per_user = tf.nn.softmax_cross_entropy_with_logits(labels, scores + hidden)
    has_target = tf.cast(count > 0, scores.dtype)
    return tf.reduce_sum(per_user * has_target) / tf.maximum(tf.reduce_sum(has_target), 1.0)
