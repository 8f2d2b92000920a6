"""`addrl init`: a project out of two tables, with the reason of every guess."""

from __future__ import annotations

import argparse
import dataclasses
import os
import shlex
import sys
from pathlib import Path
from typing import Any

from tfx_pipeline.commands.errors import USAGE, CommandError
from tfx_pipeline.datasets.table_options import SPLIT_RULES, TIME_FORMATS
from tfx_pipeline.workspace import write_text


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Adds the command."""
    add = subparsers.add_parser(
        "init",
        help="make a project out of two tables of your own",
        description="Looks at two tables (CSV or Parquet; local or on any file system that Beam "
        "knows), proposes columns, attributes, modalities, a split and schemas, and writes "
        "NAME/addrl.toml, which says what was guessed and why. Then: `addrl run NAME`.",
    )
    add.add_argument("name", metavar="NAME", help="name of the project and its folder")
    for option, what in (
        ("--interactions", "table of who took what: a file, a folder, or a glob in quotes"),
        ("--items", "table of what there is to take"),
    ):
        add.add_argument(option, nargs="+", required=True, metavar="PATH", help=what)
    add.add_argument("--images", metavar="DIR", help="folder of the photos")
    guesses = add.add_argument_group("where a guess is wrong")
    for option, what in (
        ("--user-column", "the user's id, in the interactions"),
        ("--item-column", "the item's id, in the interactions"),
        ("--id-column", "the item's id, in the items"),
        ("--title-column", "the name to show, in the items"),
        ("--time-column", "the time, in the interactions"),
    ):
        guesses.add_argument(option, default="", metavar="COLUMN", help=what)
    guesses.add_argument("--time-format", default="", choices=TIME_FORMATS, metavar="FORMAT",
                         help=f"one of {', '.join(TIME_FORMATS)}")  # fmt: skip
    guesses.add_argument("--no-time", action="store_true", help="use no time")
    guesses.add_argument("--split", default="", choices=SPLIT_RULES, metavar="RULE",
                         help=f"one of {', '.join(SPLIT_RULES)}")  # fmt: skip
    guesses.add_argument(
        "--no-encoders",
        action="store_true",
        help="propose no encoders for long texts and photos, which must be fetched and built first",
    )
    add.add_argument("--force", action="store_true", help="overwrite a project of this name")
    return add


def run(options: argparse.Namespace) -> int:
    """Runs the command."""
    folder = _check_name(options.name, options.force)
    from tfx_pipeline import proposals
    from tfx_pipeline.projects import SCHEMA_FOLDER, parse_project

    wishes = proposals.Wishes(
        user=options.user_column,
        item=options.item_column,
        id=options.id_column,
        title=options.title_column,
        time=options.time_column,
        time_format=options.time_format,
        no_time=options.no_time,
        split=options.split,
        encoders=not options.no_encoders,
    )
    proposal = proposals.make_proposal(
        options.interactions,
        options.items,
        options.images or "",
        wishes,
        lambda line: print(line, file=sys.stderr, flush=True),
    )
    proposal = dataclasses.replace(proposal, options=_make_relative(proposal.options, folder))
    files = {
        folder / SCHEMA_FOLDER / "items.pbtxt": proposals.render_items_schema(proposal),
        folder / SCHEMA_FOLDER / "interactions.pbtxt": proposals.render_interactions_schema(
            proposal.options
        ),
        # Last, so that a folder with this file is whole.
        folder / "addrl.toml": proposals.render_project(
            options.name, _get_command(options), proposal
        ),
    }
    project = folder / "addrl.toml"
    parse_project(project, files[project].encode("utf-8"))
    for path, text in files.items():
        write_text(path, text)
    _print(proposal, list(files), options.name)
    return 0


def _check_name(name: str, force: bool) -> Path:
    from tfx_pipeline.presets import PRESETS

    if not name.replace("-", "_").isidentifier():
        raise CommandError(
            "NAME becomes a folder and may hold letters, digits, - and _ only. "
            f"Received: {name!r}.",
            USAGE,
        )
    if name in PRESETS:
        raise CommandError(
            f"there is a preset of this name. Received: {name!r}. Choose another.", USAGE
        )
    folder = Path(name)
    if (folder / "addrl.toml").exists() and not force:
        raise CommandError(
            f"{folder}/addrl.toml is there already. Edit it, or overwrite it and the schemas with "
            "--force.",
            USAGE,
        )
    if folder.exists() and not folder.is_dir():
        raise CommandError(f"{folder} is a file. Choose another name.", USAGE)
    return folder


def _make_relative(tables: Any, folder: Path) -> Any:
    """Makes the paths relative to the project's folder, so that both can move together."""

    def move(path: Any) -> Any:
        if isinstance(path, tuple):
            return tuple(map(move, path))
        if "://" in path or os.path.isabs(path) or path.startswith("~"):
            return path
        return Path(os.path.relpath(path, folder)).as_posix()

    images = tables.images
    return dataclasses.replace(
        tables,
        interactions=dataclasses.replace(tables.interactions, path=move(tables.interactions.path)),
        items=dataclasses.replace(tables.items, path=move(tables.items.path)),
        images=images and dataclasses.replace(images, directory=move(images.directory)),
    )


def _get_command(options: argparse.Namespace) -> str:
    """Returns the command line that makes the same project again."""
    parts = ["addrl", "init", options.name, "--interactions", *options.interactions]
    parts += ["--items", *options.items]
    parts += ["--images", options.images] if options.images else []
    for name in (
        "user_column", "item_column", "id_column", "title_column", "time_column", "time_format",
        "split",
    ):  # fmt: skip
        if getattr(options, name):
            parts += [f"--{name.replace('_', '-')}", getattr(options, name)]
    for name in ("no_time", "no_encoders"):
        parts += [f"--{name.replace('_', '-')}"] if getattr(options, name) else []
    return shlex.join(parts)


def _print(proposal: Any, files: list[Path], name: str) -> None:
    from tfx_pipeline import tables

    console = tables.make_console()
    rows = [[note.topic, note.text] for note in proposal.notes]
    rows += [[f"column {each.source}", each.why] for each in proposal.columns]
    rows.append(["attributes", ", ".join(each.name for each in proposal.attributes)])
    rows.append(
        ["modalities", ", ".join(f"{each.name} ({each.encoder})" for each in proposal.modalities)]
    )
    console.print(tables.make_rows_table("Guessed", ("what", "why"), rows, text_columns=2))
    console.print(f"wrote {', '.join(map(str, files))}", soft_wrap=True)
    console.print(f"Look at {name}/addrl.toml, then: addrl run {name}", soft_wrap=True)
