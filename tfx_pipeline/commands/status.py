"""`addrl status`: which versions there are, which one answers, what the last run found."""

from __future__ import annotations

import argparse
import datetime
import json
from collections.abc import Mapping
from typing import Any

from tfx_pipeline import workspace
from tfx_pipeline.commands import asking, parser

# Long enough for a server on this machine; nobody waits half a minute for a status.
_TIMEOUT = 2.0


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Adds the command."""
    add = subparsers.add_parser(
        "status",
        help="show the pushed versions and which one is served",
        description="Shows the pushed versions, which one a server answers with, and what the last "
        "finished run found.",
    )
    parser.add_preset(add)
    parser.add_address(add)
    add.set_defaults(timeout=_TIMEOUT)
    add.add_argument("--json", action="store_true", help="one JSON document")
    return add


def run(options: argparse.Namespace) -> int:
    """Runs the command."""
    from tfx_pipeline.index.about import find_about
    from tfx_pipeline.results import load_last_result

    place = workspace.Workspace(options.runs, options.preset)
    statuses = load_statuses(options)
    result = load_last_result(options.runs, options.preset)
    versions = place.list_versions()
    abouts = {version: find_about(place.serving / str(version)) for version in versions}
    document = {
        "preset": options.preset,
        "versions": versions,
        "updates": {
            version: {"base": about.updates[-1].base, "added": len(about.updates[-1].item_ids)}
            for version, about in abouts.items()
            if about and about.updates
        },
        "retired": workspace.list_versions(place.retired),
        "address": options.address,
        "server": None if statuses is None else {each.version: each.state for each in statuses},
        "errors": {
            each.version: each.error_message for each in statuses or () if each.error_message
        },
        "last_run": None
        if result is None
        else {
            "metrics": result.metrics,
            "passed": result.passed,
            "pushed": result.pushed,
            "drift": result.drift.to_dict(),
        },
    }
    if options.json:
        print(json.dumps(document, indent=2))
    else:
        _print(document, place)
    return 0


def load_statuses(options: argparse.Namespace) -> list[Any] | None:
    """Asks the server for `serving.results.VersionStatus`; None where no server answers."""
    from serving.errors import ServingError

    try:
        with asking.make_client(options.address, options.timeout) as client:
            return list(client.status())
    except ServingError:
        return None


def _print(document: dict[str, Any], place: workspace.Workspace) -> None:
    from tfx_pipeline import tables
    from tfx_pipeline.drift import Drift

    console = tables.make_console()
    states = document["server"]
    rows = [
        [
            str(version),
            _when(place, version),
            describe_origin(document["updates"].get(version)),
            (states or {}).get(version, "–"),
        ]
        for version in document["versions"]
    ]
    if rows:
        columns = ("version", "pushed", "made by", f"at {document['address']}")
        console.print(tables.make_rows_table("Pushed versions", columns, rows, text_columns=4))
    else:
        console.print(f"No version is pushed. Push one with `addrl run {place.preset}`.")
    for version, message in document["errors"].items():
        console.print(f"version {version}: {' '.join(message.split())}")
    if document["retired"]:
        console.print(f"rolled back: {', '.join(map(str, document['retired']))}")
    if states is None:
        console.print(
            f"No server answers at {document['address']}. Start one with "
            f"`addrl serve {place.preset}`."
        )
    last = document["last_run"]
    if last:
        figures = ", ".join(
            f"{name} {_format(name, value)}" for name, value in sorted(last["metrics"].items())
        )
        verdict = "accepted" if last["passed"] else "refused"
        console.print(f"last finished run: {verdict}, {figures}")
        for line in Drift.from_dict(last["drift"]).summarize():
            console.print(line)


def describe_origin(update: Mapping[str, int] | None) -> str:
    """Words where a version comes from.

    Args:
        update: Its `base` and the number of items `added`; None for a version that was trained.

    Example:
        >>> describe_origin({"base": 7, "added": 3})
        'index update of 7: 3 items added'
    """
    if update is None:
        return "training"
    count = "1 item" if update["added"] == 1 else f"{update['added']:,} items"
    return f"index update of {update['base']}: {count} added"


def _format(name: str, value: float) -> str:
    # A sum of weights of 1/n, so that it is whole but for rounding.
    return f"{round(value):,}" if name == "users" else f"{value:.4f}"


def _when(place: workspace.Workspace, version: int) -> str:
    seconds = (place.serving / str(version)).stat().st_mtime
    return f"{datetime.datetime.fromtimestamp(seconds):%Y-%m-%d %H:%M}"
