"""Who is asking: from a user id and perhaps a history to what the towers say of the user."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from addrl_keras.catalogue import Interactions
from addrl_keras.model import AdDrl
from addrl_keras.steering import make_multi_hot, make_table
from addrl_keras.towers import history_scale

Tensor = Any


@dataclasses.dataclass(frozen=True)
class UserState:
    """A batch of users, resolved.

    Args:
        history: Float 0/1 `[batch, num_items]`, what the user tower encodes.
        seen: Float 0/1 `[batch, num_items]`, all that the user is known to have.
        vectors: Float `[batch, dim]`; zero without a history.
        accounted: Float `[batch, dim]`, what of the memory is accounted to the attributes' chunks
            (`addrl_keras.accounting`); None without a memory.
        extra: Float `[batch, num_items, 2]`: the popularity prior (only without a history) and the
            memory term.
        source: String `[batch]`: `user`, `history` or `prior`.
    """

    history: Tensor
    seen: Tensor
    vectors: Tensor
    accounted: Tensor | None
    extra: Tensor
    source: Tensor

    @property
    def preferences(self) -> Tensor:
        """What contributions are made of, `[batch, dim]`: the vectors with what is accounted."""
        return self.vectors if self.accounted is None else self.vectors + self.accounted


class UserEncoder(tf.Module):
    """Holds the stored histories and the weights that encode them.

    Args:
        model: The fitted towers.
        interactions: Whose known items are the stored histories.
        items: Table from item ids to their index.
    """

    def __init__(
        self, model: AdDrl, interactions: Interactions, items: tf.lookup.StaticHashTable
    ) -> None:
        super().__init__(name="users")
        self.num_items = model.shape.num_items
        self._items = items
        self.table = make_table(interactions.user_ids)
        known = interactions.known
        counts = np.asarray(known.sum(axis=0)).ravel()
        self._history_items = make_constant(known.indices.astype(np.int64))
        # One row more than there are users, which is empty: the history of an unknown user.
        splits = np.append(known.indptr, known.indptr[-1]).astype(np.int64)
        self._history_splits = make_constant(splits)
        self._prior = make_constant(np.log((counts + 1.0) / (counts + 1.0).sum()).astype("float32"))
        self.query = make_constant(model.user_tower.query.numpy())
        embedding = model.user_tower.embedding
        self._embedding = None if embedding is None else make_constant(embedding.numpy())
        self.memory: tuple[Any, Any] | None = None
        self._memory_rows: MemoryRows | None = None
        self._accounted: Any = None
        if model.memory is not None:
            source, weight = model.memory.source.numpy(), model.memory.weight.numpy()
            self.memory = make_constant(source), make_constant(weight)
            self._memory_rows = MemoryRows(source, weight)
            self._accounted = make_constant(model.memory.accounted.numpy())

    def load(self, users: np.ndarray) -> UserState:
        """Loads known users.

        Args:
            users: Int `[batch]`, their rows.

        Returns:
            The users with their stored histories.
        """
        users = tf.constant(users, tf.int64)
        history = self._load_stored(users)
        source = tf.where(tf.reduce_any(history > 0, axis=1), "user", "prior")
        return self.encode(history, history, users, source)

    def resolve(self, user_id: Tensor, history_ids: Tensor) -> UserState:
        """Resolves users by the history in the request, else by the stored one, else by the prior.

        Args:
            user_id: String `[batch]`.
            history_ids: String `[batch, n]` or `[1, n]`; what is not in the catalogue is ignored.

        Returns:
            The users. What is seen is the stored history together with the one in the request.
        """
        users = self.table.lookup(user_id)
        given = make_multi_hot(self._items.lookup(history_ids), self.num_items)
        given = tf.broadcast_to(given, [tf.shape(user_id)[0], self.num_items])
        stored = self._load_stored(users)
        from_request = tf.reduce_any(given > 0, axis=1)
        history = tf.where(from_request[:, None], given, stored)
        source = tf.where(tf.reduce_any(history > 0, axis=1), "user", "prior")
        source = tf.where(from_request, "history", source)
        users = tf.where(from_request, tf.constant(-1, tf.int64), users)
        return self.encode(history, tf.maximum(given, stored), users, source)

    def encode(
        self, history: Tensor, seen: Tensor, users: Tensor | None, source: Tensor
    ) -> UserState:
        """Encodes histories.

        Args:
            history: Float 0/1 `[batch, num_items]`, what the vectors are sums over.
            seen: Float 0/1 `[batch, num_items]`, handed on.
            users: Int `[batch]`, index of users with an embedding of their own, -1 for others; None
                for no such user.
            source: String `[batch]`, handed on; where it is `prior`, popularity counts.

        Returns:
            The users, with vectors and extra terms.
        """
        scale = history_scale(history)
        taken = tf.where(history > 0)
        # A history has a few items of a large catalogue: rows are added, not a matrix multiplied.
        vectors = scale * self._add_up(self.query, taken, history)
        if self._embedding is not None and users is not None:
            own = tf.gather(self._embedding, tf.maximum(users, 0))
            vectors += tf.where(users[:, None] < 0, tf.zeros_like(own), own)
        without_history = tf.cast(source == "prior", tf.float32)[:, None]
        prior = without_history * self._prior[None, :]
        memory, accounted = tf.zeros_like(prior), None
        if self._memory_rows is not None:
            memory = scale * self._memory_rows.add_up(taken, tf.shape(history))
            accounted = self._pad(scale * self._add_up(self._accounted, taken, history))
        extra = tf.stack([prior, memory], axis=-1)
        return UserState(history, seen, vectors, accounted, extra, source)

    def compute_evidence(
        self, user: UserState, items: Tensor, vectors: Tensor, chunk_dims: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        """Computes what each item of a history adds to one item's score.

        Args:
            user: The users.
            items: Int `[batch]`, the item that each user's score is explained of.
            vectors: Float `[batch, dim]`, these items' vectors.
            chunk_dims: Width of each chunk of the vectors.

        Returns:
            The past items, int `[batch, longest]`, -1 beyond a user's own history; and float
            `[batch, longest, num_chunks]`, zero there. The sum over a user's history is what the
            history contributes to the score, where a contribution is a dot product; by the paper's
            recipe it is what the history contributes to the dot products under the softplus.
        """
        taken = tf.where(user.history > 0)
        row, past = taken[:, 0], taken[:, 1]
        queries, vectors = tf.gather(self.query, past), tf.gather(vectors, row)
        moved = tf.zeros_like(queries)
        if self.memory is not None:
            moved = self._pad(tf.gather(self._accounted, past))
        split = tf.split((queries + moved) * vectors, chunk_dims, axis=1)
        parts = [tf.reduce_sum(part, axis=1) for part in split]
        if self.memory is not None:
            source, weight = (tf.gather(part, items) for part in self.memory)
            batch = tf.repeat(tf.range(tf.shape(items)[0], dtype=tf.int64), tf.shape(source)[1])
            where = tf.stack([batch, tf.reshape(source, [-1])], axis=1)
            shape = tf.cast(tf.stack([tf.shape(items)[0], self.num_items]), tf.int64)
            memory = tf.scatter_nd(where, tf.reshape(weight, [-1]), shape)
            parts.append(tf.gather_nd(memory, taken) - tf.reduce_sum(moved * vectors, axis=1))
        scale = tf.gather(history_scale(user.history), row)
        lengths = tf.reduce_sum(tf.cast(user.history > 0, tf.int64), axis=1)
        each = tf.RaggedTensor.from_row_lengths(tf.stack(parts, axis=-1) * scale, lengths)
        ids = tf.RaggedTensor.from_row_lengths(past, lengths)
        return ids.to_tensor(-1), each.to_tensor(0.0)

    def _add_up(self, table: Any, taken: Tensor, history: Tensor) -> Tensor:
        """Adds up the rows of a table that histories name, `[batch, width]`."""
        rows = tf.gather(table, taken[:, 1])
        return tf.math.unsorted_segment_sum(rows, taken[:, 0], tf.shape(history)[0])

    def _pad(self, attributes: Tensor) -> Tensor:
        """Fills the attributes' chunks `[rows, width]` up to all chunks, `[rows, dim]`."""
        missing = self.query.shape[1] - self._accounted.shape[1]
        return tf.pad(attributes, [[0, 0], [0, missing]])

    def _load_stored(self, users: Tensor) -> Tensor:
        last = tf.cast(tf.shape(self._history_splits)[0] - 2, tf.int64)
        histories = tf.RaggedTensor.from_row_splits(
            tf.convert_to_tensor(self._history_items),
            tf.convert_to_tensor(self._history_splits),
            validate=False,
        )
        rows = tf.gather(histories, tf.where(users < 0, last, users))
        return make_multi_hot(rows.to_tensor(-1), self.num_items)


class MemoryRows(tf.Module):
    """The memory by the item in the history: what it adds to which items' scores.

    `towers.Memory` keeps it by the item scored, which training needs. A request has a short
    history, so adding up its rows costs next to nothing, whatever the size of the catalogue.

    Args:
        source: Int `[num_items, size]`, history items by item scored.
        weight: Float `[num_items, size]`.
    """

    def __init__(self, source: np.ndarray, weight: np.ndarray) -> None:
        super().__init__(name="memory_rows")
        num_items, size = source.shape
        order = np.argsort(source.ravel(), kind="stable")
        order = order[weight.ravel()[order] != 0]
        self._target = make_constant((order // size).astype(np.int64))
        self._weight = make_constant(weight.ravel()[order].astype(np.float32))
        counts = np.bincount(source.ravel()[order], minlength=num_items)
        self._splits = make_constant(np.concatenate([[0], np.cumsum(counts)]).astype(np.int64))

    def add_up(self, taken: Tensor, shape: Tensor) -> Tensor:
        """Adds up the rows of histories.

        Args:
            taken: Int64 `[num_taken, 2]`, user and item of every item in a history.
            shape: Int `[2]`, of the result.

        Returns:
            Float `[batch, num_items]`.
        """
        splits = tf.convert_to_tensor(self._splits)
        rows = tf.RaggedTensor.from_row_splits(
            tf.range(tf.shape(self._target, tf.int64)[0]), splits, validate=False
        )
        places = tf.gather(rows, taken[:, 1])
        user = tf.repeat(taken[:, 0], places.row_lengths())
        where = tf.stack([user, tf.gather(self._target, places.flat_values)], axis=1)
        values = tf.gather(self._weight, places.flat_values)
        return tf.scatter_nd(where, values, tf.cast(shape, tf.int64))


def make_constant(value: Any) -> tf.Variable:
    """Makes a variable that is not trained, for arrays too large to be constants of the graph.

    A graph holds 2 GB at most and is parsed as a whole; variables lie in files of their own. (A
    table's strings cannot: `steering.make_table` says how far that goes.)

    Args:
        value: An array, or what becomes one; strings are allowed.

    Returns:
        A variable of the same shape and type.
    """
    return tf.Variable(value, trainable=False)
