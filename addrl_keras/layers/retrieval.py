"""The item index inside the model: exact top-k over chunked vectors, explained by chunk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs

Tensor = Any
DOT, SOFTPLUS = "dot", "softplus"


def score_chunks(
    queries: Tensor,
    candidates: Tensor,
    chunk_dims: Sequence[int],
    kind: str = DOT,
    weights: Tensor | None = None,
) -> Tensor:
    """Scores every candidate: the sum of what each chunk contributes.

    Args:
        queries: Float `[batch, dim]`, chunks side by side.
        candidates: Float `[num_items, dim]`.
        chunk_dims: Width of each chunk.
        kind: `dot`, where a chunk contributes its dot product, or `softplus`, `log(1 + exp(.))` of
            it.
        weights: Optional float `[batch, num_chunks]`, by which contributions are multiplied.

    Returns:
        Float `[batch, num_items]`.

    Example:
        >>> queries, items = tf.constant([[1.0, 2.0]]), tf.constant([[3.0, 4.0]])
        >>> float(score_chunks(queries, items, (1, 1))[0, 0])
        11.0
    """
    if kind == DOT:
        # One product of matrices, whatever the number of chunks.
        return tf.matmul(_weigh(queries, chunk_dims, weights), candidates, transpose_b=True)
    parts = score_parts(queries, candidates, chunk_dims, kind)
    if weights is not None:
        parts = [part * weights[:, k, None] for k, part in enumerate(parts)]
    return tf.add_n(parts)


def score_parts(
    queries: Tensor, candidates: Tensor, chunk_dims: Sequence[int], kind: str = DOT
) -> list[Tensor]:
    """Computes what each chunk contributes to the score of every candidate.

    Args:
        queries: As in `score_chunks`, like the other arguments.
        candidates: Float `[num_items, dim]`.
        chunk_dims: Width of each chunk.
        kind: `dot` or `softplus`.

    Returns:
        For each chunk float `[batch, num_items]`.
    """
    pairs = zip(
        tf.split(queries, chunk_dims, axis=1), tf.split(candidates, chunk_dims, axis=1), strict=True
    )
    parts = [tf.matmul(a, b, transpose_b=True) for a, b in pairs]
    return parts if kind == DOT else [tf.math.softplus(part) for part in parts]


def _weigh(queries: Tensor, chunk_dims: Sequence[int], weights: Tensor | None) -> Tensor:
    if weights is None:
        return queries
    chunk_of = np.repeat(np.arange(len(chunk_dims)), chunk_dims)
    return queries * tf.gather(weights, chunk_of, axis=1)


class AttributeTopK(tfrs.layers.factorized_top_k.TopK):
    """Exact retrieval by the dot product of chunked vectors, as a drop-in for TFRS's `BruteForce`.

    Beside TFRS's interface it splits the search in two, `compute_scores` and `search`, so that
    terms may be added to the scores and items left out between them; it accepts a number of
    exclusions that is known only at run time, and tells what each chunk contributed.

    Args:
        chunk_dims: Width of each chunk; a vector is the chunks side by side.
        k: Default number of results.
        kind: How a chunk's dot product becomes its contribution (`score_chunks`).

    Example:
        >>> items = tf.constant([[1.0, 0.0], [0.0, 3.0]])
        >>> index = AttributeTopK(chunk_dims=(1, 1), k=1).index(items)
        >>> scores, items = index(tf.constant([[1.0, 1.0]]))
        >>> float(scores[0, 0]), int(items[0, 0])
        (3.0, 1)

    Reference:
        `tfrs.layers.factorized_top_k.TopK`; its `query_with_exclusions` needs a static number of
        exclusions.
    """

    def __init__(
        self, chunk_dims: Sequence[int], k: int = 10, kind: str = DOT, **kwargs: Any
    ) -> None:
        super().__init__(k=k, **kwargs)
        if kind not in (DOT, SOFTPLUS):
            raise ValueError(f"kind must be {DOT!r} or {SOFTPLUS!r}. Received: {kind!r}")
        self.kind = kind
        if not chunk_dims or min(chunk_dims) < 1:
            raise ValueError(
                f"chunk_dims must list at least one positive width. Received: {tuple(chunk_dims)}"
            )
        self.chunk_dims = tuple(chunk_dims)
        self._candidates: Any = None
        self._mean: Any = None
        self._identifiers: Any = None

    def index(self, candidates: Tensor, identifiers: Tensor | None = None) -> AttributeTopK:
        """Sets the vectors to search.

        Args:
            candidates: Float `[num_items, dim]`.
            identifiers: Optional `[num_items]` of any type; the row numbers by default.

        Returns:
            Self.

        Raises:
            ValueError: The shapes do not fit `chunk_dims` or each other.
        """
        candidates = tf.convert_to_tensor(candidates)
        if candidates.shape.rank != 2 or candidates.shape[1] != sum(self.chunk_dims):
            raise ValueError(
                f"candidates must have the shape [num_items, {sum(self.chunk_dims)}], the sum of "
                f"chunk_dims. Received: shape {candidates.shape}"
            )
        if identifiers is None:
            identifiers = tf.range(candidates.shape[0])
        identifiers = tf.convert_to_tensor(identifiers)
        if identifiers.shape != candidates.shape[:1]:
            raise ValueError(
                f"identifiers must have the shape {candidates.shape[:1]}. "
                f"Received: shape {identifiers.shape}"
            )
        self._candidates = tf.Variable(candidates, trainable=False, name="candidates")
        mean = tf.reduce_mean(candidates, axis=0, keepdims=True)
        self._mean = tf.Variable(mean, trainable=False, name="mean")
        self._identifiers = tf.Variable(identifiers, trainable=False, name="identifiers")
        self._reset_tf_function_cache()
        return self

    def call(self, queries: Tensor, k: Tensor | int | None = None) -> tuple[Tensor, Tensor]:
        """Finds the best candidates of each query.

        Args:
            queries: Float `[batch, dim]`.
            k: Number of results, at most `num_items`; the layer's own by default.

        Returns:
            `(scores, identifiers)`, both `[batch, k]`, best first; of equal scores the earlier
            candidate comes first.

        Raises:
            ValueError: Nothing was indexed.
            tf.errors.InvalidArgumentError: `k` exceeds `num_items`, or the widths of the queries
                and the candidates differ.
        """
        scores, indices = self.search(self.compute_scores(queries), self._k if k is None else k)
        return scores, tf.gather(self._identifiers, indices)

    @tf.function
    def query_with_exclusions(
        self, queries: Tensor, exclusions: Tensor, k: Tensor | int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Finds the best candidates of each query, without some.

        Args:
            queries: Float `[batch, dim]`.
            exclusions: `[batch, num_exclusions]`, of the type of the identifiers; the number may be
                known at run time only. What is no identifier excludes nothing, so it can fill up.
            k: As in `call`.

        Returns:
            As `call`. A place for which no item is left has the score -inf, and an identifier that
            means nothing.

        Raises:
            ValueError: Nothing was indexed.
            TypeError: `exclusions` are of another type than the identifiers.
            tf.errors.InvalidArgumentError: As in `call`.
        """
        self._validate_indexed()
        excluded = tf.reduce_any(exclusions[:, :, None] == self._identifiers[None, None, :], axis=1)
        scores, indices = self.search(
            self.compute_scores(queries), self._k if k is None else k, ~excluded
        )
        return scores, tf.gather(self._identifiers, indices)

    def compute_scores(self, queries: Tensor, weights: Tensor | None = None) -> Tensor:
        """Computes the score of every candidate for every query.

        Args:
            queries: Float `[batch, dim]`.
            weights: Optional float `[batch, num_chunks]`, by which contributions are multiplied.

        Returns:
            Float `[batch, num_items]`, in the order of the candidates.

        Raises:
            ValueError: Nothing was indexed.
            tf.errors.InvalidArgumentError: The widths of the queries and the candidates differ.
        """
        self._validate_indexed()
        candidates = tf.convert_to_tensor(self._candidates)
        return score_chunks(queries, candidates, self.chunk_dims, self.kind, weights)

    def search(
        self, scores: Tensor, k: Tensor | int, allowed: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Picks the best items; of equal scores the lower index comes first.

        Args:
            scores: Float `[batch, num_items]`.
            k: Number of results, at most `num_items`.
            allowed: Optional bool `[batch, num_items]`.

        Returns:
            `(scores, indices)`, `[batch, k]`. A place for which no item is left has the score -inf.
        """
        if allowed is not None:
            scores = tf.where(allowed, scores, tf.constant(float("-inf"), scores.dtype))
        values, indices = tf.math.top_k(scores, k=k)
        return values, indices

    def compute_parts(self, queries: Tensor) -> list[Tensor]:
        """Computes what each chunk contributes to the score of every candidate.

        Args:
            queries: Float `[batch, dim]`.

        Returns:
            For each chunk float `[batch, num_items]`.

        Raises:
            ValueError: Nothing was indexed.
        """
        self._validate_indexed()
        candidates = tf.convert_to_tensor(self._candidates)
        return score_parts(queries, candidates, self.chunk_dims, self.kind)

    def compute_averages(
        self, queries: Tensor, weights: Tensor | None = None, of_candidates: Tensor | None = None
    ) -> Tensor:
        """Computes the mean over all candidates of what each chunk contributes.

        Args:
            queries: Float `[batch, dim]`.
            weights: As in `compute_scores`.
            of_candidates: Optional float `[batch, num_items]`, by which the candidates'
                contributions are multiplied before.

        Returns:
            Float `[batch, num_chunks]`.

        Raises:
            ValueError: Nothing was indexed.
        """
        self._validate_indexed()
        if self.kind == DOT:
            # The mean of dot products is that with the mean vector; only a softplus needs them all.
            mean = tf.convert_to_tensor(self._mean)
            if of_candidates is not None:
                count = tf.cast(tf.shape(of_candidates)[1], of_candidates.dtype)
                mean = tf.matmul(of_candidates, tf.convert_to_tensor(self._candidates)) / count
            products = tf.split(queries * mean, self.chunk_dims, axis=1)
            averages = tf.stack([tf.reduce_sum(part, axis=1) for part in products], axis=-1)
        else:
            factor = 1.0 if of_candidates is None else of_candidates
            parts = self.compute_parts(queries)
            averages = tf.stack([tf.reduce_mean(part * factor, axis=1) for part in parts], axis=-1)
        return averages if weights is None else averages * weights

    def compute_contributions(
        self, queries: Tensor, indices: Tensor, weights: Tensor | None = None
    ) -> Tensor:
        """Splits scores by chunk.

        Args:
            queries: Float `[batch, dim]`.
            indices: Int `[batch, k]`, rows of the index.
            weights: As in `compute_scores`.

        Returns:
            Float `[batch, k, num_chunks]`; the sum over the last axis is the score.
        """
        self._validate_indexed()
        if self.kind == DOT:
            queries = _weigh(queries, self.chunk_dims, weights)
        products = queries[:, None, :] * tf.gather(self._candidates, indices)
        parts = [tf.reduce_sum(part, -1) for part in tf.split(products, self.chunk_dims, axis=-1)]
        contributions = tf.stack(parts, axis=-1)
        if self.kind == DOT:
            return contributions
        contributions = tf.math.softplus(contributions)
        return contributions if weights is None else contributions * weights[:, None, :]

    @property
    def candidates(self) -> Tensor:
        """The indexed vectors, `[num_items, dim]`."""
        self._validate_indexed()
        return self._candidates

    def is_exact(self) -> bool:
        return True

    def _validate_indexed(self) -> None:
        if self._candidates is None:
            raise ValueError("The index is empty. Call `index(candidates)` before searching.")
