"""Attribute control at serving time, in the graph: wanted and required values, `name=value`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from addrl_keras.catalogue import Catalogue
from addrl_keras.checks import require
from addrl_keras.config import Config

Tensor = Any


class AttributeSteering(tf.Module):
    """What is known of every item's attribute values, and how a request's `name=value` acts.

    Args:
        config: The model's configuration.
        catalogue: The items and their known values.
        distributions: Float `[num_items, num_values_k]` per attribute: known values, else predicted
            ones.

    Attributes:
        value_names: `name=value` of all values of all attributes, side by side.
        sizes: How many of them are of each attribute.
        labels: Bool `[num_items, num_all_values]`, the known values.
    """

    def __init__(
        self, config: Config, catalogue: Catalogue, distributions: Sequence[np.ndarray]
    ) -> None:
        super().__init__(name="steering")
        values = [catalogue.values[name] for name in config.attribute_names]
        self.sizes = [len(part.names) for part in values]
        self.attribute_names = config.attribute_names
        keys = [
            f"{name}={value}"
            for name, part in zip(config.attribute_names, values, strict=True)
            for value in part.names
        ]
        self._vocabulary = make_table(keys)
        self.value_names = tuple(keys)
        # An item of several values has each of them, whole.
        chances = [
            np.where(known.any(axis=1, keepdims=True), known, predicted)
            for known, predicted in zip(
                (part.matrix.toarray() > 0 for part in values), distributions, strict=True
            )
        ]
        self._chance = tf.Variable(
            np.concatenate(chances, axis=1).astype(np.float32), trainable=False, name="chance"
        )
        labels = np.concatenate([part.matrix.toarray() for part in values], axis=1) > 0
        self.labels = tf.Variable(labels, trainable=False, name="labels")

    def parse(self, what: str, requests: Tensor) -> Tensor:
        """Turns strings `name=value` into a multi-hot over the values of all attributes.

        Args:
            what: Name of the input, for the error message.
            requests: String `[batch, n]`; `""` is padding.

        Returns:
            Float `[batch, num_all_values]`.

        Raises:
            tf.errors.InvalidArgumentError: A string names no attribute or no value of it. The
                message quotes it and lists the attributes.
        """
        indices = self._vocabulary.lookup(requests)
        unknown = (indices < 0) & (requests != "")
        message = (
            f"{what} has an unknown attribute or value; write name=value with a name out of "
            f"{', '.join(self.attribute_names)} and a value of the catalogue. Received:"
        )
        refused = tf.boolean_mask(requests, unknown)
        indices = require(~tf.reduce_any(unknown), message, refused, indices)
        return make_multi_hot(indices, sum(self.sizes))

    def compute_allowed(self, required: Tensor) -> Tensor:
        """Tells which items pass: any required value of an attribute, in every such attribute.

        Args:
            required: Float `[batch, num_all_values]`. Only known values pass; predicted ones do
                not.

        Returns:
            Bool `[batch, num_items]`.
        """
        labels = tf.cast(self.labels, required.dtype)
        parts = zip(self._split(required), tf.split(labels, self.sizes, axis=1), strict=True)
        allowed = [
            (tf.reduce_sum(wanted, axis=1, keepdims=True) == 0)
            | (tf.matmul(wanted, held, transpose_b=True) > 0)
            for wanted, held in parts
        ]
        return tf.reduce_all(tf.stack(allowed), axis=0)

    def compute_boost(self, wanted: Tensor) -> Tensor:
        """Computes, per attribute, the chance that an item has one of the wanted values.

        Args:
            wanted: Float `[batch, num_all_values]`.

        Returns:
            Float `[batch, num_items, num_attributes]` in 0..1: where a value is known 1 or 0.
        """
        parts = tf.split(self._chance, self.sizes, axis=1)
        pairs = zip(self._split(wanted), parts, strict=True)
        chances = [tf.matmul(w, held, transpose_b=True) for w, held in pairs]
        return tf.minimum(tf.stack(chances, axis=-1), 1.0)

    def count_wanted(self, wanted: Tensor) -> Tensor:
        """Counts the attributes of which a value is wanted.

        Args:
            wanted: Float `[batch, num_all_values]`.

        Returns:
            Float `[batch]`.
        """
        asked = [tf.reduce_any(part > 0, axis=1) for part in self._split(wanted)]
        return tf.reduce_sum(tf.cast(tf.stack(asked, axis=-1), wanted.dtype), axis=1)

    def _split(self, multi_hot: Tensor) -> list[Tensor]:
        return tf.split(multi_hot, self.sizes, axis=1)


def make_table(keys: Sequence[str]) -> tf.lookup.StaticHashTable:
    """Makes a table from strings to their position.

    The strings are constants of the graph and lie in `saved_model.pb`, which must stay below the
    2 GB of a protocol buffer: all tables of a model together hold tens of millions of ids of usual
    length. A file of one string a line would have no such limit, but ids may contain line breaks.

    Args:
        keys: The strings, each once.

    Returns:
        A table whose `lookup` of strings of any shape gives int64 positions of the same shape; any
        other string, as `""`, gives -1.

    Raises:
        tf.errors.FailedPreconditionError: A string occurs twice.

    Example:
        >>> make_table(["a", "b"]).lookup(tf.constant(["b", "z"])).numpy()
        array([ 1, -1])
    """
    initializer = tf.lookup.KeyValueTensorInitializer(
        tf.constant(list(keys), tf.string), tf.range(len(keys), dtype=tf.int64)
    )
    return tf.lookup.StaticHashTable(initializer, default_value=-1)


def make_multi_hot(indices: Tensor, depth: int) -> Tensor:
    """Turns indices into rows that are 1 at these indices.

    Args:
        indices: Int `[batch, n]`, -1..depth-1. An index of -1 is left out, a repeated one counts
            once.
        depth: How many different indices there are.

    Returns:
        Float 0/1 `[batch, depth]`.

    Raises:
        tf.errors.InvalidArgumentError: An index is greater than `depth`, on a CPU.

    Example:
        >>> make_multi_hot(tf.constant([[2, 0, 2, -1]]), depth=3).numpy()
        array([[1., 0., 1.]], dtype=float32)
    """
    batch, length = tf.shape(indices)[0], tf.shape(indices)[1]
    column = tf.where(indices < 0, tf.cast(depth, indices.dtype), indices)
    row = tf.repeat(tf.range(batch), length)
    where = tf.stack([row, tf.cast(tf.reshape(column, [-1]), tf.int32)], axis=1)
    base = tf.zeros(tf.stack([batch, depth + 1]))
    return tf.tensor_scatter_nd_max(base, where, tf.ones_like(row, tf.float32))[:, :depth]
