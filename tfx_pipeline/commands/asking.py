"""What the commands that ask a server have in common."""

from __future__ import annotations

import argparse
import contextlib
import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from addrl_keras.bins import find_bins
from tfx_pipeline import workspace
from tfx_pipeline.commands.errors import FAILURE, USAGE, CommandError
from tfx_pipeline.suggestions import list_some, suggest

# Chunks of a score that stand for no attribute, so that no item has a value there.
CHUNKS_WITHOUT_VALUES = ("residual", "memory")


def make_client(address: str, timeout: float) -> Any:
    """Makes a client. Tests put another in its place."""
    from serving.client import Client

    return Client(address, timeout=timeout)


@contextlib.contextmanager
def connect(options: argparse.Namespace) -> Iterator[Any]:
    """Yields a client; what the server refuses ends the command with one line.

    Args:
        options: With `address`, `timeout` and `preset`.

    Raises:
        CommandError: The server does not answer, or refuses.
    """
    from serving.errors import ServingError

    try:
        with make_client(options.address, options.timeout) as client:
            yield client
    except ServingError as error:
        raise _translate(error, options) from error


def _translate(error: Any, options: argparse.Namespace) -> CommandError:
    if error.code == "UNAVAILABLE":
        return CommandError(
            f"no server answers at {options.address}. Start one with `addrl serve "
            f"{options.preset}`, or name another with --address HOST:PORT."
        )
    if error.code == "DEADLINE_EXCEEDED":
        return CommandError(
            f"{options.address} gave no answer within {options.timeout:g} s. Raise --timeout, or "
            "look at the server's log."
        )
    if error.code == "NOT_FOUND":
        return CommandError(
            f"the server at {options.address} has no model ready ({error.message}). Push one with "
            f"`addrl run {options.preset}`."
        )
    is_mistake = error.code == "INVALID_ARGUMENT"
    return CommandError(_as_sentence(error.message), USAGE if is_mistake else FAILURE)


def _as_sentence(message: str) -> str:
    return message if message.endswith(".") else message + "."


def validate_names(option: str, names: Iterable[str], known: Sequence[str]) -> None:
    """Raises `CommandError` at the first name that the model does not have.

    Args:
        option: The option that holds the names.
        names: What was given.
        known: What the model has.
    """
    for name in names:
        if name not in known:
            raise CommandError(
                f"{option}: the model has no such attribute. Received: {name!r}."
                f"{suggest(name, known)} It has: {', '.join(known)}.",
                USAGE,
            )


def validate_values(
    option: str, pairs: Iterable[tuple[str, str]], known: Mapping[str, Sequence[str]]
) -> None:
    """Raises `CommandError` at the first value that its attribute does not have.

    Args:
        option: The option that holds the values.
        pairs: Names and values, as given.
        known: Values by attribute; one that is not in it is passed over.
    """
    for name, value in pairs:
        values = known.get(name, ())
        if values and value not in values:
            raise CommandError(
                f"{option}: {name} has no such value. Received: {value!r}."
                f"{_suggest_value(value, values)} It has: {list_some(values)}.",
                USAGE,
            )


def _suggest_value(value: str, known: Sequence[str]) -> str:
    """Returns the bins that a number may lie in, or else the nearest word."""
    with contextlib.suppress(ValueError):
        found = find_bins(known, float(value))
        if found:
            return f" Did you mean {' or '.join(map(repr, found))}?"
    return suggest(value, known)


def group_values(pairs: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """Groups `(name, value)` pairs into the values of each name, in the order given."""
    grouped: dict[str, list[str]] = {}
    for name, value in pairs:
        grouped.setdefault(name, []).append(value)
    return grouped


def warn(command: str, message: str) -> None:
    """Prints one line on the error stream; the command goes on."""
    print(f"addrl {command}: warning: {message}", file=sys.stderr)


def warn_of_other_versions(options: argparse.Namespace, versions: Iterable[int]) -> None:
    """Warns where the answers come from a version that the preset did not push.

    A server on the usual port may serve another preset, whose answers look just as good. Where
    neither this preset nor another has pushed the version here, the server's models lie elsewhere,
    and there is nothing to compare with.

    Args:
        options: With `command`, `address`, `preset` and `runs`.
        versions: Versions of the model that answered.
    """
    place = workspace.Workspace(options.runs, options.preset)
    pushed = place.list_versions()
    foreign = set(versions) - {*pushed, *workspace.list_versions(place.retired)}
    own = f" ({list_some(map(str, pushed))})" if pushed else ""
    for version in sorted(foreign):
        owner = workspace.find_preset(options.runs, version)
        if not pushed and not owner:
            continue
        whose = f"{owner} has pushed it" if owner else "is it another preset's?"
        warn(
            options.command,
            f"the server at {options.address} answers with version {version}, which is not one of "
            f"{options.preset}'s{own}; {whose}",
        )


def validate_history(
    options: argparse.Namespace, client: Any, history: Sequence[str] | None
) -> None:
    """Warns of unknown items of `--history`; raises `CommandError` where none is known.

    Args:
        options: With `command`.
        client: Who to ask.
        history: What was given; None where the option was not.
    """
    unknown = find_unknown(client, history or ())
    if unknown and set(unknown) == set(history or ()):
        raise CommandError(
            f"--history: no such item in the catalogue. Received: {list_some(map(repr, unknown))}. "
            "Name at least one item that the model knows.",
            USAGE,
        )
    _warn_of_unknown(options, "--history", unknown)


def check_excluded(
    options: argparse.Namespace, client: Any, excluded: Sequence[str] | None
) -> None:
    """Warns of items of `--exclude` that are not in the catalogue.

    Args:
        options: With `command`.
        client: Who to ask.
        excluded: What was given; None where the option was not.
    """
    _warn_of_unknown(options, "--exclude", find_unknown(client, excluded or ()))


def find_unknown(client: Any, ids: Sequence[str]) -> list[str]:
    """Returns the ids that are not in the catalogue, which the model passes over in silence."""
    ids = list(dict.fromkeys(ids))
    if not ids:
        return []
    # Each item of the catalogue has a score, even where the user is unknown.
    scores = client.score("", ids)
    return [item for item, score in zip(ids, scores, strict=True) if math.isnan(score)]


def _warn_of_unknown(options: argparse.Namespace, option: str, unknown: Sequence[str]) -> None:
    if unknown:
        names = list_some(map(repr, unknown))
        warn(options.command, f"{option}: not in the catalogue, so ignored. Received: {names}.")
