"""`addrl run`: from source files to a pushed model, with a report a person can read."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tfx_pipeline import workspace
from tfx_pipeline.commands import parser
from tfx_pipeline.commands.errors import FAILURE, USAGE, CommandError
from tfx_pipeline.results import PAGE

_NAMED = 5


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Adds the command."""
    add = subparsers.add_parser(
        "run",
        help="train, evaluate, gate and push a preset's model",
        description="Runs the pipeline of a preset. What has not changed comes from the cache. "
        "The exit code is 1 where a gate refuses the model.",
    )
    parser.add_preset(add)
    add.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="folder with the source files (default: fetched, for presets whose data can be; run "
        "without it to see which files the others need)",
    )
    add.add_argument(
        "--no-baselines", action="store_true", help="measure no baselines to compare with"
    )
    add.add_argument("--report", action="store_true", help="then write the page of `addrl report`")
    after = add.add_mutually_exclusive_group()
    after.add_argument("--demo", action="store_true", help="then serve, and ask for two users")
    after.add_argument("--json", action="store_true", help="the result as one JSON document")
    return add


def run(options: argparse.Namespace) -> int:
    """Runs the command."""
    if options.data and not options.data.is_dir():
        raise CommandError(
            f"--data is no folder. Received: '{options.data}'. Leave it out to have the files "
            "fetched, or to see which files the preset needs.",
            USAGE,
        )
    from tfx_pipeline.configs import get_preset

    config = get_preset(options.preset)
    result = run_pipeline(config, options)
    place = workspace.Workspace(options.runs, options.preset)
    found = {} if options.no_baselines else _measure_baselines(config, place, result, options)
    if options.json:
        print(json.dumps({**result.to_dict(), "baselines": found}, indent=2))
    else:
        _print_report(config, place, result, found)
    if options.report:
        _write_report(config, place, options)
    elif result.report and not options.json:
        print(f"a page about it: {Path(result.report, PAGE)}")
    if not result.passed:
        return FAILURE
    if options.demo:
        from tfx_pipeline.commands import demo

        demo.run(config, place)
    return 0


def run_pipeline(config: Any, options: argparse.Namespace) -> Any:
    """Runs the pipeline. Tests put another in its place.

    With `--json` the progress goes to the error stream, so that the output is one document.
    """
    from tfx_pipeline import local_runner

    try:
        return local_runner.run(
            config,
            data_dir=options.data,
            runs_dir=options.runs,
            cache_dir=options.cache,
            out=sys.stderr if options.json else None,
        )
    except local_runner.PipelineError as error:
        raise CommandError(str(error)) from error


def _measure_baselines(
    config: Any, place: workspace.Workspace, result: Any, options: argparse.Namespace
) -> dict[str, Any]:
    """Measures the baselines. The model is pushed by now, so a failure must not look like its."""
    from tfx_pipeline.commands import baselines, metrics

    report = _make_reporter(options)
    slices = metrics.choose_slices(config, result.slices)
    try:
        return baselines.load_baselines(config, place, slices, report)
    except Exception as error:
        if options.debug:
            raise
        report(f"baselines not measured: {error or type(error).__name__}")
        return {}


def _write_report(config: Any, place: workspace.Workspace, options: argparse.Namespace) -> None:
    """Writes the report. The model is pushed by now, so a failure must not look like its."""
    from tfx_pipeline.commands.report import write_report

    say = _make_reporter(options)
    try:
        say("writing the report ...")
        say(f"report: {write_report(config, place, say)}")
    except Exception as error:
        if options.debug:
            raise
        say(f"report not written: {error or type(error).__name__}")


def _make_reporter(options: argparse.Namespace) -> Callable[[str], None]:
    stream = sys.stderr if options.json else sys.stdout
    return lambda line: print(line, file=stream, flush=True)


def _print_report(config: Any, place: workspace.Workspace, result: Any, found: Any) -> None:
    from tfx_pipeline import tables
    from tfx_pipeline.commands import metrics

    console = tables.make_console()
    console.print()
    for table in metrics.make_metrics_tables(config, result.metrics, result.slices, found):
        console.print(table)
        console.print()
    verdicts = [[v.gate, tables.format_verdict(v.passed), v.detail] for v in result.verdicts]
    columns = ("gate", "verdict", "detail")
    console.print(tables.make_rows_table("Gates", columns, verdicts, text_columns=3))
    console.print()
    cached = sum(component.cached for component in result.components)
    time = tables.format_seconds(result.seconds)
    console.print(f"{len(result.components)} components in {time}, {cached} from the cache")
    for line in (*result.drift.summarize(), *describe_updates(place, result)):
        console.print(line)
    if not result.passed:
        console.print(f"not pushed: {result.reason}")
    elif result.is_new:
        console.print(f"model pushed to {result.pushed}")
    elif not Path(result.pushed).is_dir():
        console.print(
            f"model unchanged, pushed before to {result.pushed}, and withdrawn since: it stays out "
            f"of service. To serve it again, move it back from {place.retired}."
        )
    else:
        console.print(f"model unchanged, pushed before to {result.pushed}")


def describe_updates(place: workspace.Workspace, result: Any) -> list[str]:
    """Words what became of the items that `addrl index add` added since the last training.

    Args:
        place: The folder of the preset.
        result: The run's result.

    Returns:
        A line where there is something to say.
    """
    from tfx_pipeline.datasets.loading import load_item_ids
    from tfx_pipeline.index.about import find_about

    versions = place.list_versions()
    if result.is_new:
        versions = [each for each in versions if each < int(Path(result.pushed).name)]
    about = find_about(place.serving / str(versions[0])) if versions else None
    if about is None or not about.updates:
        return []
    if not result.is_new:
        return [
            f"version {versions[0]} stays the newest: an index update of {about.updates[-1].base}, "
            f"{len(about.updates[-1].item_ids):,} items added"
        ]
    known = set(load_item_ids(place.data))
    lost = [item for item in about.added if item not in known]
    if not lost:
        return []
    named = ", ".join(lost[:_NAMED]) + (" ..." if len(lost) > _NAMED else "")
    return [
        f"{len(lost):,} items that `addrl index add` had added are not in the data set, so the new "
        f"model does not know them: {named}. Put them there, or add them again."
    ]
