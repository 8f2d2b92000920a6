"""`addrl index add`: new items for the served model, without training."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfx_pipeline import workspace
from tfx_pipeline.commands import parser
from tfx_pipeline.commands.errors import FAILURE, USAGE, CommandError

_MOST_VALUES = 5


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Adds the command and its action."""
    index = subparsers.add_parser(
        "index",
        help="add new items to the served model, without training",
        description="Changes which items the newest pushed version can recommend.",
    )
    actions = index.add_subparsers(dest="action", metavar="ACTION", required=True)
    add = actions.add_parser(
        "add",
        help="add new items",
        description="Encodes the items of a file, gives each its place by its content, and pushes "
        "a version with the same towers and a larger index. Nothing is trained. The exit code is 1 "
        "where the servability gate refuses.",
    )
    parser.add_preset(add)
    add.add_argument(
        "items",
        metavar="ITEMS",
        help="CSV (UTF-8) or Parquet file of new items, with item_id, title and the columns of the "
        "preset's items; columns that it lacks are missing values",
    )
    add.add_argument(
        "--cache",
        type=Path,
        metavar="DIR",
        help="folder of encoders and vectors (default: $ADDRL_CACHE or ~/.cache/addrl)",
    )
    add.add_argument("--dry-run", action="store_true", help="do everything but push")
    add.add_argument("--json", action="store_true", help="the result as one JSON document")
    # Their defaults come from the environment, which the outer parser holds. `set_defaults` would
    # put the word SUPPRESS itself in their place.
    for action in add._actions:
        if action.dest in ("runs", "cache"):
            action.default = argparse.SUPPRESS
    return index


def run(options: argparse.Namespace) -> int:
    """Runs the command."""
    if "://" not in options.items and not Path(options.items).is_file():
        raise CommandError(
            f"there is no such file. Received: '{options.items}'. Give the CSV or Parquet file of "
            "the new items.",
            USAGE,
        )
    outcome = add_items(options)
    if options.json:
        print(json.dumps(outcome.to_dict(), indent=2, ensure_ascii=False))
    else:
        _print(outcome, options)
    return 0 if outcome.passed else FAILURE


def add_items(options: argparse.Namespace) -> Any:
    """Adds the items. Tests put another in its place.

    With `--json` the progress goes to the error stream, so that the output is one document.
    """
    from tfx_pipeline.configs import get_preset
    from tfx_pipeline.datasets.errors import DataError
    from tfx_pipeline.index import update
    from tfx_pipeline.results import PipelineError
    from tfx_pipeline.toml_reader import ProjectError

    try:
        return update.add_items(
            get_preset(options.preset),
            options.items,
            runs_dir=options.runs,
            cache_dir=options.cache,
            out=sys.stderr if options.json else None,
            dry_run=options.dry_run,
        )
    except (DataError, PipelineError, ProjectError) as error:
        raise CommandError(str(error)) from error


def _print(outcome: Any, options: argparse.Namespace) -> None:
    from tfx_pipeline import tables

    console = tables.make_console()
    read = len(outcome.item_ids) + len(outcome.left_out)
    console.print()
    console.print(f"{read:,} items read from {options.items}")
    if outcome.ignored:
        console.print(f"columns that nothing reads: {', '.join(outcome.ignored)}")
    for each in outcome.unreadable:
        console.print(str(each))
    for each in outcome.left_out:
        console.print(f"left out: item {each.item_id!r}, {each.place}: {each.reason}")
    _print_modalities(console, outcome)
    rows = [
        [name, f"{each['known']:,}", f"{each['missing']:,}", describe_values(each)]
        for name, each in outcome.attributes.items()
    ]
    columns = ("attribute", "known", "missing", "values that the model has never seen")
    console.print(tables.make_rows_table("", columns, rows, text_columns=1))
    for item_id, alike in outcome.alike.items():
        like = ", ".join(
            f"{_name(each.item_id, each.title)} ({each.similarity:.2f})" for each in alike
        )
        title = outcome.titles.get(item_id, "")
        console.print(f"{_name(item_id, title)} looks like {like or 'nothing that is known'}")
    _print_verdict(console, outcome, options)


def _print_modalities(console: Any, outcome: Any) -> None:
    if not outcome.modalities:
        return
    from tfx_pipeline.encoders import report

    for line in report.make_lines(outcome.modalities):
        console.print(line)
    for problem in outcome.problems:
        console.print(f"  - {problem}")
    if outcome.problems:
        console.print(f"  all of them: {outcome.problems_path}")


def describe_values(counts: Mapping[str, Any]) -> str:
    """Words the values of an attribute that the model has never seen.

    Args:
        counts: The counts of an attribute, as `Outcome.attributes` has them.
    """
    new = counts["new_values"]
    if not new:
        return ""
    shown = ", ".join(f"{value} ({count:,})" for value, count in list(new.items())[:_MOST_VALUES])
    more = f" and {len(new) - _MOST_VALUES:,} more" if len(new) > _MOST_VALUES else ""
    return f"{shown}{more}"


def _name(item_id: str, title: str) -> str:
    return f"{title} ({item_id})" if title else f"item {item_id}"


def _print_verdict(console: Any, outcome: Any, options: argparse.Namespace) -> None:
    from tfx_pipeline import tables

    console.print()
    for refusal in outcome.refusals:
        console.print(f"servability gate: REFUSED, {refusal}")
    if outcome.refusals:
        console.print(f"not pushed: version {outcome.base} stays in service")
        return
    latency = f"{outcome.gate['latency_ms']:.1f} ms"
    console.print(
        f"servability gate: passed, {outcome.gate['num_requests']} requests replayed, recommend "
        f"{latency}"
    )
    grown = f"version {outcome.base} and {len(outcome.item_ids):,} new items"
    size = f"{outcome.num_items:,} items in all, {tables.format_seconds(outcome.seconds)}"
    if outcome.pushed is None:
        console.print(f"not pushed, as --dry-run was given: {grown}, {size}")
        return
    place = workspace.Workspace(options.runs, options.preset)
    console.print(f"pushed to {place.serving / str(outcome.pushed)}: {grown}, {size}")
    console.print(
        f"A running server takes it within seconds; `addrl rollback {options.preset}` takes it "
        "back. The next training knows the data set alone: put these items there, too."
    )
