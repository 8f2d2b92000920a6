"""What drives a user: which attributes, and which values of each, with the evidence for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse
import tensorflow as tf

from addrl_keras.layers.retrieval import AttributeTopK, score_parts
from addrl_keras.scoring import Scorer
from addrl_keras.steering import AttributeSteering
from addrl_keras.users import UserState, make_constant

Tensor = Any
# How many items of a history the model's own expectation counts as.
_PRIOR = 5.0


class AttributeProfile(tf.Module):
    """Reads preferences off a user's chunks, and off the values in the user's history.

    The importance of a chunk is `Cov(c_k, s) / Var(s)` over the catalogue, where `s = sum_k c_k`:
    the share that the chunk has in how a user's scores differ. The shares add up to 1. A value's
    affinity is what its attribute contributes to the score of the value's prototype, the mean
    vector of the items that are known to have it, beyond what it contributes on average; 0 for a
    value that no item has.

    Args:
        index: The item vectors.
        scorer: Splits scores.
        steering: The items' values.
    """

    def __init__(self, index: AttributeTopK, scorer: Scorer, steering: AttributeSteering) -> None:
        super().__init__(name="profile")
        self._index, self._scorer, self._steering = index, scorer, steering
        labels = steering.labels.numpy()
        known = [part.any(axis=1) for part in np.split(labels, np.cumsum(steering.sizes)[:-1], 1)]
        # Attribute of each value.
        self._attribute_of = np.repeat(np.arange(len(steering.sizes)), steering.sizes)
        self._is_known = make_constant(np.stack(known, axis=1))
        counts = labels.sum(axis=0)
        num_known = np.repeat([part.sum() for part in known], steering.sizes)
        self._catalogue_shares = make_constant(
            (counts / np.maximum(num_known, 1)).astype(np.float32)
        )
        sums = scipy.sparse.csr_matrix(labels.T, dtype=np.float32) @ index.candidates.numpy()
        self._prototypes = make_constant(sums / np.maximum(counts, 1)[:, None].astype(np.float32))
        self._is_taken = make_constant((counts > 0).astype(np.float32))
        names = [key.partition("=")[2] for key in steering.value_names]
        self._names = make_constant(np.array(names, dtype=object))

    def compute_importance(self, user: UserState) -> Tensor:
        """Computes the share of every chunk in how a user's scores differ.

        Args:
            user: A batch of users.

        Returns:
            Float `[batch, num_chunks]`; each row adds up to 1, or is zero where all items have the
            same score.
        """
        parts = self._scorer.compute_parts(user)
        scores = tf.add_n(parts)
        scores -= tf.reduce_mean(scores, axis=1, keepdims=True)
        variance = tf.reduce_mean(tf.square(scores), axis=1, keepdims=True)
        shares = tf.stack([tf.reduce_mean(part * scores, axis=1) for part in parts], axis=-1)
        return tf.math.divide_no_nan(shares, variance)

    def compute_affinities(self, user: UserState) -> Tensor:
        """Computes what having each value would add to an item's score, beyond the average.

        Args:
            user: A batch of users.

        Returns:
            Float `[batch, num_all_values]`.
        """
        index = self._index
        prototypes = tf.split(tf.convert_to_tensor(self._prototypes), self._steering.sizes)
        averages = index.compute_averages(user.preferences)
        ends = np.cumsum(index.chunk_dims)
        parts = []
        for k, rows in enumerate(prototypes):
            # An attribute's own chunk, of its own values' prototypes.
            part = slice(ends[k] - index.chunk_dims[k], ends[k])
            width = (index.chunk_dims[k],)
            own = score_parts(user.preferences[:, part], rows[:, part], width, index.kind)[0]
            parts.append(own - averages[:, k, None])
        return tf.concat(parts, axis=1) * self._is_taken

    def compute_expected_shares(self, user: UserState) -> Tensor:
        """Computes how much of what a user takes next should have each value.

        What the history has is counted, and what the model expects counts as `_PRIOR` items more: a
        score is a logit, so the softmax over what the user does not have yet is the chance of each
        item. Who has no history is expected to take what the model says alone.

        Args:
            user: A batch of users.

        Returns:
            Float `[batch, num_all_values]`, of what has a known value at all.
        """
        scores = self._scorer.compute_scores(user)
        scores = tf.where(user.seen > 0, tf.constant(float("-inf")), scores)
        chance = _PRIOR * tf.nn.softmax(scores, axis=1)
        # Who has everything takes nothing more.
        chance = tf.where(tf.math.is_finite(chance), chance, tf.zeros_like(chance))
        values, known = self._count(user)
        values += tf.matmul(
            chance, tf.cast(tf.convert_to_tensor(self._steering.labels), tf.float32)
        )
        known += tf.matmul(chance, tf.cast(tf.convert_to_tensor(self._is_known), tf.float32))
        return tf.math.divide_no_nan(values, tf.gather(known, self._attribute_of, axis=1))

    def compute_history_shares(self, user: UserState) -> Tensor:
        """Computes how much of a history has each value, of what has a known value at all.

        Args:
            user: A batch of users.

        Returns:
            Float `[batch, num_all_values]`.
        """
        values, known = self._count(user)
        return tf.math.divide_no_nan(values, tf.gather(known, self._attribute_of, axis=1))

    def _count(self, user: UserState) -> tuple[Tensor, Tensor]:
        """Counts items of the histories by value, and by attribute those with a known one."""
        taken = tf.where(user.history > 0)
        batch = tf.shape(user.history, tf.int64)[0]

        def count(table: Any) -> Tensor:
            rows = tf.cast(tf.gather(table, taken[:, 1]), tf.float32)
            return tf.math.unsorted_segment_sum(rows, taken[:, 0], batch)

        return count(self._steering.labels), count(self._is_known)

    def find_typical_values(self, user: UserState, items: Tensor) -> dict[str, Tensor]:
        """Finds, of one item's values, the one that most of the user's history has.

        Args:
            user: A batch of users.
            items: Int `[batch]`.

        Returns:
            `typical_values`, string `[batch, num_attributes]`, "" where the item's value is not
            known; and how much of the history and of the catalogue has it, `history_shares` and
            `catalogue_shares`, float of the same shape.
        """
        held = tf.gather(self._steering.labels, items)
        shares = self.compute_history_shares(user)
        offset, values, history, catalogue = 0, [], [], []
        for size in self._steering.sizes:
            part = slice(offset, offset + size)
            offset += size
            is_known = tf.reduce_any(held[:, part], axis=1)
            best = tf.argmax(tf.where(held[:, part], shares[:, part], -1.0), axis=1)
            values.append(tf.where(is_known, tf.gather(self._names[part], best), ""))
            has = tf.cast(is_known, tf.float32)
            history.append(has * tf.gather(shares[:, part], best, batch_dims=1))
            catalogue.append(has * tf.gather(self._catalogue_shares[part], best))
        return {
            "typical_values": tf.stack(values, axis=1),
            "history_shares": tf.stack(history, axis=1),
            "catalogue_shares": tf.stack(catalogue, axis=1),
        }

    @property
    def catalogue_shares(self) -> Tensor:
        """How much of the catalogue has each value, float `[num_all_values]`."""
        return tf.convert_to_tensor(self._catalogue_shares)
