"""`addrl evaluate`: what the last run, or a baseline, reaches on the test split."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from tfx_pipeline import workspace
from tfx_pipeline.commands import parser
from tfx_pipeline.commands.errors import CommandError

QUICK = ("most_popular", "item_knn", "ease")
ALL = "all"
# Spelt out, as a parser must not wait for what they are made of; a test holds them equal.
MODELS = ("addrl", *QUICK, "content_blend", "tfrs_two_tower", "keras_rs_two_tower", "macrid_vae")


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Adds the command."""
    add = subparsers.add_parser(
        "evaluate",
        help="show the metrics of the last run or of a baseline",
        description="Shows the metrics on the test split. Baselines are chosen on validation, "
        "fitted on training and validation, and kept beside the run.",
    )
    parser.add_preset(add)
    add.add_argument(
        "--model",
        choices=(*MODELS, ALL),
        help=f"only this one, or {ALL}, which trains two-towers and takes long (default: addrl "
        f"and the quick baselines, {', '.join(QUICK)})",
    )
    add.add_argument("--json", action="store_true", help="one JSON document")
    return add


def run(options: argparse.Namespace) -> int:
    """Runs the command."""
    from tfx_pipeline.commands import baselines, metrics
    from tfx_pipeline.configs import get_preset
    from tfx_pipeline.results import load_last_result

    config = get_preset(options.preset)
    place = workspace.Workspace(options.runs, options.preset)
    result = load_last_result(options.runs, options.preset)
    shows_own = options.model in (None, "addrl", ALL)
    if result is None and shows_own:
        raise CommandError(
            f"{place.root} holds no result. Train and evaluate with `addrl run {options.preset}`."
        )
    own = result.metrics if result else {}
    slices = result.slices if result else {}
    found = {}
    if options.model != "addrl":
        chosen = metrics.choose_slices(config, slices)
        names = {None: QUICK, ALL: MODELS[1:]}.get(options.model, (options.model,))
        found = baselines.load_baselines(config, place, chosen, _report, names)
        if options.model in names and options.model not in found:
            raise CommandError(f"{options.model} cannot be measured on this machine.")
    if options.json:
        print(json.dumps({**({"addrl": own} if shows_own else {}), **found}, indent=2))
        return 0
    _print(config, own if shows_own else None, slices if shows_own else {}, found)
    return 0


def _report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _print(config: Any, own: Any, slices: Any, found: Any) -> None:
    from tfx_pipeline import tables
    from tfx_pipeline.commands import metrics

    console = tables.make_console()
    for table in metrics.make_metrics_tables(config, own, slices, found):
        console.print(table)
        console.print()
    for name, baseline in found.items():
        parameters = baseline["hyperparameters"]
        if parameters:
            listed = ", ".join(f"{key} {value:g}" for key, value in parameters.items())
            console.print(f"{metrics.BASELINE_NAMES[name]}: {listed}")
