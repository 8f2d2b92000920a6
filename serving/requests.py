"""Turns what a caller names into the rows that the signatures take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from serving.errors import ServingError
from serving.tensors import pad_rows

Wanted = Mapping[str, str | Sequence[str]]


def as_list(value: str | Sequence[str]) -> list[str]:
    """Returns one name as a list of one, several as they are."""
    return [value] if isinstance(value, str) else list(value)


def id_rows(
    name: str, ids: Sequence[str] | Sequence[Sequence[str]] | None, batch: int
) -> list[list[str]] | None:
    """Returns one padded row a user; a flat list counts for each user."""
    if ids is None:
        return None
    if isinstance(ids, str):
        raise ServingError(
            "INVALID_ARGUMENT", f"{name} must be a list of ids. Received: {ids!r}. Use [{ids!r}]."
        )
    rows = [list(ids)] * batch if all(isinstance(value, str) for value in ids) else list(ids)
    if len(rows) != batch:
        raise ServingError(
            "INVALID_ARGUMENT",
            f"{name} must have one list a user. Received: {len(rows)} lists for {batch} users.",
        )
    return pad_rows(rows)  # type: ignore[arg-type]


def name_value_rows(wanted: Wanted | None, batch: int) -> list[list[str]] | None:
    """Returns `name=value` strings, the same for each user."""
    if not wanted:
        return None
    row = [f"{name}={value}" for name, values in wanted.items() for value in as_list(values)]
    return [row] * batch


def weight_vector(
    weights: Mapping[str, float], names: Sequence[str], last: bool
) -> list[float] | None:
    """Returns the weights in the model's order, None to ask for newer names first."""
    unknown = sorted(set(weights) - set(names))
    if unknown and not last:
        return None
    if unknown:
        raise ServingError(
            "INVALID_ARGUMENT",
            f"unknown attribute in attribute_weights. Received: {', '.join(unknown)}. "
            f"The model has: {', '.join(names)}.",
        )
    return [float(weights.get(name, 1.0)) for name in names]
