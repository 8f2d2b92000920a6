"""`addrl serve`: the local server on what a preset has pushed."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from tfx_pipeline import workspace
from tfx_pipeline.commands import parser
from tfx_pipeline.commands.errors import CommandError


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Adds the command."""
    add = subparsers.add_parser(
        "serve",
        help="serve the newest pushed model on this machine",
        description="Starts the local server, which takes up new versions as they are pushed.",
    )
    parser.add_preset(add)
    add.add_argument(
        "--port", type=parser.port, default=8500, help="of gRPC; 0 picks one (default: 8500)"
    )
    add.add_argument(
        "--rest-port", type=parser.port, default=8501, help="of REST; 0 picks one (default: 8501)"
    )
    add.add_argument("--host", default="127.0.0.1", help="address to bind (default: %(default)s)")
    return add


def run(options: argparse.Namespace) -> int:
    """Runs the command: becomes the server, so that signals reach it directly."""
    place = workspace.Workspace(options.runs, options.preset)
    if not place.list_versions():
        raise CommandError(
            f"{place.serving} holds no pushed version. Push one with `addrl run {options.preset}`."
        )
    command = [
        *make_command(place),
        f"--host={options.host}",
        f"--port={options.port}",
        f"--rest_api_port={options.rest_port}",
    ]
    sys.stdout.flush()
    os.execv(command[0], command)


def make_command(place: workspace.Workspace) -> list[str]:
    """Makes the command line of a server on a preset's pushed versions, without its ports."""
    return [sys.executable, "-m", "serving.server", f"--model_base_path={place.serving.absolute()}"]
