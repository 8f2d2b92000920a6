"""Softmax over the targets of the batch, as two-tower models are usually trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf

from addrl_keras.losses.sampled import in_batch_softmax

if TYPE_CHECKING:
    from addrl_keras.training_step import Step

IS_DENSE = False


def compute_loss(step: Step) -> Any:
    """Computes the cross-entropy of one target per user against those of the other users."""
    rows, items = step.draw_targets()
    scores = tf.gather(step.score_candidates(items), rows)
    everything = step.history.contain(rows[:, None], items[None, :])
    probability = tf.gather(step.frozen.item_share, items)
    return in_batch_softmax(scores, items, probability, everything)
