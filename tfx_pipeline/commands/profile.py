"""`addrl profile`: which attributes drive a user, and which of their values the user likes."""

from __future__ import annotations

import argparse
import json
from typing import Any

from tfx_pipeline.commands import asking, parser
from tfx_pipeline.commands.errors import USAGE, CommandError


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Adds the command."""
    add = subparsers.add_parser(
        "profile",
        help="ask which attributes and values drive a user",
        description="Shows how much each attribute decides what a user gets, beside the average "
        "of all known users, and the values of each that the user should take more often than "
        "others do, and less often.",
        epilog="expected: how much of what the user takes next should have the value; usual: the "
        "same, averaged over all users; affinity: what having it adds to an item's score, beyond "
        "what its attribute adds on average.",
    )
    parser.add_preset(add)
    add.add_argument("user", metavar="USER", nargs="?", type=parser.some_id, help="id of a user")
    add.add_argument("--all", action="store_true", help="the whole population in place of a USER")
    add.add_argument(
        "--history", type=parser.id_list, metavar="ID,ID", help="take these items as the history"
    )
    add.add_argument(
        "--values",
        type=parser.positive_int,
        default=3,
        metavar="N",
        help="how many values of each end to show (default: %(default)s)",
    )
    parser.add_address(add)
    add.add_argument("--json", action="store_true", help="one JSON document, with every value")
    return add


def run(options: argparse.Namespace) -> int:
    """Runs the command."""
    if options.all == bool(options.user or options.history):
        raise CommandError(
            "name a USER (or give --history ID,ID), or ask for --all, one of them. Received: "
            f"{'both' if options.all else 'neither'}.",
            USAGE,
        )
    with asking.connect(options) as client:
        asking.validate_history(options, client, options.history)
        answer = client.profile(options.user or "", history_ids=options.history)
    asking.warn_of_other_versions(options, [answer.model_version])
    if options.json:
        document = make_population(answer) if options.all else answer.as_dict()
        print(json.dumps({"preset": options.preset, **document}, indent=2, ensure_ascii=False))
        return 0
    _print(answer, options)
    return 0


def make_population(answer: Any) -> dict[str, Any]:
    """Makes what a profile says of everybody: importance, and how common each value is."""
    return {
        "importance": answer.population,
        "catalogue_shares": {
            name: {each.value: each.catalogue_share for each in values}
            for name, values in answer.preferences.items()
        },
        "hold_weights": answer.hold_weights,
        "model_version": answer.model_version,
    }


def _print(answer: Any, options: argparse.Namespace) -> None:
    from tfx_pipeline import tables

    console = tables.make_console()
    order = sorted(answer.population, key=lambda name: -answer.population[name])
    if options.all:
        rows = [[name, f"{answer.population[name]:.0%}"] for name in order]
        console.print(f"what decides a score, model version {answer.model_version}", style="bold")
        console.print(tables.make_rows_table("", ["part", "share, all users"], rows))
        for name, values in answer.preferences.items():
            common = sorted(values, key=lambda each: -each.catalogue_share)[: 2 * options.values]
            shares = ", ".join(f"{each.value} {each.catalogue_share:.0%}" for each in common)
            rest = len(values) - len(common)
            more = f" and {rest} more (--values N shows more)" if rest else ""
            console.print(f"{name}, most common in the catalogue: {shares}{more}")
        return
    if answer.source == "prior":
        name = f"the user {answer.user_id!r}" if answer.user_id else "this history"
        console.print(f"Nothing is known of {name}, whose list is what is popular.")
        return
    order = sorted(answer.importance, key=lambda name: -answer.importance[name])
    rows = [
        [name, f"{answer.importance[name]:.0%}", f"{answer.population[name]:.0%}"] for name in order
    ]
    whose = f"user {answer.user_id}" if answer.user_id else "who took these items"
    title = f"what decides the scores of {whose}, model version {answer.model_version}"
    console.print(title, style="bold")  # A table would wrap it to its own width.
    console.print(tables.make_rows_table("", ["part", "share", "share, all users"], rows))
    for name, values in answer.preferences.items():
        shown = values[: options.values]
        least = values[max(len(shown), len(values) - options.values) :]
        rows = [
            [
                each.value,
                f"{each.expected_share:.0%}",
                f"{each.usual_share:.0%}",
                f"{each.history_share:.0%}",
                f"{each.affinity:+.3f}",
            ]
            for each in (*shown, *least)
        ]
        console.print()
        columns = [name, "expected", "usual", "of the history", "affinity"]
        console.print(tables.make_rows_table("", columns, rows))
