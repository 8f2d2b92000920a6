"""One target per user against the hardest of `losses.num_negatives` uniformly drawn items."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf

from addrl_keras.losses.preference import bpr_hardest

if TYPE_CHECKING:
    from addrl_keras.training_step import Step

IS_DENSE = False


def compute_loss(step: Step) -> Any:
    """Computes the pairwise loss; what the user has, history or target, is no negative."""
    rows, items = step.draw_targets()
    count = step.model.config.losses.num_negatives
    negatives = step.draw_uniform(tf.stack([tf.size(rows), count]))
    owners = tf.repeat(rows, count)
    flat = tf.reshape(negatives, [-1])
    scores = step.score_pairs(owners, flat)
    owned = step.history.contain(owners, flat) | step.targets.contain(owners, flat)
    scores = tf.where(owned, float("-inf"), scores)
    return bpr_hardest(step.score_pairs(rows, items), tf.reshape(scores, tf.shape(negatives)))
