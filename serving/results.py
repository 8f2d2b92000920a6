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
    """

    item_id: str
    score: float
    contributions: Mapping[str, float]
    attribute_values: Mapping[str, str] = dataclasses.field(default_factory=dict)


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
class Explanation:
    """Why one item has the score it has for one user.

    Attributes:
        user_id: the user.
        item_id: the item.
        score: its score.
        contributions: what each attribute adds; they sum to the score.
        modality_weights: per attribute, how much each modality of the item speaks in it.
        evidence: the past items that argue most for it, strongest first.
        model_version: the version that answered.
    """

    user_id: str
    item_id: str
    score: float
    contributions: Mapping[str, float]
    modality_weights: Mapping[str, Mapping[str, float]]
    evidence: Sequence[Evidence]
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
    values = outputs.get("attribute_values")
    return [
        RecommendedItem(
            item_id,
            outputs["scores"][row][position],
            dict(zip(names, outputs["contributions"][row][position], strict=True)),
            dict(zip(names, values[row][position])) if values else {},  # noqa: B905
        )
        for position, item_id in enumerate(outputs["item_ids"][row])
        if item_id
    ]


def make_explanation(
    user_id: str, item_id: str, row: int, outputs: Mapping[str, Any], model_version: int
) -> Explanation:
    """Builds one explanation out of the decoded outputs of `explain`."""
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
    return Explanation(
        user_id,
        item_id,
        outputs["score"][row],
        dict(zip(names, outputs["contributions"][row], strict=True)),
        weights,
        evidence,
        model_version,
    )
