"""Parsing of command lines: mistakes in one line each, with what was probably meant."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, NoReturn

from tfx_pipeline.commands.errors import USAGE
from tfx_pipeline.suggestions import suggest

DEFAULT_ADDRESS = "localhost:8500"


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, and which knows no abbreviations."""

    def __init__(self, *args: Any, **settings: Any):
        # An abbreviation that works today would be ambiguous after the next new option.
        super().__init__(*args, allow_abbrev=False, **settings)
        self._is_intermixing = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parses; options and USERs may come in any order, which argparse alone does not allow."""
        if self._subparsers is not None or self._is_intermixing:
            return super().parse_known_args(args, namespace)
        self._is_intermixing = True  # It calls this method again, once for each kind.
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._is_intermixing = False

    def error(self, message: str) -> NoReturn:
        """Prints the message and where to read on; exits with 2."""
        sentence = message if message.endswith((".", "?")) else f"{message}."
        self.exit(USAGE, f"{self.prog}: {sentence} See `{self.prog} --help`.\n")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        choices = list(action.choices or ())
        if choices and value not in choices:
            raise argparse.ArgumentError(
                action,
                f"no such choice. Received: {value!r}.{suggest(value, choices)} "
                f"Choose one of {', '.join(choices)}.",
            )


def add_preset(parser: argparse.ArgumentParser) -> None:
    """Adds PRESET and the folder of runs."""
    parser.add_argument("preset", metavar="PRESET", type=preset_name, help="see `addrl presets`")
    parser.add_argument(
        "--runs", type=Path, metavar="DIR", help="folder of the runs (default: $ADDRL_RUNS or runs)"
    )


def add_repeatable(add: Any, option: str, kind: Any, metavar: str, text: str) -> None:
    """Adds an option that may be given several times; without it there is an empty list.

    Args:
        add: A parser, or a group of one.
        option: Its name.
        kind: What turns a word into a value.
        metavar: How the help names the value.
        text: What the help says.
    """
    add.add_argument(option, type=kind, action="append", default=[], metavar=metavar, help=text)


def add_address(parser: argparse.ArgumentParser) -> None:
    """Adds where the server is."""
    parser.add_argument(
        "--address",
        type=address,
        default=DEFAULT_ADDRESS,
        metavar="HOST:PORT",
        help="gRPC address of the server (default: %(default)s)",
    )
    parser.add_argument(
        "--timeout",
        type=positive_float,
        default=30.0,
        metavar="SECONDS",
        help="how long to wait for an answer (default: %(default)g)",
    )


def preset_name(text: str) -> str:
    """Returns the name of a preset or of a project in the working directory, if there is one."""
    from tfx_pipeline.configs import is_project
    from tfx_pipeline.presets import PRESETS
    from tfx_pipeline.projects import list_projects

    name = text.rstrip("/")  # As a shell completes the name of a folder.
    if name not in PRESETS and ("/" in name or not is_project(name)):
        known = sorted({*PRESETS, *list_projects()})
        raise argparse.ArgumentTypeError(
            f"no such preset. Received: {text!r}.{suggest(text, known)} "
            f"Choose one of {', '.join(known)}."
        )
    return name


def some_id(text: str) -> str:
    """Returns the id of a user or item; an empty one is mostly a shell's variable without value."""
    if not text.strip():
        raise argparse.ArgumentTypeError(f"must not be empty. Give an id. Received: {text!r}.")
    return text


def positive_int(text: str) -> int:
    """Returns a whole number of at least 1."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number above 0. Received: {text!r}.")
    return value


def positive_float(text: str) -> float:
    """Returns a finite number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number above 0. Received: {text!r}.")
    return value


def finite_float(text: str) -> float:
    """Returns a finite number."""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    # The comparison is also false for NaN.
    if not abs(value) < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number. Received: {text!r}.")
    return value


def port(text: str) -> int:
    """Returns a TCP port; 0 lets the system choose."""
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"must be a port in 0..65535. Received: {text!r}.")
    return int(text)


def address(text: str) -> str:
    """Returns `host:port`."""
    host, colon, number = text.rpartition(":")
    if not (host and colon and number.isascii() and number.isdigit() and int(number) < 65536):
        raise argparse.ArgumentTypeError(
            f"must be HOST:PORT, such as {DEFAULT_ADDRESS}. Received: {text!r}."
        )
    return text


def name_value(text: str) -> tuple[str, str]:
    """Returns the two sides of `name=value`."""
    name, equals, value = text.partition("=")
    if not (name.strip() and equals and value.strip()):
        raise argparse.ArgumentTypeError(
            f"must be NAME=VALUE, such as genre=Comedy. Received: {text!r}."
        )
    return name.strip(), value.strip()


def name_weight(text: str) -> tuple[str, float]:
    """Returns the two sides of `name=number`."""
    name, _, value = text.partition("=")
    try:
        weight = float(value)
    except ValueError:
        weight = float("nan")
    # The comparison is also false for NaN.
    if not (name.strip() and abs(weight) < float("inf")):
        raise argparse.ArgumentTypeError(
            f"must be NAME=NUMBER with a finite number, such as year=2. Received: {text!r}."
        )
    return name.strip(), weight


def id_list(text: str) -> list[str]:
    """Returns the ids of `ID,ID,...`."""
    ids = [part.strip() for part in text.split(",")]
    if not all(ids):
        raise argparse.ArgumentTypeError(f"must be ID or ID,ID,... Received: {text!r}.")
    return ids
