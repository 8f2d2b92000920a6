"""Refusing bad requests inside a graph, before anything is computed with them."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

Tensor = Any


def require(condition: Tensor, message: str, received: Tensor, value: Tensor) -> Tensor:
    """Returns `value`, and refuses the request unless `condition` holds.

    What is computed with the result waits for the check. An assertion alone would run beside the
    rest of the graph, where another op may fail first, with a message of its own.

    Args:
        condition: Bool scalar.
        message: What is wrong and what is allowed; ends in "Received:".
        received: What is quoted after the message.
        value: What the check is about.

    Raises:
        tf.errors.InvalidArgumentError: The condition does not hold.
    """
    with tf.control_dependencies([tf.debugging.Assert(condition, [message, received])]):
        return tf.identity(value)
