"""From users and weights to scores, their best items and the contributions they are sums of."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from addrl_keras.config import MEMORY, RESIDUAL, Config
from addrl_keras.layers.retrieval import AttributeTopK
from addrl_keras.steering import AttributeSteering
from addrl_keras.users import UserEncoder, UserState

Tensor = Any


@dataclasses.dataclass(frozen=True)
class Steering:
    """What a request asks for beside its users.

    Args:
        weights: Float `[batch, num_chunks]`, by which contributions are multiplied.
        wanted: Float 0/1 `[batch, num_all_values]`, the wanted attribute values.
        strength: Float `[batch]`, how much a wanted value counts, in standard deviations of the
            user's scores.
        hold: Float `[batch, num_chunks]`, by which the contributions to an item that has a wanted
            value are multiplied as well; to others in proportion to their chance of having it.
    """

    weights: Tensor
    wanted: Tensor
    strength: Tensor
    hold: Tensor


@dataclasses.dataclass(frozen=True)
class Explained:
    """One item's score per user, split.

    Attributes:
        contributions: Float `[batch, num_chunks]`, which add up to the score.
        averages: Float `[batch, num_chunks]`, the same, averaged over the catalogue.
        factors: Float `[batch, num_chunks]`, by which weights and wishes multiply what the history
            contributes.
        target_contributions: Float `[batch, num_chunks]`, what of the contributions comes from the
            wanted values and from no past item.
    """

    contributions: Tensor
    averages: Tensor
    factors: Tensor
    target_contributions: Tensor


@dataclasses.dataclass(frozen=True)
class _Wish:
    """What wanted values do to the scores of a catalogue.

    An item of chance `p` has of each chunk's contribution `c` instead `c + p g (c - mean(c))`: what
    holds the list stretches contributions about their mean, and moves no level.

    Attributes:
        scores: Float `[batch, num_items]`, with all that is asked for.
        chance: Float `[batch, num_items]`, `p`: how far an item's score is that of `hold`.
        hold_gain: Float `[batch, num_chunks]`, `g`.
        means: Float `[batch, num_chunks]`, of the contributions over the catalogue, without a wish.
        strength: Float `[batch, 1]`, what an item that surely has a wanted value gets.
        boost: Float `[batch, num_items, num_attributes]`, the chance that it has one.
    """

    scores: Tensor
    chance: Tensor
    hold_gain: Tensor
    means: Tensor
    strength: Tensor
    boost: Tensor

    def get_factors(self, indices: Tensor) -> Tensor:
        """By what contributions are multiplied, `[batch, k, num_chunks]`, at `[batch, k]`."""
        return 1.0 + self._get_chance(indices) * self.hold_gain[:, None, :]

    def get_target_contributions(self, indices: Tensor) -> Tensor:
        """What is added to them, `[batch, k, num_chunks]`, at `[batch, k]`."""
        level = self._get_chance(indices) * (self.hold_gain * self.means)[:, None, :]
        boost = tf.gather(self.boost, indices, batch_dims=1)
        return self._add_boost(-level, self.strength[..., None] * boost)

    def compute_averages(self, weighted: Tensor) -> Tensor:
        """Averages the contributions over the catalogue, `[batch, num_chunks]`.

        Args:
            weighted: Float `[batch, num_chunks]`, the mean of each contribution times `chance`.
        """
        chance = tf.reduce_mean(self.chance, axis=1)[:, None]
        averages = self.means + self.hold_gain * (weighted - chance * self.means)
        return self._add_boost(averages, self.strength * tf.reduce_mean(self.boost, axis=1))

    def _get_chance(self, indices: Tensor) -> Tensor:
        return tf.gather(self.chance, indices, batch_dims=1)[..., None]

    def _add_boost(self, parts: Tensor, boost: Tensor) -> Tensor:
        """Adds the attributes' parts `[..., num_attributes]`, which come first."""
        count = boost.shape[-1]
        return tf.concat([parts[..., :count] + boost, parts[..., count:]], axis=-1)


class Scorer(tf.Module):
    """Scores the catalogue: the chunks' dot products, the prior, the memory and what is wanted.

    Args:
        config: The model's configuration.
        index: The item vectors, indexed by their position in the catalogue.
        users: Says whether there is a memory, and what a history argues.
        steering: Says which items have a wanted value.
    """

    def __init__(
        self, config: Config, index: AttributeTopK, users: UserEncoder, steering: AttributeSteering
    ) -> None:
        super().__init__(name="scorer")
        self._index = index
        self._users = users
        self._steering = steering
        self._chunk_names = config.chunk_names
        self._num_attributes = len(config.attributes)

    def compute_scores(self, user: UserState, weights: Tensor | None = None) -> Tensor:
        """Computes every item's score.

        Args:
            user: A batch of users.
            weights: Optional float `[batch, num_chunks]`; by default all weigh alike.

        Returns:
            Float `[batch, num_items]`.
        """
        chunks = self._index.compute_scores(*self._weigh_vectors(user, weights))
        return chunks + tf.reduce_sum(self._weigh_extra(user, weights), axis=-1)

    def compute_best(
        self, user: UserState, steering: Steering, allowed: Tensor, k: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Computes the best items and the contributions to their scores.

        An item's chance `P` of a wanted value counts `strength` times the standard deviation of the
        user's scores, so that it weighs alike for every user. Among the items that have it, `hold`
        decides which are taken: scores with weights of `hold` more, brought to the mean and the
        standard deviation of those without, take their place by `P min(1, strength)`.

        Args:
            user: A batch of users.
            steering: What the request asks for.
            allowed: Bool `[batch, num_items]`.
            k: Int scalar, at most `num_items`.

        Returns:
            `(scores, indices, contributions, averages)`: `[batch, k]`, `[batch, k]`, `[batch, k,
            num_chunks]` and, over the whole catalogue, `[batch, num_chunks]`. A place for which no
            item is left has the score -inf and no contributions.
        """
        scores = self.compute_scores(user, steering.weights)

        def wish() -> tuple[Tensor, Tensor, Tensor, Tensor]:
            wished = self._wish(user, steering, scores)
            values, indices = self._index.search(wished.scores, k, allowed)
            best = self._split(user, steering.weights, indices) * wished.get_factors(indices)
            best += wished.get_target_contributions(indices)
            return values, indices, best, self._average_wished(user, steering, wished)

        def rank() -> tuple[Tensor, Tensor, Tensor, Tensor]:
            values, indices = self._index.search(scores, k, allowed)
            best = self._split(user, steering.weights, indices)
            return values, indices, best, self._average(user, steering.weights)

        values, indices, contributions, averages = tf.cond(
            tf.reduce_any(steering.wanted > 0), wish, rank
        )
        empty = tf.math.is_inf(values)[..., None]
        contributions = tf.where(empty, tf.zeros_like(contributions), contributions)
        return values, indices, contributions, averages

    def explain(self, user: UserState, steering: Steering, items: Tensor) -> Explained:
        """Splits the score that one item per user has in the list that `compute_best` makes.

        Args:
            user: A batch of users.
            steering: What the request asks for.
            items: Int `[batch]`.

        Returns:
            The contributions, and what of them comes from the history and what from the wish.
        """
        indices = items[:, None]
        neutral = self._split(user, None, indices)[:, 0]

        def wish() -> tuple[Tensor, Tensor, Tensor]:
            wished = self._wish(user, steering, self.compute_scores(user, steering.weights))
            factors = steering.weights * wished.get_factors(indices)[:, 0]
            added = wished.get_target_contributions(indices)[:, 0]
            return factors, added, self._average_wished(user, steering, wished)

        def weigh() -> tuple[Tensor, Tensor, Tensor]:
            averages = self._average(user, steering.weights)
            return steering.weights, tf.zeros_like(neutral), averages

        factors, added, averages = tf.cond(tf.reduce_any(steering.wanted > 0), wish, weigh)
        return Explained(neutral * factors + added, averages, factors, added)

    def _wish(self, user: UserState, steering: Steering, scores: Tensor) -> _Wish:
        """Computes what the wanted values do to the scores, as `compute_best` describes."""
        spread = tf.math.reduce_std(scores, axis=1, keepdims=True)
        strength = steering.strength[:, None] * spread
        boost = self._steering.compute_boost(steering.wanted)
        count = self._steering.count_wanted(steering.wanted)[:, None]
        share = tf.clip_by_value(steering.strength[:, None], 0.0, 1.0)
        share = tf.math.divide_no_nan(share, count)
        chance = share * tf.reduce_sum(boost, axis=-1)
        held = self.compute_scores(user, steering.weights * steering.hold)
        scale = tf.math.divide_no_nan(spread, tf.math.reduce_std(held, axis=1, keepdims=True))
        shift = tf.reduce_mean(scores - scale * held, axis=1, keepdims=True)
        # Written as a difference: where nothing holds, scores stay as they are bit for bit.
        wished = scores + chance * (scale * held + shift - scores)
        wished += strength * tf.reduce_sum(boost, axis=-1)
        means = self._average(user, steering.weights)
        return _Wish(wished, chance, scale * steering.hold - 1.0, means, strength, boost)

    def _average_wished(self, user: UserState, steering: Steering, wished: _Wish) -> Tensor:
        return wished.compute_averages(self._average(user, steering.weights, wished.chance))

    def compute_parts(self, user: UserState) -> list[Tensor]:
        """Splits the score of every item, with neutral settings.

        Args:
            user: A batch of users.

        Returns:
            For each chunk float `[batch, num_items]`; their sum is the score.
        """
        parts = self._index.compute_parts(user.preferences)
        residual = parts[-1] + user.extra[..., 0]
        if user.accounted is None:
            return [*parts[:-1], residual]
        accounted = self._index.compute_scores(user.accounted)
        return [*parts[:-1], residual, user.extra[..., 1] - accounted]

    def compute_evidence(
        self, user: UserState, items: Tensor, factors: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Splits the score of one item per user by past item and chunk.

        Args:
            user: A batch of users.
            items: Int `[batch]`, what the past items argue for.
            factors: Float `[batch, num_chunks]`, by which contributions are multiplied; `explain`
                computes them.

        Returns:
            `(totals, indices, contributions)`: `[batch, longest]`, `[batch, longest]` and `[batch,
            longest, num_chunks]`, where `longest` is the length of the longest history, strongest
            first. Beyond a user's own history the total is -inf and the contributions are zero.
        """
        vectors = tf.gather(self._index.candidates, items)
        past, each = self._users.compute_evidence(user, items, vectors, self._index.chunk_dims)
        each *= factors[:, None, :]
        is_there = past >= 0
        totals = tf.where(is_there, tf.reduce_sum(each, axis=-1), tf.constant(float("-inf")))
        order = tf.argsort(totals, direction="DESCENDING", stable=True)
        totals, past, each = (tf.gather(part, order, batch_dims=1) for part in (totals, past, each))
        return totals, tf.maximum(past, 0), each

    def _weigh_vectors(
        self, user: UserState, weights: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """Returns vectors and weights of the towers' chunks that score what is asked for.

        Of the user's vector `a`, what is accounted `c` and the memory `m`, a chunk's part is `<a +
        c, y>` and the memory's `m - <c, y>`. So with weights `w` and `v` the score is `<w a + (w -
        v) c, y> + v m`: one product, and where all weigh alike the one without weights.
        """
        if weights is None or user.accounted is None:
            return user.vectors, self._weigh_chunks(weights)
        chunk_dims = self._index.chunk_dims
        chunk_of = np.repeat(np.arange(len(chunk_dims)), chunk_dims)
        own = tf.gather(weights, chunk_of, axis=1)
        memory = self._weight_of(weights, MEMORY)[:, None]
        return own * user.vectors + (own - memory) * user.accounted, None

    def _weigh_chunks(self, weights: Tensor | None) -> Tensor | None:
        """Returns the weights of the towers' chunks, which come first."""
        return None if weights is None else weights[:, : len(self._index.chunk_dims)]

    def _weigh_extra(self, user: UserState, weights: Tensor | None) -> Tensor:
        """Multiplies the prior (as residual) and the memory by their weights."""
        if weights is None:
            return user.extra
        extra_weights = tf.stack(
            [self._weight_of(weights, RESIDUAL), self._weight_of(weights, MEMORY)], axis=-1
        )
        return user.extra * extra_weights[:, None, :]

    def _weight_of(self, weights: Tensor, chunk: str) -> Tensor:
        if chunk not in self._chunk_names:
            return tf.ones_like(weights[:, 0])
        return weights[:, self._chunk_names.index(chunk)]

    def _split(self, user: UserState, weights: Tensor | None, indices: Tensor) -> Tensor:
        """Splits the scores of the items at `indices` `[batch, k]`, `[batch, k, num_chunks]`."""
        chunks = self._index.compute_contributions(
            user.preferences, indices, self._weigh_chunks(weights)
        )
        extra = tf.gather(self._weigh_extra(user, weights), indices, batch_dims=1)
        if user.accounted is None:
            return self._join(chunks, extra, None)
        accounted = self._index.compute_contributions(user.accounted, indices)
        return self._join(chunks, extra, self._weigh_accounted(accounted, weights))

    def _average(
        self, user: UserState, weights: Tensor | None, of_items: Tensor | None = None
    ) -> Tensor:
        """Averages every contribution over the catalogue, `[batch, num_chunks]`.

        Args:
            user: A batch of users.
            weights: As in `compute_scores`.
            of_items: Optional float `[batch, num_items]`, by which the items' contributions are
                multiplied before.
        """
        weigh = self._weigh_chunks(weights)
        chunks = self._index.compute_averages(user.preferences, weigh, of_items)
        extra = self._weigh_extra(user, weights)
        if of_items is not None:
            extra *= of_items[..., None]
        extra = tf.reduce_mean(extra, axis=1)
        if user.accounted is None:
            return self._join(chunks, extra, None)
        accounted = self._index.compute_averages(user.accounted, None, of_items)
        return self._join(chunks, extra, self._weigh_accounted(accounted, weights))

    def _weigh_accounted(self, accounted: Tensor, weights: Tensor | None) -> Tensor:
        """Adds up what is accounted to the chunks, which come last, by the memory's weight."""
        total = tf.reduce_sum(accounted, axis=-1, keepdims=True)
        if weights is None:
            return total
        memory = self._weight_of(weights, MEMORY)
        return total * tf.reshape(memory, [-1, *[1] * (len(total.shape) - 1)])

    def _join(self, chunks: Tensor, extra: Tensor, accounted: Tensor | None) -> Tensor:
        """Joins the towers' chunks with the prior, and the memory without what is accounted."""
        attributes = chunks[..., : self._num_attributes]
        residual = chunks[..., self._num_attributes :] + extra[..., :1]
        memory = [] if accounted is None else [extra[..., 1:] - accounted]
        return tf.concat([attributes, residual, *memory], axis=-1)


def compute_ranks(scores: Tensor, items: Tensor) -> Tensor:
    """Computes the place of one item per row among all scores.

    Args:
        scores: Float `[batch, num_items]`; NaN is the worst score.
        items: Int64 `[batch]`, -1 for an item that is not in the catalogue.

    Returns:
        Int64 `[batch]`, from 1. Of equal scores the earlier item comes first; an item that is not
        in the catalogue has the rank `num_items + 1`.

    Example:
        >>> compute_ranks(tf.constant([[3.0, 1.0, 3.0]]), tf.constant([2], tf.int64)).numpy()
        array([2])
    """
    num_items = tf.shape(scores, tf.int64)[1]
    own = tf.gather(scores, tf.maximum(items, 0), batch_dims=1)[:, None]
    position = tf.range(num_items)[None, :]
    # Asked the other way round, because NaN compares false: a score that is no number must count
    # as the worst rank, not the best.
    behind = (scores < own) | ((scores == own) & (position >= items[:, None]))
    rank = 1 + tf.reduce_sum(tf.cast(~behind, tf.int64), axis=1)
    return tf.where(items < 0, num_items + 1, rank)
