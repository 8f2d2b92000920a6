"""The fitted model as a service: what each signature of the SavedModel computes, from strings to strings."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from addrl_keras.config import MEMORY, RESIDUAL
from addrl_keras.layers.retrieval import AttributeTopK
from addrl_keras.steering import AttributeSteering, make_multi_hot, make_table
from addrl_keras.towers import compute_memory_scores, history_scale
from addrl_keras.training import FitResult

Tensor = Any
MISSING = "(missing)"


@dataclasses.dataclass(frozen=True)
class UserState:
    """Who is asking, resolved.

    Args:
        history: Float 0/1 `[batch, num_items]`, what the user tower encodes.
        seen: Float 0/1 `[batch, num_items]`, all that the user is known to have.
        vectors: Float `[batch, dim]`; zero without a history.
        extra: Float `[batch, num_items, 2]`: the popularity prior (only without a history) and the
            memory term.
        source: String `[batch]`: `user`, `history` or `prior`.
    """

    history: Tensor
    seen: Tensor
    vectors: Tensor
    extra: Tensor
    source: Tensor


class Recommender(tf.Module):
    """Recommends, explains, scores and ranks for the users and items of one fitted model.

    Every public method is one signature of the serving contract. They work on eager tensors too, so
    a notebook can call them without exporting anything.

    Args:
        result: A fitted model.
    """

    def __init__(self, result: FitResult) -> None:
        super().__init__(name="recommender")
        model, catalogue, config = result.model, result.catalogue, result.model.config
        self.config = config
        self.num_items = catalogue.num_items
        self.chunk_names = config.chunk_names
        self._num_attributes = len(config.attributes)
        self._item_ids = _constant(np.array(catalogue.item_ids, dtype=object))
        self._items = make_table(catalogue.item_ids)
        self._users = make_table(result.interactions.user_ids)
        self._store_histories(result)
        self._query = _constant(model.user_tower.query.numpy())
        embedding = model.user_tower.embedding
        self._user_embedding = None if embedding is None else _constant(embedding.numpy())
        self._memory = None
        if model.memory is not None:
            self._memory = (
                _constant(model.memory.source.numpy()),
                _constant(model.memory.weight.numpy()),
            )
        self._index = AttributeTopK(model.chunk_dims, name="item_index")
        self._index.index(tf.convert_to_tensor(model.item_tower(None)), self._item_ids)
        distributions = [weight.numpy() for weight in model.item_tower.distributions]
        self.steering = AttributeSteering(config, catalogue, distributions)
        self._modality_weights = _constant(result.modality_weights)
        rows = {name: catalogue.values[name].rows() for name in config.attribute_names}
        texts = [["|".join(row) for row in rows[name]] for name in config.attribute_names]
        self._attribute_text = _constant(np.array(texts, dtype=object).T)
        self._slices = {name: _constant(_fill_rows(rows[name])) for name in config.attribute_names}

    def _store_histories(self, result: FitResult) -> None:
        known = result.interactions.known
        counts = np.asarray(known.sum(axis=0)).ravel()
        self._history_items = _constant(known.indices.astype(np.int64))
        self._history_splits = _constant(np.append(known.indptr, known.indptr[-1]).astype(np.int64))
        self._prior = _constant(np.log((counts + 1.0) / (counts + 1.0).sum()).astype(np.float32))
        self._activity = _constant(_activity(np.diff(known.indptr)))

    # --- signatures ---------------------------------------------------------------------------------------------------

    def recommend(
        self,
        user_id: Tensor,
        k: Tensor,
        history_ids: Tensor,
        exclude_ids: Tensor,
        exclude_seen: Tensor,
        attribute_weights: Tensor,
        attribute_targets: Tensor,
        attribute_filters: Tensor,
    ) -> dict[str, Tensor]:
        """Ranks the catalogue for each user; see the serving contract for inputs, outputs and errors."""
        k = self._validate_k(k)
        user = self._resolve(user_id, history_ids)
        weights = self._validate_weights(attribute_weights, tf.shape(user_id)[0])
        excluded = make_multi_hot(self._items.lookup(exclude_ids), self.num_items)
        excluded = tf.maximum(excluded, tf.where(exclude_seen, user.seen, tf.zeros_like(user.seen)))
        required = self.steering.parse("attribute_filters", attribute_filters)
        allowed = (excluded == 0) & self.steering.compute_allowed(required)
        wanted = self.steering.parse("attribute_targets", attribute_targets)
        wanted = tf.broadcast_to(wanted, [tf.shape(user_id)[0], sum(self.steering.sizes)])
        return {**self._rank(user, weights, wanted, allowed, k), "source": user.source}

    def explain(self, user_id: Tensor, history_ids: Tensor, item_id: Tensor) -> dict[str, Tensor]:
        """Splits the score of one item per user by chunk, by modality and by past item."""
        items = self._require_items(item_id)
        user = self._resolve(user_id, history_ids)
        neutral = self._validate_weights(tf.ones((1, len(self.chunk_names))), tf.shape(user_id)[0])
        no_target = tf.zeros((tf.shape(user_id)[0], sum(self.steering.sizes)))
        contributions = self._contributions(
            user, neutral, no_target, tf.zeros_like(user_id, tf.float32)[:, None], items[:, None]
        )[:, 0]
        evidence_ids, evidence = self._evidence(user, items)
        return {
            "score": tf.reduce_sum(contributions, axis=-1),
            "contributions": contributions,
            "modality_weights": tf.gather(self._modality_weights, items),
            "contribution_names": tf.constant(self.chunk_names),
            "modality_names": tf.constant(self.config.modality_names),
            "evidence_ids": evidence_ids,
            "evidence_contributions": evidence,
        }

    def similar_items(
        self, item_id: Tensor, k: Tensor, attribute_weights: Tensor
    ) -> dict[str, Tensor]:
        """Ranks the catalogue for somebody whose whole history is one item, without that item."""
        k = self._validate_k(k)
        items = self._require_items(item_id)
        history = make_multi_hot(items[:, None], self.num_items)
        user = self._encode(history, history, None, tf.fill(tf.shape(item_id), "history"))
        weights = self._validate_weights(attribute_weights, tf.shape(item_id)[0])
        no_target = tf.zeros((tf.shape(item_id)[0], sum(self.steering.sizes)))
        ranked = self._rank(user, weights, no_target, history == 0, k)
        return {name: ranked[name] for name in ("item_ids", "scores", "contributions")}

    def score(self, user_id: Tensor, item_ids: Tensor) -> dict[str, Tensor]:
        """Scores the given items; an item that is not in the catalogue scores NaN."""
        user = self._resolve(user_id, tf.zeros((1, 0), tf.string))
        items = self._items.lookup(item_ids)
        scores = tf.gather(self._catalogue_scores(user), tf.maximum(items, 0), batch_dims=1)
        return {"scores": tf.where(items < 0, tf.constant(np.nan, tf.float32), scores)}

    def serving_default(self, examples: Tensor) -> dict[str, Tensor]:
        """Recommends with neutral settings for serialised tf.Examples with a `user_id`."""
        parsed = tf.io.parse_example(examples, {"user_id": tf.io.FixedLenFeature([], tf.string)})
        outputs = self.recommend(parsed["user_id"], **self.neutral_inputs()["recommend"])
        names = tf.tile(outputs["contribution_names"][None, :], [tf.shape(examples)[0], 1])
        return {**outputs, "contribution_names": names}

    def evaluate(self, examples: Tensor) -> dict[str, Tensor]:
        """Returns the rank of each row's item in the whole catalogue without what its user is known to have."""
        parsed = _parse_rows(examples)
        user = self._resolve(parsed["user_id"], tf.zeros((1, 0), tf.string))
        items = self._items.lookup(parsed["item_id"])
        scores = tf.where(user.seen > 0, tf.constant(float("-inf")), self._catalogue_scores(user))
        own = tf.gather(scores, tf.maximum(items, 0), batch_dims=1)[:, None]
        position = tf.range(self.num_items, dtype=tf.int64)[None, :]
        before = (scores > own) | ((scores == own) & (position < items[:, None]))
        rank = 1 + tf.reduce_sum(tf.cast(before, tf.int64), axis=1)
        return {
            "rank": tf.where(items < 0, tf.constant(self.num_items + 1, tf.int64), rank),
            "relevant_count": parsed["relevant_count"],
        }

    def evaluate_slices(self, examples: Tensor) -> dict[str, Tensor]:
        """Returns the attribute values of each row's item and the activity of its user, to slice an evaluation by.

        A multi-valued attribute gives `[batch, max]`, filled up by repeating the first value.
        """
        parsed = _parse_rows(examples)
        items, users = self._items.lookup(parsed["item_id"]), self._users.lookup(parsed["user_id"])
        slices = {
            name: tf.where(items[:, None] < 0, MISSING, tf.gather(table, tf.maximum(items, 0)))
            for name, table in self._slices.items()
        }
        slices = {
            name: value[:, 0] if value.shape[1] == 1 else value for name, value in slices.items()
        }
        activity = tf.gather(self._activity, tf.maximum(users, 0))
        return {**slices, "user_activity": tf.where(users < 0, "none", activity)}

    # --- signatures as data -------------------------------------------------------------------------------------------

    def input_signatures(self) -> dict[str, dict[str, tf.TensorSpec]]:
        """Returns name, type and shape of every input, by signature."""
        strings, ragged = tf.TensorSpec([None], tf.string), tf.TensorSpec([None, None], tf.string)
        scalar_k = tf.TensorSpec([], tf.int32)
        weights = tf.TensorSpec([None, len(self.chunk_names)], tf.float32)
        signatures = {
            "recommend": {
                "user_id": strings,
                "k": scalar_k,
                "history_ids": ragged,
                "exclude_ids": ragged,
                "exclude_seen": tf.TensorSpec([], tf.bool),
                "attribute_weights": weights,
                "attribute_targets": ragged,
                "attribute_filters": ragged,
            },
            "explain": {"user_id": strings, "history_ids": ragged, "item_id": strings},
            "similar_items": {"item_id": strings, "k": scalar_k, "attribute_weights": weights},
            "score": {"user_id": strings, "item_ids": ragged},
        }
        for name in ("serving_default", "evaluate", "evaluate_slices"):
            signatures[name] = {"examples": strings}
        return {
            signature: {
                name: tf.TensorSpec(spec.shape, spec.dtype, name=name)
                for name, spec in inputs.items()
            }
            for signature, inputs in signatures.items()
        }

    def neutral_inputs(self) -> dict[str, dict[str, Tensor]]:
        """Returns the neutral value of every optional input, by signature. A row `[1, ...]` stands for any batch."""
        nothing = tf.fill([1, 1], "")
        k = tf.constant(min(10, self.num_items), tf.int32)
        weights = tf.ones((1, len(self.chunk_names)))
        return {
            "recommend": {
                "k": k,
                "history_ids": nothing,
                "exclude_ids": nothing,
                "exclude_seen": tf.constant(True),
                "attribute_weights": weights,
                "attribute_targets": nothing,
                "attribute_filters": nothing,
            },
            "explain": {"history_ids": nothing},
            "similar_items": {"k": k, "attribute_weights": weights},
        }

    # --- parts --------------------------------------------------------------------------------------------------------

    def _resolve(self, user_id: Tensor, history_ids: Tensor) -> UserState:
        users = self._users.lookup(user_id)
        batch = tf.shape(user_id)[0]
        given = make_multi_hot(self._items.lookup(history_ids), self.num_items)
        given = tf.broadcast_to(given, [batch, self.num_items])
        # Row -1 of the splits is an empty history, for the unknown user.
        row = tf.where(users < 0, tf.cast(tf.shape(self._history_splits)[0] - 2, tf.int64), users)
        histories = tf.RaggedTensor.from_row_splits(
            tf.convert_to_tensor(self._history_items),
            tf.convert_to_tensor(self._history_splits),
            validate=False,
        )
        stored = make_multi_hot(tf.gather(histories, row).to_tensor(-1), self.num_items)
        from_request = tf.reduce_any(given > 0, axis=1)
        history = tf.where(from_request[:, None], given, stored)
        source = tf.where(tf.reduce_any(history > 0, axis=1), "user", "prior")
        source = tf.where(from_request, "history", source)
        users = tf.where(from_request, tf.constant(-1, tf.int64), users)
        return self._encode(history, tf.maximum(given, stored), users, source)

    def _encode(
        self, history: Tensor, seen: Tensor, users: Tensor | None, source: Tensor
    ) -> UserState:
        vectors = tf.matmul(history * history_scale(history), self._query)
        if self._user_embedding is not None and users is not None:
            own = tf.gather(self._user_embedding, tf.maximum(users, 0))
            vectors += tf.where(users[:, None] < 0, tf.zeros_like(own), own)
        without_history = tf.cast(source == "prior", tf.float32)[:, None]
        prior = without_history * self._prior[None, :]
        memory = (
            tf.zeros_like(prior)
            if self._memory is None
            else compute_memory_scores(*self._memory, history)
        )
        return UserState(history, seen, vectors, tf.stack([prior, memory], axis=-1), source)

    def _catalogue_scores(self, user: UserState) -> Tensor:
        return self._index.compute_scores(user.vectors) + tf.reduce_sum(user.extra, axis=-1)

    def _rank(
        self, user: UserState, weights: Tensor, wanted: Tensor, allowed: Tensor, k: Tensor
    ) -> dict[str, Tensor]:
        weighted = self._weigh(user, weights)
        scores = self._catalogue_scores(weighted)
        strength = self.config.model.target_strength * tf.math.reduce_std(
            scores, axis=1, keepdims=True
        )
        boosted = tf.cond(
            tf.reduce_any(wanted > 0),
            lambda: scores + strength * tf.reduce_sum(self.steering.compute_boost(wanted), axis=-1),
            lambda: scores,
        )
        values, indices = self._index.search(boosted, k, allowed)
        contributions = self._contributions(user, weights, wanted, strength, indices)
        empty = tf.math.is_inf(values)
        attribute_values = tf.gather(self._attribute_text, indices)
        return {
            "item_ids": tf.where(empty, "", tf.gather(self._item_ids, indices)),
            "scores": values,
            "contributions": tf.where(
                empty[..., None], tf.zeros_like(contributions), contributions
            ),
            "contribution_names": tf.constant(self.chunk_names),
            "attribute_values": tf.where(empty[..., None], "", attribute_values),
        }

    def _weigh(self, user: UserState, weights: Tensor) -> UserState:
        """Multiplies each chunk of the user, the prior (as residual) and the memory by its weight."""
        chunk_of = np.repeat(np.arange(len(self._index.chunk_dims)), self._index.chunk_dims)
        extra_weights = tf.stack(
            [self._weight_of(weights, RESIDUAL), self._weight_of(weights, MEMORY)], axis=-1
        )
        return dataclasses.replace(
            user,
            vectors=user.vectors * tf.gather(weights, chunk_of, axis=1),
            extra=user.extra * extra_weights[:, None, :],
        )

    def _weight_of(self, weights: Tensor, chunk: str) -> Tensor:
        if chunk not in self.chunk_names:
            return tf.ones_like(weights[:, 0])
        return weights[:, self.chunk_names.index(chunk)]

    def _contributions(
        self, user: UserState, weights: Tensor, wanted: Tensor, strength: Tensor, indices: Tensor
    ) -> Tensor:
        """Computes `[batch, k, num_contributions]` for the items at `indices` `[batch, k]`."""
        weighted = self._weigh(user, weights)
        chunks = self._index.compute_contributions(weighted.vectors, indices)
        extra = tf.gather(weighted.extra, indices, batch_dims=1)
        boost = strength[..., None] * self.steering.compute_boost(wanted, indices)
        attributes = chunks[..., : self._num_attributes] + boost
        residual = chunks[..., self._num_attributes :] + extra[..., :1]
        parts = [attributes, residual] + ([extra[..., 1:]] if self._memory is not None else [])
        return tf.concat(parts, axis=-1)

    def _evidence(self, user: UserState, items: Tensor) -> tuple[Tensor, Tensor]:
        """The past items that argue most for `items` `[batch]`: ids `[batch, E]`, contributions `[batch, E, K]`."""
        count = min(self.config.model.evidence, self.num_items)
        total = self._evidence_of_all(user, items)
        in_history = user.history > 0
        values, past = self._index.search(tf.reduce_sum(total, axis=-1), count, in_history)
        empty = tf.math.is_inf(values)
        contributions = tf.gather(total, past, batch_dims=1)
        ids = tf.where(empty, "", tf.gather(self._item_ids, past))
        return ids, tf.where(empty[..., None], tf.zeros_like(contributions), contributions)

    def _evidence_of_all(self, user: UserState, items: Tensor) -> Tensor:
        """What each item, were it in the history, contributes to `items`: `[batch, num_items, num_contributions]`."""
        vectors = tf.gather(self._index.candidates, items)
        queries = tf.split(self._query, self._index.chunk_dims, axis=1)
        chunks = tf.split(vectors, self._index.chunk_dims, axis=1)
        parts = [
            tf.matmul(chunk, query, transpose_b=True)
            for query, chunk in zip(queries, chunks, strict=True)
        ]
        if self._memory is not None:
            source, weight = (tf.gather(part, items) for part in self._memory)
            batch = tf.repeat(tf.range(tf.shape(items)[0], dtype=tf.int64), tf.shape(source)[1])
            where = tf.stack([batch, tf.reshape(source, [-1])], axis=1)
            shape = tf.cast(tf.stack([tf.shape(items)[0], self.num_items]), tf.int64)
            parts.append(tf.scatter_nd(where, tf.reshape(weight, [-1]), shape))
        return tf.stack(parts, axis=-1) * history_scale(user.history)[..., None]

    def _validate_k(self, k: Tensor) -> Tensor:
        message = f"k must be between 1 and {self.num_items}, the size of the catalogue. Received:"
        tf.debugging.Assert((k >= 1) & (k <= self.num_items), [message, k])
        return k

    def _validate_weights(self, weights: Tensor, batch: Tensor) -> Tensor:
        message = (
            f"attribute_weights must be finite numbers for {', '.join(self.chunk_names)}. Received:"
        )
        tf.debugging.Assert(tf.reduce_all(tf.math.is_finite(weights)), [message, weights])
        return tf.broadcast_to(weights, [batch, len(self.chunk_names)])

    def _require_items(self, item_id: Tensor) -> Tensor:
        items = self._items.lookup(item_id)
        unknown = tf.boolean_mask(item_id, items < 0)
        tf.debugging.Assert(
            tf.reduce_all(items >= 0), ["item_id is not in the catalogue. Received:", unknown]
        )
        return tf.maximum(items, 0)


def _constant(value: Any) -> tf.Variable:
    return tf.Variable(value, trainable=False)


def _parse_rows(examples: Tensor) -> dict[str, Tensor]:
    return tf.io.parse_example(
        examples,
        {
            "user_id": tf.io.FixedLenFeature([], tf.string),
            "item_id": tf.io.FixedLenFeature([], tf.string),
            "relevant_count": tf.io.FixedLenFeature([], tf.int64),
        },
    )


def _fill_rows(rows: Sequence[tuple[str, ...]]) -> np.ndarray:
    """Makes rows of values equally long by repeating the first one, as TFMA counts equal values of a row once."""
    width = max(1, *(len(row) for row in rows))
    filled = [row or (MISSING,) for row in rows]
    return np.array([row + row[:1] * (width - len(row)) for row in filled], dtype=object)


def _activity(lengths: np.ndarray) -> np.ndarray:
    """Names each user's activity by thirds of the users: `light`, `medium` or `heavy`."""
    low, high = np.quantile(lengths, [1 / 3, 2 / 3])
    return np.where(lengths <= low, "light", np.where(lengths <= high, "medium", "heavy")).astype(
        object
    )
