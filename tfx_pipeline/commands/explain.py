"""`addrl explain`: why an item has the score it has for a user."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any

from tfx_pipeline import workspace
from tfx_pipeline.commands import asking, parser, steering


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Adds the command."""
    add = subparsers.add_parser(
        "explain",
        help="ask why an item is recommended",
        description="Shows what each attribute adds, and the past items that argue for it.",
    )
    parser.add_preset(add)
    add.add_argument("user", metavar="USER", type=parser.some_id, help="id of a user")
    add.add_argument("item", metavar="ITEM", type=parser.some_id, help="id of an item")
    add.add_argument(
        "--history", type=parser.id_list, metavar="ID,ID", help="take these items as the history"
    )
    steering.add_options(add)
    parser.add_address(add)
    add.add_argument("--json", action="store_true", help="one JSON document")
    return add


def run(options: argparse.Namespace) -> int:
    """Runs the command."""
    from serving.errors import ServingError
    from serving.sentences import make_sentence

    with asking.connect(options) as client:
        settings = steering.make_settings(options, client)
        asking.validate_history(options, client, options.history)
        try:
            answer = steering.explain(
                options, client, options.user, options.item, options.history, settings
            )
        except ServingError:
            steering.explain_refusal(options, {"--want": options.want})
            raise
    asking.warn_of_other_versions(options, [answer.model_version])
    titles = workspace.Workspace(options.runs, options.preset).load_titles()
    if options.json:
        document = {
            "preset": options.preset,
            "title": titles.get(answer.item_id),
            "sentence": make_sentence(answer, titles),
        }
        print(json.dumps({**document, **answer.as_dict()}, indent=2, ensure_ascii=False))
        return 0
    _print(answer, titles)
    return 0


# Past items that are shown, of all that JSON has.
_SHOWN = 5
# Less is printed as nought.
_LEAST = 0.0005


def _print(answer: Any, titles: Mapping[str, str]) -> None:
    from serving.sentences import make_sentence
    from tfx_pipeline import tables

    console = tables.make_console()
    modalities = list(next(iter(answer.modality_weights.values()), {}))
    rows = []
    for name, value in sorted(answer.contributions.items(), key=lambda pair: -pair[1]):
        known = answer.values.get(name)
        rows.append(
            [
                name,
                known.value if known else "",
                f"{value:+.3f}",
                f"{answer.lifts[name]:+.3f}",
                f"{known.history_share:.0%}" if known else "",
                f"{known.catalogue_share:.0%}" if known else "",
                *(f"{answer.modality_weights[name][modality]:.2f}" for modality in modalities),
            ]
        )
    title = f"{_name(answer.item_id, titles)} for user {answer.user_id}: score {answer.score:.3f}"
    columns = ["attribute", "value", "adds", "beyond its average"]
    columns += ["of the history", "of the catalogue"]
    columns += [f"weight of {modality}" for modality in modalities]
    console.print(tables.make_rows_table(title, columns, rows, text_columns=2))
    console.print(make_sentence(answer, titles))
    for name, values in answer.targets.items():
        given = answer.target_contributions.get(name, 0.0)
        asked = f"{name} {' or '.join(values)} was asked for"
        if abs(given) >= _LEAST:
            console.print(f"because {asked}: {given:+.3f}")
        else:
            console.print(f"{asked}, and adds nothing to this item")
    rest = sum(
        value for name, value in answer.target_contributions.items() if name not in answer.targets
    )
    if abs(rest) >= _LEAST:
        console.print(f"because what is not wanted is held: {rest:+.3f}")
    if not answer.evidence:
        beside = ", beside what was asked for" if answer.targets else ""
        console.print(f"Nothing is known of this user's past: what is popular decides{beside}.")
    for evidence in answer.evidence[:_SHOWN]:
        reason = max(evidence.contributions, key=lambda name: evidence.contributions[name])
        console.print(
            f"because of {_name(evidence.item_id, titles)}: {evidence.contribution:+.3f}, most of "
            f"it by {reason}"
        )
    rest = answer.evidence[_SHOWN:]
    if rest:
        total = sum(each.contribution for each in rest)
        console.print(f"and of {len(rest)} more past items: {total:+.3f}")


def _name(item_id: str, titles: Mapping[str, str]) -> str:
    title = titles.get(item_id)
    return f"{title} ({item_id})" if title else f"item {item_id}"
