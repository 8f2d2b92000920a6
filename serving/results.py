"""What the client returns: plain dataclasses of plain Python values."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any


@dataclasses.dataclass(frozen=True)
class RecommendedItem:
    """One row of a list.

    Attributes:
        item_id: the item.
        score: what the list is ordered by.
        contributions: what each attribute (and `residual`, `memory`) adds; they sum to the score.
        attribute_values: the item's value of each attribute, "" where it is unknown.
        lifts: each contribution beyond its average over the catalogue: what speaks for this item
            more than for others. They sum to the score less the average score.
    """

    item_id: str
    score: float
    contributions: Mapping[str, float]
    attribute_values: Mapping[str, str] = dataclasses.field(default_factory=dict)
    lifts: Mapping[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Recommendations:
    """The list of one user.

    Attributes:
        user_id: who asked.
        source: `user` (known), `history` (the ids sent along) or `prior` (popularity).
        items: best first; fewer than k when filters and exclusions leave fewer.
        model_version: the version that answered.
    """

    user_id: str
    source: str
    items: Sequence[RecommendedItem]
    model_version: int

    def as_dict(self) -> dict[str, Any]:
        """Returns the same as nested dicts and lists, ready for `json.dumps`."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class Evidence:
    """A past item that argues for a recommendation.

    Attributes:
        item_id: the item of the history.
        contribution: its whole share of the score.
        contributions: that share by attribute.
    """

    item_id: str
    contribution: float
    contributions: Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class ItemValue:
    """What an item is in one attribute, and how often its user and the catalogue have that.

    Attributes:
        value: its values, joined by `|`.
        typical: that of them which most of the user's history has.
        history_share: how much of the history has it, of what has a known value.
        catalogue_share: how much of the catalogue has it, likewise.
    """

    value: str
    typical: str
    history_share: float
    catalogue_share: float


@dataclasses.dataclass(frozen=True)
class Explanation:
    """Why one item has the score it has for one user.

    Attributes:
        user_id: the user.
        item_id: the item.
        score: its score.
        contributions: what each attribute adds; they sum to the score.
        lifts: each contribution beyond its average over the catalogue.
        values: what the item is, by attribute; without the attributes where that is unknown.
        modality_weights: per attribute, how much of the item's chunk is which modality's; all 0
            where it has none.
        evidence: the user's past items, strongest first; what they contribute sums, with
            `target_contributions`, to the score (but for the popularity prior, for an embedding of
            the user's own, and by the paper's recipe, whose contributions are no sums over a
            history).
        model_version: the version that answered.
        targets: the values that were wanted, by attribute.
        target_contributions: what of each contribution is due to them and to no past item.
    """

    user_id: str
    item_id: str
    score: float
    contributions: Mapping[str, float]
    lifts: Mapping[str, float]
    values: Mapping[str, ItemValue]
    modality_weights: Mapping[str, Mapping[str, float]]
    evidence: Sequence[Evidence]
    model_version: int
    targets: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    target_contributions: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Returns the same as nested dicts and lists, ready for `json.dumps`."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class ValuePreference:
    """What a user thinks of one value of an attribute.

    Attributes:
        value: the value.
        affinity: what having it adds to an item's score, beyond the attribute's average.
        expected_share: how much of what the user takes next should have it.
        usual_share: the same, averaged over known users.
        history_share: how much of the user's history has it, of what has a known value.
        catalogue_share: how much of the catalogue has it, likewise.
    """

    value: str
    affinity: float
    expected_share: float
    usual_share: float
    history_share: float
    catalogue_share: float


@dataclasses.dataclass(frozen=True)
class Profile:
    """What drives a user.

    Attributes:
        user_id: the user.
        source: as in `Recommendations`.
        importance: by chunk, its share in how the user's scores differ; they sum to 1.
        population: the same, averaged over known users.
        preferences: by attribute its values, first those that the user should take more often than
            others do.
        hold_weights: by attribute, the weights that keep the rest of a list most like before while
            a value of that attribute is wanted.
        model_version: the version that answered.
    """

    user_id: str
    source: str
    importance: Mapping[str, float]
    population: Mapping[str, float]
    preferences: Mapping[str, Sequence[ValuePreference]]
    hold_weights: Mapping[str, Mapping[str, float]]
    model_version: int

    def as_dict(self) -> dict[str, Any]:
        """Returns the same as nested dicts and lists, ready for `json.dumps`."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class VersionStatus:
    """The state of one version of the model on the server.

    Attributes:
        version: the number that names its folder.
        state: `START`, `LOADING`, `AVAILABLE`, `UNLOADING` or `END`.
        error_code: name of the status code, `OK` when nothing went wrong.
        error_message: what went wrong.
    """

    version: int
    state: str
    error_code: str
    error_message: str


# ModelVersionStatus.State of TensorFlow Serving.
STATE_NAMES = {
    0: "UNKNOWN",
    10: "START",
    20: "LOADING",
    30: "AVAILABLE",
    40: "UNLOADING",
    50: "END",
}


def make_recommendations(
    user_id: str, row: int, outputs: Mapping[str, Any], model_version: int
) -> Recommendations:
    """Builds one user's list out of the decoded outputs of `recommend`.

    Args:
        user_id: who asked.
        row: position of the user in the batch.
        outputs: decoded outputs of the signature.
        model_version: the version that answered.
    """
    names = outputs["contribution_names"]
    items = make_items(row, outputs, names)
    return Recommendations(user_id, outputs["source"][row], items, model_version)


def make_items(row: int, outputs: Mapping[str, Any], names: Sequence[str]) -> list[RecommendedItem]:
    """Builds the items of one row, without the padding that ends a short list."""
    # Names come in configured order with the attributes first: the first A name the values.
    values, averages = outputs.get("attribute_values"), outputs.get("average_contributions")
    return [
        RecommendedItem(
            item_id,
            outputs["scores"][row][position],
            dict(zip(names, outputs["contributions"][row][position], strict=True)),
            dict(zip(names, values[row][position])) if values else {},  # noqa: B905
            _subtract(names, outputs["contributions"][row][position], averages[row])
            if averages
            else {},
        )
        for position, item_id in enumerate(outputs["item_ids"][row])
        if item_id
    ]


def make_explanation(
    user_id: str,
    item_id: str,
    row: int,
    outputs: Mapping[str, Any],
    model_version: int,
    targets: Mapping[str, Sequence[str]] | None = None,
) -> Explanation:
    """Builds one explanation out of the decoded outputs of `explain`.

    Args:
        user_id: who asked.
        item_id: about which item.
        row: position of the pair in the batch.
        outputs: decoded outputs of the signature.
        model_version: the version that answered.
        targets: the values that were wanted, by attribute.
    """
    names = outputs["contribution_names"]
    modalities = outputs["modality_names"]
    weights = {
        name: dict(zip(modalities, chunk, strict=True))
        for name, chunk in zip(names, outputs["modality_weights"][row], strict=True)
    }
    evidence = [
        Evidence(past_id, sum(shares), dict(zip(names, shares, strict=True)))
        for past_id, shares in zip(
            outputs["evidence_ids"][row], outputs["evidence_contributions"][row], strict=True
        )
        if past_id
    ]
    contributions = outputs["contributions"][row]
    # A version that was pushed before there were averages says less.
    averages = outputs.get("average_contributions")
    lifts = _subtract(names, contributions, averages[row] if averages else [0.0] * len(names))
    added = outputs.get("target_contributions")
    return Explanation(
        user_id,
        item_id,
        outputs["score"][row],
        dict(zip(names, outputs["contributions"][row], strict=True)),
        lifts,
        _make_values(names, row, outputs),
        weights,
        evidence,
        model_version,
        dict(targets or {}),
        dict(zip(names, added[row], strict=True)) if added else {},
    )


def make_profile(user_id: str, row: int, outputs: Mapping[str, Any], model_version: int) -> Profile:
    """Builds one profile out of the decoded outputs of `profile`."""
    names = outputs["contribution_names"]
    preferences: dict[str, list[ValuePreference]] = {
        name: [] for name in names[: len(outputs["hold_weights"])]
    }
    columns = (
        outputs["value_affinities"][row],
        outputs["value_expected_shares"][row],
        outputs["population_expected_shares"],
        outputs["value_history_shares"][row],
        outputs["value_catalogue_shares"],
    )
    for key, *numbers in zip(outputs["value_names"], *columns, strict=True):
        # A name has no "=", a value may.
        name, _, value = key.partition("=")
        preferences[name].append(ValuePreference(value, *numbers))
    for values in preferences.values():
        values.sort(key=lambda each: each.usual_share - each.expected_share)
    return Profile(
        user_id,
        outputs["source"][row],
        dict(zip(names, outputs["importance"][row], strict=True)),
        dict(zip(names, outputs["population_importance"], strict=True)),
        preferences,
        {
            name: dict(zip(names, weights, strict=True))
            for name, weights in zip(preferences, outputs["hold_weights"], strict=True)
        },
        model_version,
    )


def _subtract(
    names: Sequence[str], numbers: Sequence[float], averages: Sequence[float]
) -> dict[str, float]:
    return {
        name: number - average
        for name, number, average in zip(names, numbers, averages, strict=True)
    }


def _make_values(
    names: Sequence[str], row: int, outputs: Mapping[str, Any]
) -> dict[str, ItemValue]:
    columns = ("attribute_values", "typical_values", "history_shares", "catalogue_shares")
    if not all(column in outputs for column in columns):
        return {}
    rows = zip(*(outputs[column][row] for column in columns), strict=True)
    # Names come with the attributes first.
    return {
        name: ItemValue(*parts)
        for name, parts in zip(names, rows)  # noqa: B905
        if parts[0]
    }
