"""Histories as lists of pairs (user, item), and scores of what they touch alone.

A history is a few items out of the whole catalogue: a gather and a sum take a thousandth of the
time of a product with a row of zeros and ones, and no `[batch, num_items]` is ever formed.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

Tensor = Any


@dataclasses.dataclass(frozen=True)
class Pairs:
    """Pairs (row of the batch, item), in ascending order of the row.

    Args:
        rows: Int32 `[num_pairs]`.
        items: Int32 `[num_pairs]`.
        num_rows: Int32 scalar, size of the batch.
    """

    rows: Tensor
    items: Tensor
    num_rows: Tensor

    def keep(self, mask: Tensor) -> Pairs:
        """The pairs where `mask`, bool `[num_pairs]`, is true."""
        return Pairs(
            tf.boolean_mask(self.rows, mask), tf.boolean_mask(self.items, mask), self.num_rows
        )

    def counts(self) -> Tensor:
        """Float `[num_rows]`, pairs of each row."""
        return tf.cast(tf.math.bincount(self.rows, minlength=self.num_rows), tf.float32)

    def scale(self) -> Tensor:
        """Float `[num_rows]`, `n^-1/2`; 1 for an empty row."""
        return tf.math.rsqrt(tf.maximum(self.counts(), 1.0))

    def spread(self, values: Tensor, num_items: int) -> Tensor:
        """A dense `[num_rows, num_items]` with `values` `[num_pairs]`, 0 elsewhere."""
        indices = tf.stack([self.rows, self.items], axis=1)
        return tf.scatter_nd(indices, values, tf.stack([self.num_rows, num_items]))

    def contain(self, rows: Tensor, items: Tensor) -> Tensor:
        """Tells which of some other pairs are among these; bool of their common shape."""
        keys = tf.sort(_make_keys(self.rows, self.items))
        asked = tf.reshape(_make_keys(rows, items), [-1])
        place = tf.minimum(tf.searchsorted(keys, asked), tf.maximum(tf.size(keys) - 1, 0))
        padded = tf.concat([keys, tf.constant([-1], tf.int64)], axis=0)
        return tf.reshape(tf.gather(padded, place) == asked, tf.shape(rows + items))

    def encode(self, table: Tensor) -> Tensor:
        """Computes `n^-1/2 sum table[item]` over the items of each row, `[num_rows, dim]`."""
        vectors = tf.gather(table, self.items) * tf.gather(self.scale(), self.rows)[:, None]
        return tf.math.unsorted_segment_sum(vectors, self.rows, self.num_rows)


def _make_keys(rows: Tensor, items: Tensor) -> Tensor:
    """One number for a pair; items have less than 32 bits."""
    return tf.bitwise.left_shift(tf.cast(rows, tf.int64), tf.constant(32, tf.int64)) + tf.cast(
        items, tf.int64
    )


class MemoryIndex:
    """The memory's entries by their source: what each item of a history argues for.

    Args:
        source: Int `[num_items, size]`, as in `towers.Memory`.
    """

    def __init__(self, source: np.ndarray) -> None:
        flat = source.ravel()
        self._size = source.shape[1]
        self._order = tf.constant(np.argsort(flat, kind="stable").astype(np.int32))
        counts = np.bincount(flat, minlength=len(source))
        self._starts = tf.constant(np.concatenate([[0], np.cumsum(counts)]).astype(np.int32))

    def compute_scores(self, weight: Tensor, history: Pairs) -> Tensor:
        """Computes the memory term of the whole catalogue.

        Args:
            weight: Float `[num_items, size]`.
            history: What the users have.

        Returns:
            Float `[num_rows, num_items]`. Cost: the entries whose source is in the history.
        """
        first = tf.gather(self._starts, history.items)
        last = tf.gather(self._starts, history.items + 1)
        entries = tf.gather(self._order, _concatenate_ranges(first, last))
        rows = tf.repeat(history.rows, last - first)
        values = tf.gather(tf.reshape(weight, [-1]), entries) * tf.gather(history.scale(), rows)
        argued = Pairs(rows, entries // self._size, history.num_rows)
        return argued.spread(values, tf.shape(weight)[0])


class MemoryMatrix:
    """The memory as a matrix `[num_items, num_items]`, made anew in each step.

    Where histories are long, or the catalogue is small, a product with it takes less time than to
    look up what each item of each history argues for.

    Args:
        source: Int `[num_items, size]`, as in `towers.Memory`.
    """

    def __init__(self, source: np.ndarray) -> None:
        target = np.broadcast_to(np.arange(len(source))[:, None], source.shape)
        self._places = tf.constant(np.stack([source, target], axis=-1).astype(np.int32))

    def compute_scores(self, weight: Tensor, history: Pairs) -> Tensor:
        """Computes the memory term of the whole catalogue, as `MemoryIndex` does."""
        num_items = self._places.shape[0]
        matrix = tf.scatter_nd(self._places, weight, (num_items, num_items))
        scaled = history.spread(tf.gather(history.scale(), history.rows), num_items)
        return tf.matmul(scaled, matrix)


def compute_candidate_memory(
    source: Tensor, weight: Tensor, history: Pairs, items: Tensor
) -> Tensor:
    """Computes the memory term of some items for all users of a batch.

    Args:
        source: Int `[num_items, size]`.
        weight: Float `[num_items, size]`.
        history: What the users have.
        items: Int `[num_candidates]`.

    Returns:
        Float `[num_rows, num_candidates]`. Cost: `num_candidates * size` look-ups.
    """
    order = tf.argsort(history.items)
    owned, owners = tf.gather(history.items, order), tf.gather(history.rows, order)
    wanted = tf.reshape(tf.cast(tf.gather(source, items), tf.int32), [-1])
    first = tf.searchsorted(owned, wanted, side="left")
    last = tf.searchsorted(owned, wanted, side="right")
    rows = tf.gather(owners, _concatenate_ranges(first, last))
    entry = tf.repeat(tf.range(tf.size(wanted)), last - first)
    values = tf.gather(tf.reshape(tf.gather(weight, items), [-1]), entry)
    values *= tf.gather(history.scale(), rows)
    pairs = Pairs(rows, entry // tf.shape(source)[1], history.num_rows)
    return pairs.spread(values, tf.size(items))


def compute_pair_memory(
    source: Tensor, weight: Tensor, history: Pairs, rows: Tensor, items: Tensor
) -> Tensor:
    """Computes the memory term of pairs of a user and an item.

    Args:
        source: Int `[num_items, size]`.
        weight: Float `[num_items, size]`.
        history: What the users have.
        rows: Int `[num_pairs]`, which user.
        items: Int `[num_pairs]`, which item.

    Returns:
        Float `[num_pairs]`.
    """
    has = history.contain(rows[:, None], tf.cast(tf.gather(source, items), tf.int32))
    argued = tf.where(has, tf.gather(weight, items), 0.0)
    return tf.reduce_sum(argued, axis=1) * tf.gather(history.scale(), rows)


def _concatenate_ranges(first: Tensor, last: Tensor) -> Tensor:
    """`first[0] .. last[0]-1, first[1] .. last[1]-1, ...` in one vector."""
    lengths = last - first
    offset = tf.repeat(first - tf.cumsum(lengths, exclusive=True), lengths)
    return tf.range(tf.size(offset)) + offset
