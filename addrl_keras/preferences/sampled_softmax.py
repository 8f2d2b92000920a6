"""Softmax over `losses.num_negatives` drawn items, corrected for the draw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf

from addrl_keras.losses.sampled import sampled_softmax

if TYPE_CHECKING:
    from addrl_keras.training_step import Step

IS_DENSE = False


def compute_loss(step: Step) -> Any:
    """Computes the cross-entropy of the targets against items drawn for the whole batch."""
    targets = step.targets
    items, log_expected = step.draw_candidates(step.model.config.losses.num_negatives)
    scores = tf.gather(step.score_candidates(items), targets.rows)
    seen = step.history.contain(tf.range(targets.num_rows)[:, None], items[None, :])
    excluded = tf.gather(seen, targets.rows) | (targets.items[:, None] == items[None, :])
    # A user counts once, however many targets there are.
    weights = 1.0 / tf.gather(targets.counts(), targets.rows)
    positive = step.score_pairs(targets.rows, targets.items)
    return sampled_softmax(positive, scores, log_expected, excluded, weights)
