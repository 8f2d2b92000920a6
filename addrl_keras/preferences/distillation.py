"""Softmax over the whole catalogue against the scores of the closed-form teacher."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf

from addrl_keras.losses.distillation import distillation

if TYPE_CHECKING:
    from addrl_keras.training_step import Step

IS_DENSE = True


def compute_loss(step: Step) -> Any:
    """Computes the cross-entropy against what the teacher says of the same part of the history."""
    history = step.history
    indices = tf.cast(tf.stack([history.rows, history.items], axis=1), tf.int64)
    num_items = step.model.shape.num_items
    shape = tf.cast(tf.stack([history.num_rows, num_items]), tf.int64)
    seen = tf.sparse.reorder(
        tf.SparseTensor(indices, tf.gather(history.scale(), history.rows), shape)
    )
    said = tf.sparse.sparse_dense_matmul(seen, step.frozen.teacher)
    mask = history.spread(tf.ones_like(history.rows, tf.float32), num_items)
    power = step.model.config.losses.distillation_power
    return distillation(step.score_catalogue(), said, mask, power)
