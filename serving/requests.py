"""Turns what a caller names into the rows that the signatures take.

What has the wrong type is refused here, with the name of the argument: the server would only see a
tensor that it cannot read.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from serving.errors import ServingError
from serving.tensors import pad_rows

Wanted = Mapping[str, str | Sequence[str]]

# The signatures take k as int32.
_LARGEST_K = 2**31 - 1
# And numbers as float32.
_LARGEST_FLOAT = 3.4028234663852886e38
# A longer value would bury the message.
_LONGEST_VALUE = 80


def as_list(name: str, value: str | Sequence[str]) -> list[str]:
    """Returns one string as a list of one, several as they are.

    Args:
        name: the argument, for the message.
        value: what the caller gave.

    Raises:
        ServingError: INVALID_ARGUMENT, for anything else.
    """
    if isinstance(value, str):
        values = [value]
    elif isinstance(value, bytes | Mapping) or not isinstance(value, Iterable):
        raise _make_refusal(name, "a str or a sequence of str", value)
    else:
        values = list(value)
    for text in values:
        _validate_text(name, text)
    return values


def whole_k(k: Any) -> int | None:
    """Returns k as an int; which of them the model can answer, only the server knows.

    Raises:
        ServingError: INVALID_ARGUMENT, for what is no whole number or does not fit into int32.
    """
    if k is None:
        return None
    number = read_whole(k)
    if number is None or abs(number) > _LARGEST_K:
        raise _make_refusal("k", f"a whole number in 1..{_LARGEST_K}", k)
    return number


def flag(name: str, value: Any) -> bool | None:
    """Returns whether something is asked for; words such as "no" would count as yes.

    Raises:
        ServingError: INVALID_ARGUMENT, for what is no truth value.
    """
    if value is None:
        return None
    # NumPy has types of its own.
    if type(value).__name__ in ("bool", "bool_"):
        return bool(value)
    raise _make_refusal(name, "True or False", value)


def id_rows(
    name: str, ids: Sequence[str] | Sequence[Sequence[str]] | None, batch: int
) -> list[list[str]] | None:
    """Returns one padded row a user; a flat list counts for each user.

    Args:
        name: the argument, for the message.
        ids: a list of ids, or one list a user.
        batch: number of users.

    Raises:
        ServingError: INVALID_ARGUMENT, for another form or another number of lists.
    """
    if ids is None:
        return None
    if isinstance(ids, str):
        raise ServingError(
            "INVALID_ARGUMENT", f"{name} must be a list of ids. Received: {ids!r}. Use [{ids!r}]."
        )
    if isinstance(ids, bytes | Mapping) or not isinstance(ids, Iterable):
        raise _make_refusal(name, "a list of ids or one list of ids a user", ids)
    given: list[Any] = list(ids)
    is_flat = all(isinstance(value, str) for value in given)
    if not is_flat and any(isinstance(row, str) for row in given):
        raise _make_refusal(name, "either a list of ids or one list of ids a user", ids)
    rows = [as_list(name, row) for row in ([given] * batch if is_flat else given)]
    if len(rows) != batch:
        raise ServingError(
            "INVALID_ARGUMENT",
            f"{name} must have one list a user. Received: {len(rows)} lists for {batch} users.",
        )
    return pad_rows(rows)


def name_value_rows(argument: str, wanted: Wanted | None, batch: int) -> list[list[str]] | None:
    """Returns `name=value` strings, the same for each user.

    Args:
        argument: the argument, for the message.
        wanted: a value or several by attribute.
        batch: number of users.

    Raises:
        ServingError: INVALID_ARGUMENT, as of `list_values`.
    """
    by_name = list_values(argument, wanted)
    row = [f"{name}={value}" for name, values in by_name.items() for value in values]
    return [row] * batch if row else None


def list_values(argument: str, wanted: Wanted | None) -> dict[str, list[str]]:
    """Returns the values of each attribute, a single one as a list of one; nothing of None.

    Args:
        argument: the argument, for the message.
        wanted: a value or several by attribute.

    Raises:
        ServingError: INVALID_ARGUMENT, for what is no mapping to strings, and for an attribute
            without a value, which would be no wish and no filter at all.
    """
    if wanted is None:
        return {}
    _validate_mapping(argument, wanted, "an attribute to a value or a list of values")
    by_name = {name: as_list(f"{argument}[{name!r}]", values) for name, values in wanted.items()}
    for name, values in by_name.items():
        if not values:
            allowed = f"a value or several (leave {name!r} out where all are welcome)"
            raise _make_refusal(f"{argument}[{name!r}]", allowed, values)
    return by_name


def strength_row(strength: Any, batch: int) -> list[float] | None:
    """Returns how much wanted values count, the same for each user.

    Raises:
        ServingError: INVALID_ARGUMENT, for what is no finite number.
    """
    return None if strength is None else [_require_number("target_strength", strength)] * batch


def combine_holds(
    wanted: Iterable[str], hold_weights: Mapping[str, Mapping[str, float]]
) -> dict[str, float]:
    """Returns the weights that hold a list while values of some attributes are wanted.

    Args:
        wanted: the attributes of which a value is wanted.
        hold_weights: by attribute, as in `Profile`.

    Returns:
        The weights that are not 1: of several attributes' the geometric mean, and of what is
        wanted none.
    """
    rows = {name: hold_weights[name] for name in wanted if name in hold_weights}
    combined = {
        chunk: math.prod(row[chunk] for row in rows.values()) ** (1 / len(rows))
        for chunk in next(iter(rows.values()), {})
        if chunk not in rows
    }
    return {chunk: weight for chunk, weight in combined.items() if weight != 1}


def validate_weights(argument: str, weights: Any) -> None:
    """Raises unless the weights are finite numbers by name; None is no weights.

    Raises:
        ServingError: INVALID_ARGUMENT.
    """
    if weights is None:
        return
    _validate_mapping(argument, weights, "an attribute to a number")
    for name, weight in weights.items():
        _require_number(f"{argument}[{name!r}]", weight)


def weight_vector(
    argument: str, weights: Mapping[str, float], names: Sequence[str], last: bool
) -> list[float] | None:
    """Returns the weights in the model's order, None to ask for newer names first."""
    unknown = sorted(set(weights) - set(names))
    if unknown and not last:
        return None
    if unknown:
        raise ServingError(
            "INVALID_ARGUMENT",
            f"unknown attribute in {argument}. Received: {', '.join(unknown)}. "
            f"The model has: {', '.join(names)}.",
        )
    return [float(weights.get(name, 1.0)) for name in names]


def read_whole(value: Any) -> int | None:
    """Returns a whole number as an int, None for anything else."""
    # True counts as 1 in Python, and is a slip here.
    if isinstance(value, bool):
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None


def read_number(value: Any) -> float | None:
    """Returns a number as a float, an infinity if it is too large; None for anything else."""
    # Python reads these as numbers, where they are slips.
    if isinstance(value, bool | str | bytes):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf
    except (TypeError, ValueError):
        return None


def _require_number(name: str, value: Any) -> float:
    number = read_number(value)
    if number is None:
        raise _make_refusal(name, "a number", value)
    # How large a weight may be is the server's to say, but it would quote an infinity.
    if not abs(number) <= _LARGEST_FLOAT:
        raise _make_refusal(name, "a finite number that fits into float32", value)
    return number


def _validate_mapping(name: str, value: Any, of_what: str) -> None:
    if not isinstance(value, Mapping):
        raise _make_refusal(name, f"a mapping of {of_what}", value)
    for key in value:
        if not isinstance(key, str):
            raise _make_refusal(f"a name in {name}", "a str", key)
        _validate_text(name, key)


def _validate_text(name: str, text: Any) -> None:
    if not isinstance(text, str):
        raise _make_refusal(f"each value of {name}", "a str", text)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _make_refusal(name, "text that UTF-8 can encode", text) from None


def _make_refusal(name: str, allowed: str, value: Any) -> ServingError:
    try:
        # Not `repr`: what cannot be encoded cannot be printed either.
        shown = ascii(value)
    except ValueError:  # Python does not write out integers of thousands of digits.
        shown = f"{type(value).__name__} of too many digits"
    if len(shown) > _LONGEST_VALUE:
        shown = shown[: _LONGEST_VALUE - 3] + "..."
    return ServingError("INVALID_ARGUMENT", f"{name} must be {allowed}. Received: {shown}.")
