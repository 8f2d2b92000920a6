"""The fitted model as a service: what each signature computes, from strings to strings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.sparse
import tensorflow as tf

from addrl_keras import signatures
from addrl_keras.checks import require
from addrl_keras.layers.retrieval import AttributeTopK
from addrl_keras.profile import AttributeProfile
from addrl_keras.scoring import Scorer, Steering, compute_ranks
from addrl_keras.slices import EvaluationSlices
from addrl_keras.steering import AttributeSteering, make_multi_hot, make_table
from addrl_keras.training import FitResult
from addrl_keras.users import UserEncoder, UserState, make_constant

Tensor = Any
# Known users that the population is described by, and those of them in a batch; fewer where the
# catalogue is so large that there would be more scores than this.
_USERS, _FEWEST, _BATCH, _SCORES = 512, 32, 32, 2**24
# Weights and strengths beyond this would drown the other contributions in rounding, or overflow.
_LARGEST = 1e4


class Recommender(tf.Module):
    """Recommends, explains, scores and ranks for the users and items of one fitted model.

    Every public method that returns a dict of tensors is one signature of the serving contract.
    They take lists as well as tensors and may be called with what matters alone, so a notebook can
    use them without exporting anything.

    Args:
        result: A fitted model.
    """

    def __init__(self, result: FitResult) -> None:
        super().__init__(name="recommender")
        model, catalogue, config = result.model, result.catalogue, result.model.config
        self.config = config
        self.num_items = catalogue.num_items
        self.chunk_names = config.chunk_names
        self._item_ids = make_constant(np.array(catalogue.item_ids, dtype=object))
        self._example_id = catalogue.item_ids[0]
        self._items = make_table(catalogue.item_ids)
        self._users = UserEncoder(model, result.interactions, self._items)
        index = AttributeTopK(model.chunk_dims, kind=model.score_kind, name="item_index")
        index.index(tf.convert_to_tensor(model.item_tower(None)), self._item_ids)
        distributions = [weight.numpy() for weight in model.item_tower.distributions]
        self.steering = AttributeSteering(config, catalogue, distributions)
        self._scorer = Scorer(config, index, self._users, self.steering)
        self._profile = AttributeProfile(index, self._scorer, self.steering)
        importance, shares = self._describe_population(result.interactions.known)
        self._population = make_constant(importance)
        self._population_shares = make_constant(shares)
        self._hold_weights = make_constant(result.hold_weights)
        self._modality_weights = make_constant(result.modality_weights)
        rows = [catalogue.values[name].rows() for name in config.attribute_names]
        texts = [["|".join(row) for row in part] for part in rows]
        self._attribute_text = make_constant(np.array(texts, dtype=object).T)
        self._slices = EvaluationSlices(config, catalogue, result.interactions)

    def recommend(
        self,
        user_id: Tensor,
        k: Tensor = None,
        history_ids: Tensor = None,
        exclude_ids: Tensor = None,
        exclude_seen: Tensor = None,
        attribute_weights: Tensor = None,
        attribute_targets: Tensor = None,
        attribute_filters: Tensor = None,
        target_strength: Tensor = None,
        hold_weights: Tensor = None,
    ) -> dict[str, Tensor]:
        """Ranks the catalogue for each user; what is None is neutral.

        Args:
            user_id: String `[batch]`.
            k: Int, length of the lists, 10 by default.
            history_ids: String `[batch, n]`, used in place of the stored history; `""` is padding
                in every list of strings, and an id that is not in the catalogue is ignored.
            exclude_ids: String `[batch, n]`, items to leave out.
            exclude_seen: Bool, whether to leave out what the user is known to have; True by
                default.
            attribute_weights: Float `[batch, num_chunks]`, or a dict from chunk name to weight.
            attribute_targets: String `[batch, n]`, wanted values, `name=value`.
            attribute_filters: String `[batch, n]`, required values, `name=value`.
            target_strength: Float `[batch]`, how much a wanted value counts, in standard deviations
                of the user's scores; `model.target_strength` by default.
            hold_weights: Float `[batch, num_chunks]`, by which the contributions to items of a
                wanted value are multiplied as well, or a dict from chunk name to weight; `profile`
                has those that keep the rest of a list most like before.

        Returns:
            `item_ids`, `scores` `[batch, k]`, `contributions` `[batch, k, num_chunks]`, which add
            up to the scores, `average_contributions` `[batch, num_chunks]`, over the catalogue,
            `contribution_names`, `attribute_values` `[batch, k, num_attributes]` and `source`
            `[batch]`. Places for which no item is left have the id "" and the score
            -inf.

        Raises:
            tf.errors.InvalidArgumentError: An unknown attribute or value, a weight or strength that
                is not finite, or a `k` that is not in 1..num_items. The message quotes it.
        """
        inputs = self._make_inputs(
            "recommend",
            user_id=user_id,
            k=k,
            history_ids=history_ids,
            exclude_ids=exclude_ids,
            exclude_seen=exclude_seen,
            attribute_weights=attribute_weights,
            attribute_targets=attribute_targets,
            attribute_filters=attribute_filters,
            target_strength=target_strength,
            hold_weights=hold_weights,
        )
        k = self._validate_k(inputs["k"])
        user = self._users.resolve(inputs["user_id"], inputs["history_ids"])
        steering = self._parse_steering(inputs)
        excluded = make_multi_hot(self._items.lookup(inputs["exclude_ids"]), self.num_items)
        seen = tf.where(inputs["exclude_seen"], user.seen, tf.zeros_like(user.seen))
        required = self.steering.parse("attribute_filters", inputs["attribute_filters"])
        allowed = (tf.maximum(excluded, seen) == 0) & self.steering.compute_allowed(required)
        return {**self._rank(user, steering, allowed, k), "source": user.source}

    def explain(
        self,
        user_id: Tensor,
        history_ids: Tensor = None,
        item_id: Tensor = None,
        attribute_weights: Tensor = None,
        attribute_targets: Tensor = None,
        target_strength: Tensor = None,
        hold_weights: Tensor = None,
    ) -> dict[str, Tensor]:
        """Splits the score of one item per user by chunk, by modality and by past item.

        The score is that of the list that `recommend` makes with the same weights and wishes.

        Args:
            user_id: String `[batch]`.
            history_ids: As in `recommend`, like the inputs after `item_id`.
            item_id: String `[batch]`, which must be in the catalogue.
            attribute_weights: Float `[batch, num_chunks]`, or a dict from chunk name to weight.
            attribute_targets: String `[batch, n]`, wanted values, `name=value`.
            target_strength: Float `[batch]`.
            hold_weights: Float `[batch, num_chunks]`, or a dict from chunk name to weight.

        Returns:
            `score` `[batch]`, `contributions` and, over the catalogue, `average_contributions`
            `[batch, num_chunks]`, `contribution_names`, `modality_weights` `[batch, num_chunks,
            num_modalities]`, how much of the item's chunk is which modality's, and
            `modality_names`. `target_contributions` `[batch, num_chunks]`, what of the
            contributions is due to the wanted values and to no past item. `evidence_ids` `[batch,
            longest]`: the user's past items, those that argue most for this one first, and
            `evidence_contributions` `[batch, longest, num_chunks]`, which with
            `target_contributions` add up to the contributions (but for the popularity prior, for an
            embedding of the user's own, and by the paper's recipe, whose contributions are no sums
            over a history). `attribute_values` `[batch, num_attributes]`; of each the value that
            most of the history has, `typical_values`, and the shares of history and catalogue that
            have it, `history_shares` and `catalogue_shares`.

        Raises:
            ValueError: There is no `item_id`.
            tf.errors.InvalidArgumentError: An item is not in the catalogue, or as in `recommend`.
                The message quotes it.
        """
        if item_id is None:
            raise ValueError("explain needs an item_id for each user. Received: item_id=None")
        inputs = self._make_inputs(
            "explain",
            user_id=user_id,
            history_ids=history_ids,
            item_id=item_id,
            attribute_weights=attribute_weights,
            attribute_targets=attribute_targets,
            target_strength=target_strength,
            hold_weights=hold_weights,
        )
        items = self._require_items(inputs["item_id"])
        user = self._users.resolve(inputs["user_id"], inputs["history_ids"])
        explained = self._scorer.explain(user, self._parse_steering(inputs), items)
        totals, past, evidence = self._scorer.compute_evidence(user, items, explained.factors)
        return {
            "score": tf.reduce_sum(explained.contributions, axis=-1),
            "contributions": explained.contributions,
            "average_contributions": explained.averages,
            "target_contributions": explained.target_contributions,
            "modality_weights": tf.gather(self._modality_weights, items),
            "contribution_names": tf.constant(self.chunk_names),
            "modality_names": tf.constant(self.config.modality_names),
            "evidence_ids": self._name_items(totals, past),
            "evidence_contributions": evidence,
            "attribute_values": tf.gather(self._attribute_text, items),
            **self._profile.find_typical_values(user, items),
        }

    def profile(self, user_id: Tensor, history_ids: Tensor = None) -> dict[str, Tensor]:
        """Describes users: which attributes drive them, and which values of each they like.

        Args:
            user_id: String `[batch]`.
            history_ids: As in `recommend`.

        Returns:
            `source` `[batch]`. `importance` `[batch, num_chunks]`, the share that each chunk has in
            how the user's scores differ; `population_importance` `[num_chunks]`, its mean over up
            to 512 known users; and `contribution_names`. For all values of all attributes, side by
            side as `value_names` `name=value`: `value_affinities` `[batch, num_all_values]`, what
            having the value adds to a score beyond the average; `value_expected_shares`, how much
            of what the user takes next should have it; `population_expected_shares`
            `[num_all_values]`, the mean over the same users; `value_history_shares`, of the user's
            items; and `value_catalogue_shares` `[num_all_values]`, of all items. And
            `hold_weights` `[num_attributes, num_chunks]`: for each attribute the weights that keep
            the rest of a list most like before, while a value of it is wanted.
        """
        inputs = self._make_inputs("profile", user_id=user_id, history_ids=history_ids)
        user = self._users.resolve(inputs["user_id"], inputs["history_ids"])
        return {
            "source": user.source,
            "importance": self._profile.compute_importance(user),
            "population_importance": tf.identity(self._population),
            "contribution_names": tf.constant(self.chunk_names),
            "value_names": tf.constant(self.steering.value_names, tf.string),
            "value_affinities": self._profile.compute_affinities(user),
            "value_expected_shares": self._profile.compute_expected_shares(user),
            "population_expected_shares": tf.identity(self._population_shares),
            "value_history_shares": self._profile.compute_history_shares(user),
            "value_catalogue_shares": self._profile.catalogue_shares,
            "hold_weights": tf.identity(self._hold_weights),
        }

    def similar_items(
        self, item_id: Tensor, k: Tensor = None, attribute_weights: Tensor = None
    ) -> dict[str, Tensor]:
        """Ranks the catalogue for somebody whose whole history is one item, without that item.

        Args:
            item_id: String `[batch]`, which must be in the catalogue.
            k: As in `recommend`, like `attribute_weights`.
            attribute_weights: Float `[batch, num_chunks]`, or a dict from chunk name to weight.

        Returns:
            `item_ids`, `scores` `[batch, k]` and `contributions` `[batch, k, num_chunks]`, in the
            order of `chunk_names`, as in `recommend`.

        Raises:
            tf.errors.InvalidArgumentError: An item is not in the catalogue, a weight is not finite,
                or `k` is not in 1..num_items. The message quotes it.
        """
        inputs = self._make_inputs(
            "similar_items", item_id=item_id, k=k, attribute_weights=attribute_weights
        )
        k = self._validate_k(inputs["k"])
        items = self._require_items(inputs["item_id"])
        batch = tf.shape(items)[0]
        history = make_multi_hot(items[:, None], self.num_items)
        user = self._users.encode(history, history, None, tf.fill([batch], "history"))
        weights = self._validate_weights("attribute_weights", inputs["attribute_weights"], batch)
        no_target = tf.zeros((batch, sum(self.steering.sizes)))
        steering = Steering(weights, no_target, tf.zeros(batch), tf.ones_like(weights))
        ranked = self._rank(user, steering, history == 0, k)
        return {name: ranked[name] for name in ("item_ids", "scores", "contributions")}

    def score(self, user_id: Tensor, item_ids: Tensor) -> dict[str, Tensor]:
        """Scores given items for each user, with neutral settings.

        Args:
            user_id: String `[batch]`; an unknown user's scores are the popularity prior.
            item_ids: String `[batch, n]`; lists may differ in length.

        Returns:
            `scores`, float `[batch, n]`: NaN for what is not in the catalogue and for padding.

        Raises:
            ValueError: An input does not have the rank above.
        """
        inputs = self._make_inputs("score", user_id=user_id, item_ids=item_ids)
        user = self._users.resolve(inputs["user_id"], tf.zeros((1, 0), tf.string))
        items = self._items.lookup(inputs["item_ids"])
        scores = tf.gather(self._scorer.compute_scores(user), tf.maximum(items, 0), batch_dims=1)
        return {"scores": tf.where(items < 0, tf.constant(np.nan, tf.float32), scores)}

    def serving_default(self, examples: Tensor) -> dict[str, Tensor]:
        """Recommends with neutral settings, for batch tools, which send tf.Examples.

        Args:
            examples: Serialised tf.Examples `[batch]` with a `user_id`; other features are ignored.

        Returns:
            As `recommend` with the default `k`, but `contribution_names` is `[batch, num_chunks]`.

        Raises:
            tf.errors.InvalidArgumentError: What is sent is no tf.Example, or has no `user_id`.
        """
        feature = tf.io.FixedLenFeature([], tf.string)
        outputs = self.recommend(tf.io.parse_example(examples, {"user_id": feature})["user_id"])
        # Batch tools cut every output into one row an example.
        names = tf.tile(outputs["contribution_names"][None, :], [tf.shape(examples)[0], 1])
        return {**outputs, "contribution_names": names}

    def evaluate(self, examples: Tensor) -> dict[str, Tensor]:
        """Ranks each row's item among all that its user is not known to have.

        Args:
            examples: Serialised tf.Examples `[batch]` with `user_id`, `item_id` and
                `relevant_count`.

        Returns:
            `rank`, int64 `[batch]`, from 1; of equal scores the earlier item of the catalogue comes
            first, and an item that is not in it last. And `relevant_count` as given.

        Raises:
            tf.errors.InvalidArgumentError: What is sent is no tf.Example, or lacks a feature.
        """
        parsed = signatures.parse_rows(examples)
        # Rows of one user lie together, and the catalogue is scored once for all of them.
        user_id, row = tf.unique(parsed["user_id"])
        user = self._users.resolve(user_id, tf.zeros((1, 0), tf.string))
        items = self._items.lookup(parsed["item_id"])
        scores = self._scorer.compute_scores(user)
        scores = tf.where(user.seen > 0, tf.constant(float("-inf")), scores)
        return {
            "rank": compute_ranks(tf.gather(scores, row), items),
            "relevant_count": parsed["relevant_count"],
        }

    def evaluate_slices(self, examples: Tensor) -> dict[str, Tensor]:
        """Looks up what the rows of an evaluation are sliced by.

        Args:
            examples: As in `evaluate`.

        Returns:
            Per attribute the item's values, string `[batch]`, or `[batch, max]` where the attribute
            is multi-valued; "(missing)" where there is none. And `item_warmth`, string `[batch]`:
            `warm`, or `cold` where nobody is known to have the item; and `user_activity`, string
            `[batch]`: `light`, `medium`, `heavy`, or `none` for an unknown user.

        Raises:
            tf.errors.InvalidArgumentError: As in `evaluate`.
        """
        parsed = signatures.parse_rows(examples)
        users = self._users.table.lookup(parsed["user_id"])
        return self._slices.look_up(users, self._items.lookup(parsed["item_id"]))

    def input_signatures(self) -> dict[str, dict[str, tf.TensorSpec]]:
        """Returns name, type and shape of every input, by signature."""
        return signatures.make_input_specs(len(self.chunk_names))

    def neutral_inputs(self) -> dict[str, dict[str, Tensor]]:
        """Returns the neutral value of every optional input, by signature."""
        return signatures.make_neutral_inputs(
            len(self.chunk_names), self.num_items, self.config.model.target_strength
        )

    def make_weights(self, weights: Mapping[str, float]) -> Tensor:
        """Makes an input of weights, float `[1, num_chunks]`; what is not named weighs 1.

        Args:
            weights: Weight by chunk name.

        Returns:
            The weights in the order of `chunk_names`.

        Raises:
            ValueError: There is no chunk of that name.
        """
        unknown = sorted(set(weights) - set(self.chunk_names))
        if unknown:
            raise ValueError(
                f"Weights must be given for chunks out of {', '.join(self.chunk_names)}. "
                f"Received: {', '.join(unknown)}"
            )
        return tf.constant([[float(weights.get(name, 1.0)) for name in self.chunk_names]])

    def _make_inputs(self, signature: str, **given: Any) -> dict[str, Tensor]:
        for name in ("attribute_weights", "hold_weights"):
            if isinstance(given.get(name), Mapping):
                given[name] = self.make_weights(given[name])
        specs, neutral = self.input_signatures()[signature], self.neutral_inputs()
        return signatures.make_inputs(specs, neutral.get(signature, {}), given)

    def _rank(
        self, user: UserState, steering: Steering, allowed: Tensor, k: Tensor
    ) -> dict[str, Tensor]:
        scores, indices, contributions, averages = self._scorer.compute_best(
            user, steering, allowed, k
        )
        attribute_values = tf.gather(self._attribute_text, indices)
        return {
            "item_ids": self._name_items(scores, indices),
            "scores": scores,
            "contributions": contributions,
            "average_contributions": averages,
            "contribution_names": tf.constant(self.chunk_names),
            "attribute_values": tf.where(tf.math.is_inf(scores)[..., None], "", attribute_values),
        }

    def _name_items(self, scores: Tensor, indices: Tensor) -> Tensor:
        """Names the items at `indices`, "" where the score says that there is none."""
        return tf.where(tf.math.is_inf(scores), "", tf.gather(self._item_ids, indices))

    def _validate_k(self, k: Tensor) -> Tensor:
        message = f"k must be between 1 and {self.num_items}, the size of the catalogue. Received:"
        return require((k >= 1) & (k <= self.num_items), message, k, k)

    def _parse_steering(self, inputs: Mapping[str, Tensor]) -> Steering:
        """Checks what a request asks for, and gives every user of it a row."""
        batch = tf.shape(inputs["user_id"])[0]
        wanted = self.steering.parse("attribute_targets", inputs["attribute_targets"])
        return Steering(
            self._validate_weights("attribute_weights", inputs["attribute_weights"], batch),
            tf.broadcast_to(wanted, [batch, sum(self.steering.sizes)]),
            self._validate_strength(inputs["target_strength"], batch),
            self._validate_weights("hold_weights", inputs["hold_weights"], batch),
        )

    def _validate_weights(self, what: str, weights: Tensor, batch: Tensor) -> Tensor:
        names = ", ".join(self.chunk_names)
        message = f"{what} must be finite numbers within {_LARGEST:,.0f} for {names}. Received:"
        return tf.broadcast_to(_bound(weights, message), [batch, len(self.chunk_names)])

    def _validate_strength(self, strength: Tensor, batch: Tensor) -> Tensor:
        message = f"target_strength must be a finite number within {_LARGEST:,.0f}. Received:"
        return tf.broadcast_to(_bound(strength, message), [batch])

    def _describe_population(self, known: scipy.sparse.csr_matrix) -> tuple[np.ndarray, np.ndarray]:
        """Averages importance and expected shares over users with a history, evenly spread."""
        rows = np.flatnonzero(np.diff(known.indptr))
        most = max(_FEWEST, _SCORES // self.num_items)
        chosen = rows[np.linspace(0, len(rows) - 1, min(len(rows), _USERS, most)).astype(int)]
        batch = max(1, min(_BATCH, _SCORES // (self.num_items * len(self.chunk_names))))
        importance = [np.zeros((0, len(self.chunk_names)), np.float32)]
        shares = [np.zeros((0, sum(self.steering.sizes)), np.float32)]
        for start in range(0, len(chosen), batch):
            user = self._users.load(chosen[start : start + batch])
            importance.append(self._profile.compute_importance(user))
            shares.append(self._profile.compute_expected_shares(user))
        count = max(1, len(chosen))
        return np.concatenate(importance).sum(axis=0) / count, (
            np.concatenate(shares).sum(axis=0) / count
        )

    def _require_items(self, item_id: Tensor) -> Tensor:
        items = self._items.lookup(item_id)
        unknown = tf.boolean_mask(item_id, items < 0)
        message = (
            f"item_id is not in the catalogue of {self.num_items:,} items, whose ids are such as "
            f"{self._example_id}. Received:"
        )
        return require(tf.reduce_all(items >= 0), message, unknown, items)


def _bound(values: Tensor, message: str) -> Tensor:
    """Returns values that are numbers within `_LARGEST`; NaN compares false."""
    fits = tf.abs(values) <= _LARGEST
    return require(tf.reduce_all(fits), message, tf.boolean_mask(values, ~fits), values)
