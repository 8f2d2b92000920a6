"""Client of the served model, over gRPC and without TensorFlow.

Example:
    with Client("127.0.0.1:8500") as client:
        answer = client.recommend("42", k=5, attribute_weights={"year": 2.0})
        for item in answer.items:
            print(item.item_id, item.score, item.contributions)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, overload

from serving.errors import ServingError
from serving.model import ModelClient
from serving.names import ContributionNames
from serving.requests import (
    Wanted,
    as_list,
    flag,
    id_rows,
    list_values,
    name_value_rows,
    strength_row,
    validate_weights,
    weight_vector,
    whole_k,
)
from serving.results import (
    Explanation,
    Profile,
    Recommendations,
    RecommendedItem,
    make_explanation,
    make_items,
    make_profile,
    make_recommendations,
)

__all__ = ["Client", "ServingError"]

# How often a question is asked anew because another version of the model took over meanwhile.
_TRIES = 3


class Client(ModelClient):
    """Asks one model on one server. Safe to share between threads; reuses one channel.

    Every call has a deadline. One user in (a `str`) gives one answer out; a sequence of users gives
    a list of answers in the same order. What is left as None is not sent, and the server fills in
    its neutral value.

    The arguments are those of `ModelClient`.
    """

    def __init__(self, address: str = "127.0.0.1:8500", timeout: float = 5.0, **settings: Any):
        super().__init__(address, timeout, **settings)
        self._names = ContributionNames(self._ask_names)

    @overload
    def recommend(self, user_id: str, k: int | None = ..., **settings: Any) -> Recommendations: ...
    @overload
    def recommend(
        self, user_id: Sequence[str], k: int | None = ..., **settings: Any
    ) -> list[Recommendations]: ...
    def recommend(  # type: ignore[misc]  # the overloads name the common arguments only
        self,
        user_id: str | Sequence[str],
        k: int | None = None,
        *,
        history_ids: Sequence[str] | Sequence[Sequence[str]] | None = None,
        exclude_ids: Sequence[str] | Sequence[Sequence[str]] | None = None,
        exclude_seen: bool | None = None,
        attribute_weights: Mapping[str, float] | None = None,
        attribute_targets: Wanted | None = None,
        attribute_filters: Wanted | None = None,
        target_strength: float | None = None,
        hold_weights: Mapping[str, float] | None = None,
        timeout: float | None = None,
    ) -> Recommendations | list[Recommendations]:
        """Recommends items to one user or to several.

        Args:
            user_id: a user, or a sequence of users. An unknown user gets a list from
                `history_ids`, or the popular items.
            k: length of the list; None for the model's default.
            history_ids: items to take as the user's history. Flat for one user (or for all alike),
                nested for one list a user.
            exclude_ids: items to leave out, in the same form.
            exclude_seen: whether to leave out what the model knows the user has.
            attribute_weights: weight of an attribute's contribution; 1 is neutral.
            attribute_targets: wanted values, `{"genre": "Comedy"}` or a list of values; they push
                items up.
            attribute_filters: required values; items without them are left out. Several values of
                one attribute mean any of them; several attributes mean all of them.
            target_strength: how much a wanted value counts, in standard deviations of the user's
                scores; None for the model's own.
            hold_weights: weight of a contribution among the items that have a wanted value, 1 by
                default; `Profile.hold_weights` has those that keep the rest of a list most like
                before, and `serving.requests.combine_holds` those for several attributes.
            timeout: seconds for this call; None for the client's own.

        Returns:
            One `Recommendations`, or a list of them for a sequence of users.

        Raises:
            ServingError: INVALID_ARGUMENT names an unknown attribute or value, an attribute whose
                values are an empty list, a weight or strength that is no finite number or a bad k;
                UNAVAILABLE and DEADLINE_EXCEEDED say that the server did not answer; ABORTED, that
                one version of the model after another took over meanwhile.
        """
        users = as_list("user_id", user_id)
        given = {
            "user_id": users,
            "k": whole_k(k),
            "history_ids": id_rows("history_ids", history_ids, len(users)),
            "exclude_ids": id_rows("exclude_ids", exclude_ids, len(users)),
            "exclude_seen": flag("exclude_seen", exclude_seen),
            "attribute_targets": name_value_rows(
                "attribute_targets", attribute_targets, len(users)
            ),
            "attribute_filters": name_value_rows(
                "attribute_filters", attribute_filters, len(users)
            ),
            "target_strength": strength_row(target_strength, len(users)),
        }
        weights = {"attribute_weights": attribute_weights, "hold_weights": hold_weights}
        outputs, version = self._predict_weighted("recommend", given, weights, len(users), timeout)
        answers = [
            make_recommendations(user, row, outputs, version) for row, user in enumerate(users)
        ]
        return answers[0] if isinstance(user_id, str) else answers

    @overload
    def explain(self, user_id: str, item_id: str, **settings: Any) -> Explanation: ...
    @overload
    def explain(
        self, user_id: Sequence[str], item_id: Sequence[str], **settings: Any
    ) -> list[Explanation]: ...
    def explain(  # type: ignore[misc]  # the overloads name the common arguments only
        self,
        user_id: str | Sequence[str],
        item_id: str | Sequence[str],
        *,
        history_ids: Sequence[str] | Sequence[Sequence[str]] | None = None,
        attribute_weights: Mapping[str, float] | None = None,
        attribute_targets: Wanted | None = None,
        target_strength: float | None = None,
        hold_weights: Mapping[str, float] | None = None,
        timeout: float | None = None,
    ) -> Explanation | list[Explanation]:
        """Explains the score of an item for a user, or of pairs of both.

        What a list was asked for with, its explanations are asked for with: then the score is that
        of the list.

        Args:
            user_id: a user, or a sequence of users.
            item_id: an item, or one item for each of the users.
            history_ids: items to take as the user's history, as in `recommend`, like the others.
            attribute_weights: weight of an attribute's contribution.
            attribute_targets: wanted values.
            target_strength: how much a wanted value counts.
            hold_weights: weight of a contribution among the items that have a wanted value.
            timeout: seconds for this call; None for the client's own.

        Returns:
            One `Explanation`, or a list of them.

        Raises:
            ServingError: INVALID_ARGUMENT names an item that is not in the catalogue, an unknown
                attribute or value, one whose values are an empty list, or a weight or strength
                that is no finite number; FAILED_PRECONDITION says that the served version is
                older than reasons with weights and wishes; ABORTED, that one version of the model
                after another took over meanwhile.
        """
        users, items = as_list("user_id", user_id), as_list("item_id", item_id)
        if len(users) != len(items):
            raise ServingError(
                "INVALID_ARGUMENT",
                "explain needs one item for each user. "
                f"Received: {len(users)} users and {len(items)} items.",
            )
        wanted = list_values("attribute_targets", attribute_targets)
        given = {
            "user_id": users,
            "item_id": items,
            "history_ids": id_rows("history_ids", history_ids, len(users)),
            "attribute_targets": name_value_rows("attribute_targets", wanted, len(users)),
            "target_strength": strength_row(target_strength, len(users)),
        }
        weights = {"attribute_weights": attribute_weights, "hold_weights": hold_weights}
        try:
            outputs, version = self._predict_weighted(
                "explain", given, weights, len(users), timeout
            )
        except ServingError as error:
            steered = wanted or any(weights.values()) or target_strength is not None
            if error.code == "INVALID_ARGUMENT" and steered:
                self._require_steered_reasons()
            raise
        answers = [
            make_explanation(user, item, row, outputs, version, wanted)
            for row, (user, item) in enumerate(zip(users, items, strict=True))
        ]
        return answers[0] if isinstance(user_id, str) else answers

    @overload
    def profile(self, user_id: str, **settings: Any) -> Profile: ...
    @overload
    def profile(self, user_id: Sequence[str], **settings: Any) -> list[Profile]: ...
    def profile(  # type: ignore[misc]  # the overloads name the common arguments only
        self,
        user_id: str | Sequence[str],
        *,
        history_ids: Sequence[str] | Sequence[Sequence[str]] | None = None,
        timeout: float | None = None,
    ) -> Profile | list[Profile]:
        """Describes what drives a user: attributes, and the values of each.

        Args:
            user_id: a user, or a sequence of users.
            history_ids: items to take as the user's history, as in `recommend`.
            timeout: seconds for this call; None for the client's own.

        Returns:
            One `Profile`, or a list of them.

        Raises:
            ServingError: the server refused or did not answer.
        """
        users = as_list("user_id", user_id)
        given = {
            "user_id": users,
            "history_ids": id_rows("history_ids", history_ids, len(users)),
        }
        outputs, version = self.predict("profile", given, timeout=timeout)
        answers = [make_profile(user, row, outputs, version) for row, user in enumerate(users)]
        return answers[0] if isinstance(user_id, str) else answers

    @overload
    def similar_items(
        self, item_id: str, k: int | None = ..., **settings: Any
    ) -> list[RecommendedItem]: ...
    @overload
    def similar_items(
        self, item_id: Sequence[str], k: int | None = ..., **settings: Any
    ) -> list[list[RecommendedItem]]: ...
    def similar_items(  # type: ignore[misc]  # the overloads name the common arguments only
        self,
        item_id: str | Sequence[str],
        k: int | None = None,
        *,
        attribute_weights: Mapping[str, float] | None = None,
        timeout: float | None = None,
    ) -> list[RecommendedItem] | list[list[RecommendedItem]]:
        """Lists the items most like an item, by the attributes that are asked for.

        Args:
            item_id: an item, or a sequence of items.
            k: length of the list; None for the model's default.
            attribute_weights: weight of each attribute in the likeness; 1 is neutral.
            timeout: seconds for this call; None for the client's own.

        Returns:
            The items, best first; a list of lists for a sequence of items.

        Raises:
            ServingError: INVALID_ARGUMENT names an item that is not in the catalogue; ABORTED says
                that one version of the model after another took over meanwhile.
        """
        items = as_list("item_id", item_id)
        given = {"item_id": items, "k": whole_k(k)}
        weights = {"attribute_weights": attribute_weights}
        outputs, _ = self._predict_weighted("similar_items", given, weights, len(items), timeout)
        names = outputs["contribution_names"]
        answers = [make_items(row, outputs, names) for row in range(len(items))]
        return answers[0] if isinstance(item_id, str) else answers

    @overload
    def score(  # type: ignore[overload-overlap]  # a str is a Sequence[str] to mypy
        self, user_id: str, item_ids: Sequence[str], *, timeout: float | None = ...
    ) -> list[float]: ...
    @overload
    def score(
        self,
        user_id: Sequence[str],
        item_ids: Sequence[Sequence[str]],
        *,
        timeout: float | None = ...,
    ) -> list[list[float]]: ...
    def score(
        self,
        user_id: str | Sequence[str],
        item_ids: Sequence[str] | Sequence[Sequence[str]],
        *,
        timeout: float | None = None,
    ) -> list[float] | list[list[float]]:
        """Scores given candidates for a user; NaN for an item that is not in the catalogue.

        Args:
            user_id: a user, or a sequence of users.
            item_ids: the candidates; for a sequence of users, one list a user.
            timeout: seconds for this call; None for the client's own.

        Returns:
            One score a candidate, in the order given.

        Raises:
            ServingError: the server refused or did not answer.
        """
        users = as_list("user_id", user_id)
        rows = id_rows("item_ids", item_ids, len(users)) or []
        outputs, _ = self.predict("score", {"user_id": users, "item_ids": rows}, timeout=timeout)
        if isinstance(user_id, str):
            return outputs["scores"][0]
        flat = all(isinstance(candidates, str) for candidates in item_ids)
        sizes = [len(item_ids)] * len(users) if flat else [len(row) for row in item_ids]
        return [row[:size] for row, size in zip(outputs["scores"], sizes, strict=True)]

    def contribution_names(self, refresh: bool = False) -> tuple[str, ...]:
        """Returns the names of the contributions, in the order the model adds them up.

        Asked from the server once and kept.

        Args:
            refresh: whether to ask again.

        Returns:
            The attributes in configured order, then `residual` and `memory` where the model has
            them.

        Raises:
            ServingError: the server refused or did not answer.
        """
        return self._names.get_newest(refresh)

    def _require_steered_reasons(self) -> None:
        """Raises where the served version explains nothing but neutral scores."""
        signature = self.metadata().get("explain")
        if signature is not None and "attribute_weights" not in signature.inputs:
            raise ServingError(
                "FAILED_PRECONDITION",
                "the served version is older than reasons with weights and wishes. Ask without "
                "them, or push a version that was trained since.",
            )

    def _ask_names(self) -> tuple[tuple[str, ...], int]:
        outputs, version = self.predict(
            "recommend", {"user_id": [""], "k": 1}, ["contribution_names"]
        )
        return tuple(outputs["contribution_names"]), version

    def _predict_weighted(
        self,
        signature: str,
        given: Mapping[str, Any],
        weights: Mapping[str, Mapping[str, float] | None],
        batch: int,
        timeout: float | None,
    ) -> tuple[dict[str, Any], int]:
        """Calls a signature with weights given by name; the answer has its `contribution_names`.

        The order of the vector belongs to one version of the model. When another version with
        other chunks answers (or refuses the vector's length), the names are learnt again and the
        question is asked again.
        """
        for argument, named in weights.items():
            validate_weights(argument, named)
        wanted = {argument: named for argument, named in weights.items() if named}
        refresh = False
        for _ in range(_TRIES):
            names, rows = None, dict(given)
            if wanted:
                names = self._names.get_newest(refresh)
                vectors = {
                    argument: weight_vector(argument, named, names, last=refresh)
                    for argument, named in wanted.items()
                }
                refresh = None in vectors.values()
                if refresh:
                    continue
                rows |= {argument: [vector] * batch for argument, vector in vectors.items()}
            try:
                outputs, version = self.predict(signature, rows, timeout=timeout)
            except ServingError as error:
                if names is None or error.code != "INVALID_ARGUMENT":
                    raise
                if self._names.get_newest(refresh=True) == names:
                    raise
                continue
            answered = self._names.find(outputs, version)
            if answered is not None and names in (None, answered):
                return {**outputs, "contribution_names": answered}, version
        raise ServingError(
            "ABORTED",
            f"the version of {self.model_name} that answers changed {_TRIES} times during one "
            "call. Ask again; give the client a version or a label if it goes on.",
        )
