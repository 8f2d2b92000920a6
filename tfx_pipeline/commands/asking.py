"""What the commands that ask a server have in common."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tfx_pipeline.commands.errors import FAILURE, USAGE, CommandError
from tfx_pipeline.commands.parser import suggest

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


def group_values(pairs: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """Groups `(name, value)` pairs into the values of each name, in the order given."""
    grouped: dict[str, list[str]] = {}
    for name, value in pairs:
        grouped.setdefault(name, []).append(value)
    return grouped
