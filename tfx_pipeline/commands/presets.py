"""`addrl presets`: what can be run."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Adds the command."""
    add = subparsers.add_parser(
        "presets",
        help="list the presets and the projects of this folder",
        description="Lists the presets, and the projects of the working directory that "
        "`addrl init` made, with their attributes.",
    )
    add.add_argument("--json", action="store_true", help="one JSON document")
    return add


def run(options: argparse.Namespace) -> int:
    """Runs the command."""
    from tfx_pipeline.configs import get_preset
    from tfx_pipeline.presets import PRESETS
    from tfx_pipeline.projects import ProjectError, list_projects

    configs = {name: get_preset(name) for name in sorted(PRESETS)}
    for name in list_projects():
        try:
            configs.setdefault(name, get_preset(name))
        except ProjectError as error:  # One broken file must not hide the others.
            print(f"addrl presets: warning: {error}", file=sys.stderr)
    if options.json:
        document = {
            name: {
                "dataset": config.dataset,
                "attributes": [a.name for a in config.model.attributes],
                "modalities": list(config.model.modality_names),
            }
            for name, config in configs.items()
        }
        print(json.dumps(document, indent=2))
        return 0
    from tfx_pipeline import tables

    rows = [
        [
            name,
            config.dataset,
            ", ".join(f"{a.name} ({a.kind})" for a in config.model.attributes),
            ", ".join(config.model.modality_names),
        ]
        for name, config in configs.items()
    ]
    columns = ["preset", "data set", "attributes", "modalities"]
    tables.make_console().print(tables.make_rows_table("", columns, rows, text_columns=4))
    return 0
