"""`addrl report`: one page about the pushed model, for people who decide about it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from tfx_pipeline.commands import parser, workspace
from tfx_pipeline.commands.errors import USAGE, CommandError


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Adds the command."""
    add = subparsers.add_parser(
        "report",
        help="write a page about the pushed model",
        description="Writes one HTML page about the newest pushed version, which works offline: "
        "accuracy, gates, training, what the chunks mean, how well it can be steered, and sample "
        "users with reasons.",
    )
    parser.add_preset(add)
    add.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="where to write it (default: report.html in the folder of the preset's runs)",
    )
    return add


def run(options: argparse.Namespace) -> int:
    """Runs the command."""
    from tfx_pipeline.configs import get_preset

    place = workspace.Workspace(options.runs, options.preset)
    _validate_out(options.out)
    if not place.list_versions():  # Said before anything heavy is loaded.
        raise CommandError(
            f"{place.serving} holds no version to report on. Train with `addrl run "
            f"{options.preset}`."
        )
    path = write_report(get_preset(options.preset), place, _say, options.out)
    print(path)
    return 0


def _validate_out(out: Path | None) -> None:
    """Raises `CommandError` where the page could not be written, before it is made."""
    if out is None:
        return
    if out.is_dir():
        raise CommandError(f"--out is a folder. Received: '{out}'. Name a file.", USAGE)
    try:
        out.resolve().parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(
            f"--out cannot be written ({error}). Received: '{out}'.", USAGE
        ) from error


def write_report(
    config: Any, place: workspace.Workspace, progress: Any, out: Path | None = None
) -> Path:
    """Writes the report of the version that the last run pushed, with the baselines beside it.

    The run made what it says; where it did not, it is made now.

    Args:
        config: The pipeline's configuration.
        place: The folder of the preset.
        progress: Called with a line before what takes long.
        out: Where to write it; `report.html` in the folder of the preset by default.

    Returns:
        Where it is.

    Raises:
        CommandError: Nothing is pushed, or no run has ended.
    """
    from tfx_pipeline.report.contents import add_baselines, make_contents
    from tfx_pipeline.report.page import PAGE, load_contents, render
    from tfx_pipeline.report.sources import find_last_run, load_from_folder

    found, version = find_last_run(place)
    contents = load_contents(found.report) if found.report else None
    if contents is None or contents.version != version:
        contents = make_contents(load_from_folder(config, place, found, version), progress)
    kept = workspace.load_json(place.baselines)
    measured = kept.get("baselines") if isinstance(kept, dict) else None
    path = out or place.root / PAGE
    workspace.write_text(path, render(add_baselines(contents, measured or {})))
    return path


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
