"""`addrl rollback`: takes the newest version out of service."""

from __future__ import annotations

import argparse
from typing import Any

from tfx_pipeline import workspace
from tfx_pipeline.commands import parser
from tfx_pipeline.commands.errors import USAGE, CommandError


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Adds the command."""
    add = subparsers.add_parser(
        "rollback",
        help="return to an earlier version of the model",
        description="Moves the newest version aside, or all that are newer than VERSION. A running "
        "server falls back within seconds; the versions are kept in the folder `retired`.",
    )
    parser.add_preset(add)
    add.add_argument(
        "version",
        metavar="VERSION",
        nargs="?",
        type=parser.positive_int,
        help="the version to return to (default: the one before the newest)",
    )
    return add


def run(options: argparse.Namespace) -> int:
    """Runs the command. A run that is going on need not end first: it pushes a model of its own."""
    from tfx_pipeline.locks import hold_versions

    place = workspace.Workspace(options.runs, options.preset)
    choose_versions(place, options.version)  # Mistakes first; and only then is there a folder.
    with hold_versions(place.root):
        for version in choose_versions(place, options.version):
            target = retire(place, version)
            print(f"version {version} moved to {target}")
    newest = place.list_versions()[0]
    print(f"version {newest} is now the newest; a running server follows within seconds")
    return 0


def choose_versions(place: workspace.Workspace, wanted: int | None) -> list[int]:
    """Chooses what to move aside, newest first, so that the server never passes a worse one.

    Args:
        place: The folder of the preset.
        wanted: The version to return to; None for the one before the newest.

    Raises:
        CommandError: There is nothing to return to.
    """
    versions = place.list_versions()
    listed = ", ".join(map(str, versions)) or "none"
    if len(versions) < 2:
        raise CommandError(
            f"{place.serving} needs two versions, one to return to. It holds: {listed}."
        )
    if wanted is None:
        return versions[:1]
    if wanted not in versions:
        raise CommandError(f"no such version. Received: {wanted}. There are: {listed}.", USAGE)
    if wanted == versions[0]:
        raise CommandError(f"version {wanted} is the newest already. There are: {listed}.", USAGE)
    return [version for version in versions if version > wanted]


def retire(place: workspace.Workspace, version: int) -> str:
    """Moves a version out of the folder that is served, in one step.

    A rename within one file system is seen by a server as a whole or not at all; a copy would be
    seen half done.
    """
    place.retired.mkdir(parents=True, exist_ok=True)
    target = place.retired / str(version)
    if target.exists():
        raise CommandError(f"{target} exists already. Move it away, then roll back again.")
    (place.serving / str(version)).rename(target)
    return str(target)
