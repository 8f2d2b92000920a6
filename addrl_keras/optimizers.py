"""Adam for tables: one pass over what is dense, and only the rows that a step touched elsewhere."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras import ops

Tensor = Any


@keras.saving.register_keras_serializable(package="addrl")
class TableAdam(keras.optimizers.Adam):
    """Keras's Adam, with kernels of TensorFlow's own in place of a dozen passes over the memory.

    A dense gradient takes the same step as in `keras.optimizers.Adam`, in one fused kernel. An
    `IndexedSlices` gradient updates the rows that it names and leaves all others, moments included,
    as they are ("lazy Adam"), so that a step's cost does not grow with the catalogue.

    Reference:
        Kingma and Ba, Adam, ICLR 2015, section 2 (the formulation before algorithm 1's epsilon).
    """

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        step = ops.cast(self.iterations + 1, variable.dtype)
        first_power = ops.power(ops.cast(self.beta_1, variable.dtype), step)
        second_power = ops.power(ops.cast(self.beta_2, variable.dtype), step)
        index = self._get_variable_index(variable)
        first, second = self._momentums[index], self._velocities[index]
        # Inside `fit` Keras hands out the variables of TensorFlow.
        table = variable if isinstance(variable, tf.Variable) else variable.value
        rate = ops.cast(learning_rate, variable.dtype)
        if isinstance(gradient, tf.IndexedSlices):
            scale = rate * ops.sqrt(1.0 - second_power) / (1.0 - first_power)
            self._update_rows(gradient, table, first.value, second.value, scale)
            return
        tf.raw_ops.ResourceApplyAdam(
            var=table.handle,
            m=first.value.handle,
            v=second.value.handle,
            beta1_power=first_power,
            beta2_power=second_power,
            lr=rate,
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )

    def _update_rows(
        self, gradient: tf.IndexedSlices, table: Any, first: Any, second: Any, scale: Tensor
    ) -> None:
        rows, place = tf.unique(gradient.indices)
        summed = tf.math.unsorted_segment_sum(gradient.values, place, tf.size(rows))
        mean = self.beta_1 * tf.gather(first, rows) + (1.0 - self.beta_1) * summed
        square = self.beta_2 * tf.gather(second, rows) + (1.0 - self.beta_2) * summed**2
        first.scatter_update(tf.IndexedSlices(mean, rows))
        second.scatter_update(tf.IndexedSlices(square, rows))
        table.scatter_sub(tf.IndexedSlices(scale * mean / (tf.sqrt(square) + self.epsilon), rows))
