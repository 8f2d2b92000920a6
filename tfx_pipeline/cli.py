"""The command line, `addrl`: train, serve, ask, explain, roll back.

Nothing heavy is imported before a command needs it, so that `--help` and every mistake are answered
at once. Exit codes: 0 done, 1 failed, 2 wrong command line, 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tfx_pipeline import commands
from tfx_pipeline.commands.errors import CommandError
from tfx_pipeline.commands.parser import Parser
from tfx_pipeline.suggestions import suggest

DESCRIPTION = "Attribute-driven recommendation: train it, serve it, ask it and steer it."
EPILOG = """\
environment:
  ADDRL_RUNS    folder of the runs (default: runs)
  ADDRL_CACHE   folder that keeps fetched data (default: ~/.cache/addrl)
  NO_COLOR      set to anything for output without colour
"""


def make_parser(environment: Mapping[str, str]) -> Parser:
    """Makes the parser of all commands.

    Args:
        environment: Where the defaults of folders come from. It is read here and nowhere else.
    """
    parser = Parser(
        prog="addrl",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    runs = Path(environment.get("ADDRL_RUNS") or "runs")
    cache = Path(environment.get("ADDRL_CACHE") or Path.home() / ".cache" / "addrl")
    for module in commands.MODULES:
        subparser = module.add_parser(subparsers)
        subparser.add_argument(
            "--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS
        )
        subparser.set_defaults(run=module.run, parser=subparser, cache=cache)
        if subparser.get_default("runs") is None:
            subparser.set_defaults(runs=runs)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: Command line without the program's name; None for the process's own.

    Returns:
        The exit code.
    """
    parser = make_parser(os.environ)
    options = None
    try:
        options, unknown = parser.parse_known_args(argv)
        if unknown:
            options.parser.error(_describe_unknown(options.parser, unknown))
        _prepare_libraries()
        return int(options.run(options) or 0)
    except SystemExit as stop:  # argparse after --help or a mistake
        return stop.code if isinstance(stop.code, int) else 1
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read the output, such as `head`, has enough. What is still buffered must not be
        # written when the interpreter ends, or it would complain after all.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if options is None or options.debug:  # In parsing itself only a mistake of ours fails.
            raise
        return _report(options.command, error)


def _describe_unknown(parser: argparse.ArgumentParser, unknown: Sequence[str]) -> str:
    known = [option for action in parser._actions for option in action.option_strings]
    first = unknown[0].split("=")[0]
    hint = suggest(first, known) if first.startswith("-") else ""
    return f"unknown argument. Received: {' '.join(unknown)!r}.{hint}"


def _prepare_libraries() -> None:
    """Sets what TensorFlow and its friends read from the environment when they are imported."""
    # tensorflow-recommenders does not work without it; see docs/architecture.md.
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")


def _report(command: str, error: Exception) -> int:
    """Prints an error for people; returns the exit code."""
    if isinstance(error, CommandError):
        print(f"addrl {command}: {error}", file=sys.stderr)
        return error.exit_code
    from tfx_pipeline.datasets.errors import DataError

    if isinstance(error, DataError):
        print(f"addrl {command}: {error}", file=sys.stderr)
        return 1
    # What the libraries of this project raise is written for people too.
    expected = isinstance(error, ValueError | OSError)
    what = str(error) if expected else f"unexpected {type(error).__name__}: {error}"
    print(f"addrl {command}: {what}", file=sys.stderr)
    print(f"For the traceback: addrl --debug {command} ...", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
