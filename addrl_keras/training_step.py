"""One step of training: what is held out, and scores of as much as the loss asks for."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse
import tensorflow as tf

from addrl_keras.pairs import (
    MemoryIndex,
    MemoryMatrix,
    Pairs,
    compute_candidate_memory,
    compute_pair_memory,
)
from addrl_keras.preferences import get_kind

if TYPE_CHECKING:
    from addrl_keras.model import AdDrl

Tensor = Any
# Of the candidates of a sampled softmax, the share that is drawn evenly; the rest are drawn as
# often as they are taken, because frequent items weigh most in the softmax's denominator.
_EVEN_SHARE = 0.5
# How many multiplications of a matrix product take the time of an entry that is gathered, and of an
# entry of the memory that is looked up, each with its gradient. Measured on two cores; where it is
# off on another machine, a step takes longer than it might, and gives the same.
_GATHER = 200
_LOOK_UP = 1_400
# Items up to which the memory may be a matrix, of 64 MiB then.
_MATRIX_ITEMS = 4_096


@dataclasses.dataclass(frozen=True)
class Frozen:
    """What no step changes, computed once before training.

    Args:
        attributes: Float `[num_items, dim]`, the attribute chunks of the items side by side.
        item_share: Float `[num_items]`, share of the interactions; at least that of half a one.
        probability: Float `[num_items]`, with which a candidate is drawn.
        memory: What scores by the memory; None without a memory or where no loss needs it.
        has_long_histories: Whether a product with rows of zeros and ones takes less time than to
            gather what is in them.
        teacher: Float `[num_items, num_items]`, for distillation.
    """

    attributes: Tensor
    item_share: Tensor
    probability: Tensor
    memory: MemoryIndex | MemoryMatrix | None
    has_long_histories: bool
    teacher: Tensor | None


def make_frozen(
    model: AdDrl, items: scipy.sparse.csr_matrix, teacher: np.ndarray | None = None
) -> Frozen:
    """Computes what the steps of one training share.

    Args:
        model: The model as it is at the start.
        items: Binary CSR `[num_users, num_items]`, the training interactions.
        teacher: Item-to-item weights, for distillation.

    Raises:
        ValueError: Distillation has no teacher.
    """
    losses = model.config.losses
    if losses.preference_kind == "distillation" and teacher is None:
        raise ValueError(
            "losses.preference_kind='distillation' needs the teacher of start.kind='closed_form' "
            f"or 'random'. Received: start.kind={model.config.start.kind!r}"
        )
    counts = np.maximum(np.asarray(items.sum(axis=0), np.float64).ravel(), 0.5)
    share = counts / counts.sum()
    probability = _EVEN_SHARE / len(share) + (1.0 - _EVEN_SHARE) * share
    num_items, is_dense = items.shape[1], get_kind(losses.preference_kind).IS_DENSE
    kept = (
        items.nnz
        / max(1, (np.diff(items.indptr) > 1).sum())
        * np.mean(model.config.training.keep_share)
    )
    memory: MemoryIndex | MemoryMatrix | None = None
    if model.memory is not None and is_dense:
        source = model.memory.source.numpy()
        looked_up = kept * source.shape[1]
        is_shorter = num_items <= _MATRIX_ITEMS and num_items**2 < _LOOK_UP * looked_up
        memory = (MemoryMatrix if is_shorter else MemoryIndex)(source)
    return Frozen(
        model.item_tower.compute_attributes(),
        tf.constant(share, tf.float32),
        tf.constant(probability, tf.float32),
        memory,
        bool(is_dense and num_items < _GATHER * kept),
        None if teacher is None else tf.constant(teacher),
    )


@dataclasses.dataclass(frozen=True)
class Step:
    """A batch of users whose items are split into a history and what is to be predicted from it.

    Args:
        model: The model that is trained.
        frozen: What its steps share.
        history: What the user tower sees.
        targets: What is held out.
        users: Float `[batch, dim]`, the encoded histories.
    """

    model: AdDrl
    frozen: Frozen
    history: Pairs
    targets: Pairs
    users: Tensor

    def score_catalogue(self) -> Tensor:
        """Scores all items for all users, `[batch, num_items]`."""
        model, width = self.model, self.frozen.attributes.shape[1]
        residual = tf.convert_to_tensor(model.item_tower.residual)
        # Two products, where one of the vectors side by side would copy both tables and gradients,
        # and take a gradient to the attribute chunks, which nobody asks for.
        attributes, rest = tf.split(self.users, [width, residual.shape[1]], axis=1)
        scores = tf.matmul(attributes, self.frozen.attributes, transpose_b=True)
        scores += tf.matmul(rest, residual, transpose_b=True)
        if self.frozen.memory is None or model.memory is None:
            return scores
        weight = tf.convert_to_tensor(model.memory.weight)
        return scores + self.frozen.memory.compute_scores(weight, self.history)

    def score_candidates(self, items: Tensor) -> Tensor:
        """Scores some items, int `[num_candidates]`, for all users: `[batch, num_candidates]`."""
        scores = tf.matmul(self.users, self._look_up(items), transpose_b=True)
        memory = self.model.memory
        if memory is None:
            return scores
        return scores + compute_candidate_memory(
            memory.source.value, memory.weight.value, self.history, items
        )

    def score_pairs(self, rows: Tensor, items: Tensor) -> Tensor:
        """Scores one item, int `[num_pairs]`, for one user of the batch each: `[num_pairs]`."""
        scores = tf.reduce_sum(tf.gather(self.users, rows) * self._look_up(items), axis=1)
        memory = self.model.memory
        if memory is None:
            return scores
        return scores + compute_pair_memory(
            memory.source.value, memory.weight.value, self.history, rows, items
        )

    def draw_candidates(self, count: int) -> tuple[Tensor, Tensor]:
        """Draws candidates for the batch; all items, where as many are wanted.

        Returns:
            Items, int32 `[num_candidates]`, and the logarithm of how often each was to be expected.
        """
        num_items = self.model.shape.num_items
        if count >= num_items:
            return tf.range(num_items), tf.zeros(num_items)
        probability = self.frozen.probability
        # The cumulative sum of a million float32 shares is off in the seventh digit; so are the
        # chances of single items, by as much as makes no difference.
        borders = tf.cumsum(tf.cast(probability, tf.float64))
        drawn = tf.cast(self.model.draw(tf.stack([count])), tf.float64) * borders[-1]
        items = tf.minimum(tf.searchsorted(borders, drawn, side="right"), num_items - 1)
        return items, tf.math.log(tf.gather(probability, items) * float(count))

    def draw_targets(self) -> tuple[Tensor, Tensor]:
        """Draws one target per user that has any: rows and items, int32 `[num_users]`."""
        counts = tf.cast(self.targets.counts(), tf.int32)
        first = tf.cumsum(counts, exclusive=True)
        share = self.model.draw(tf.shape(counts))
        place = tf.minimum(tf.cast(share * tf.cast(counts, tf.float32), tf.int32), counts - 1)
        has_target = counts > 0
        chosen = tf.boolean_mask(first + place, has_target)
        return tf.gather(self.targets.rows, chosen), tf.gather(self.targets.items, chosen)

    def draw_uniform(self, shape: Tensor) -> Tensor:
        """Draws items evenly, int32 of a shape."""
        num_items = self.model.shape.num_items
        drawn = tf.cast(self.model.draw(shape) * float(num_items), tf.int32)
        return tf.minimum(drawn, num_items - 1)

    def _look_up(self, items: Tensor) -> Tensor:
        residual = tf.gather(self.model.item_tower.residual.value, items)
        return tf.concat([tf.gather(self.frozen.attributes, items), residual], axis=1)
