"""`addrl report`: one page about the pushed model, for people who decide about it."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfx_pipeline import workspace
from tfx_pipeline.commands import metrics, parser
from tfx_pipeline.commands.errors import USAGE, CommandError
from tfx_pipeline.results import PAGE, RunResult, load_last_result


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Adds the command."""
    add = subparsers.add_parser(
        "report",
        help="write a page about the model of the last run",
        description="Writes one HTML page about the model of the last run, which works offline: "
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
    """Writes the report of the model of the last run, with the baselines beside it.

    The run made what it says; where it did not, it is made now, of the version that it pushed.

    Args:
        config: The pipeline's configuration.
        place: The folder of the preset.
        progress: Called with a line before what takes long.
        out: Where to write it; `report.html` in the folder of the preset by default.

    Returns:
        Where it is.

    Raises:
        CommandError: No run has ended; or it made no report, and its model is not there.
    """
    found = load_last_result(place.root.parent, place.preset)
    if found is None:
        raise CommandError(
            f"{place.root} holds no run to report on. Train with `addrl run {place.preset}`."
        )
    from tfx_pipeline.report.page import load_contents, render

    version = Path(found.pushed or "").name
    contents = load_contents(found.report) if found.report else None
    if contents is None or contents.version != version:
        contents = _make_contents(config, place, found, progress)
    kept = workspace.load_json(place.baselines)
    measured = kept.get("baselines") if isinstance(kept, dict) else None
    path = out or place.root / PAGE
    workspace.write_text(path, render(add_baselines(contents, measured or {})))
    return path


def add_baselines(contents: Any, baselines: Mapping[str, Mapping[str, Any]]) -> Any:
    """Adds rows of baselines to the accuracy of a report.

    Args:
        contents: `tfx_pipeline.report.contents.Contents` without them.
        baselines: Metrics by baseline; those of other list lengths are left out.
    """
    rows = list(contents.accuracy)
    for name, found in baselines.items():
        recall, ndcg = found.get("recall_at_20"), found.get("ndcg_at_20")
        if recall is not None and ndcg is not None:
            rows.append((metrics.BASELINE_NAMES.get(name, name), f"{recall:.4f}", f"{ndcg:.4f}"))
    return dataclasses.replace(contents, accuracy=rows)


def _make_contents(config: Any, place: workspace.Workspace, found: RunResult, progress: Any) -> Any:
    """Makes what a report says out of the folder of a run.

    Raises:
        CommandError: The version that the run pushed is gone, or the tables have changed since.
    """
    version = Path(found.pushed or "").name
    if version not in map(str, place.list_versions()):
        refused = f" ({found.reason})" if found.reason else ""
        raise CommandError(
            f"The last run pushed no version that is still in {place.serving}{refused}, and it "
            f"made no report itself. Received: {found.pushed or 'nothing pushed'}. Train again "
            f"with `addrl run {place.preset}`."
        )
    from tfx_pipeline.datasets.loading import load_interactions, load_photos
    from tfx_pipeline.index.extras import load_extras
    from tfx_pipeline.report.contents import Sources, make_contents

    extras = load_extras(place.serving / version)
    result = extras.result
    interactions, test = load_interactions(place.data, result.catalogue.item_ids)
    if interactions.user_ids != result.interactions.user_ids:
        raise CommandError(
            f"The tables in {place.data} are not those that version {version} was trained on. "
            f"Train again with `addrl run {place.preset}`."
        )
    photos = load_photos(place.data, config.photo_column)
    sources = Sources(
        preset=place.preset,
        version=version,
        result=result,
        test=test,
        slices=found.slices,
        verdicts=found.verdicts,
        titles=extras.titles,
        photos=photos,
        drift=found.drift,
    )
    return make_contents(sources, progress)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
