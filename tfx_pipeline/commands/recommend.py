"""`addrl recommend`: asks a server for recommendations and shows what each attribute adds."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tfx_pipeline import workspace
from tfx_pipeline.commands import asking, parser, steering
from tfx_pipeline.commands.errors import USAGE, CommandError

# Users in one request: large enough to keep the server busy, small enough to answer in a second.
CHUNK = 128


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """Adds the command."""
    add = subparsers.add_parser(
        "recommend",
        help="ask a running server for recommendations",
        description="Asks a running server for recommendations, over gRPC.",
        epilog="An unknown user without --history gets the popular items.",
    )
    parser.add_preset(add)
    add.add_argument("users", metavar="USER", nargs="*", type=parser.some_id, help="id of a user")
    add.add_argument("--users-file", metavar="FILE", help="more users, one a line; - for the input")
    add.add_argument("--k", type=parser.positive_int, default=10, help="length (default: 10)")
    steering.add_options(add)
    parser.add_repeatable(
        add, "--filter", parser.name_value, "NAME=VALUE", "only items with this value"
    )
    add.add_argument(
        "--history", type=parser.id_list, metavar="ID,ID", help="take these items as the history"
    )
    add.add_argument(
        "--exclude", type=parser.id_list, metavar="ID,ID", help="leave these items out"
    )
    add.add_argument("--why", action="store_true", help="print the reason for every item")
    seen = add.add_mutually_exclusive_group()
    seen.add_argument(
        "--exclude-seen",
        action="store_true",
        default=True,
        help="leave out what the model knows the user has (default)",
    )
    seen.add_argument("--include-seen", dest="exclude_seen", action="store_false")
    parser.add_address(add)
    output = add.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="one JSON document")
    output.add_argument(
        "--csv", metavar="FILE", help="write user,item,rank,score; - for the output"
    )
    return add


def run(options: argparse.Namespace) -> int:
    """Runs the command."""
    from serving.errors import ServingError

    if options.why and options.csv:
        raise CommandError("--why has no place in --csv; use --json. Received: both.", USAGE)
    users = load_users(options.users, options.users_file, bool(options.history))
    place = workspace.Workspace(options.runs, options.preset)
    with asking.connect(options) as client:
        settings = steering.make_settings(options, client)
        if options.filter:
            steering.validate_attributes("--filter", options.filter, client.contribution_names())
        asking.validate_history(options, client, options.history)
        asking.check_excluded(options, client, options.exclude)
        chosen = {
            "attribute_filters": asking.group_values(options.filter) or None,
            "history_ids": options.history,
            "exclude_ids": options.exclude,
            "exclude_seen": options.exclude_seen,
        }
        try:
            answers = list(ask(client, users, options.k, {**settings, **chosen}))
        except ServingError:
            pairs = {"--want": options.want, "--filter": options.filter}
            steering.explain_refusal(options, pairs)
            raise
        reasons: Reasons = {}
        if options.why:
            reasons = explain_lists(options, client, answers, settings)
    answered = {each.model_version for each in (*answers, *reasons.values())}
    asking.warn_of_other_versions(options, answered)
    if options.csv:
        return _write_csv(options.csv, answers, len(users))
    titles = place.load_titles()
    if options.json:
        document = make_document(options.preset, options.k, answers, titles, reasons)
        print(json.dumps(document, indent=2, ensure_ascii=False))
        return 0
    _print_tables(answers, titles, reasons)
    return 0


def load_users(users: Sequence[str], file: str | None, has_history: bool) -> list[str]:
    """Returns all users that are asked for, in the order given.

    Args:
        users: From the command line.
        file: A file with one user a line, `-` for the standard input; None for no file.
        has_history: Whether a history is given, which then needs no user.

    Raises:
        CommandError: There is no user, or no such file.
    """
    found = list(users)
    if file:
        try:
            text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(
                f"--users-file cannot be read ({error}). Received: {file!r}.", USAGE
            ) from error
        found += [line.strip() for line in text.splitlines() if line.strip()]
        if not found:
            raise CommandError(f"--users-file holds no user. Received: {file!r}.", USAGE)
    if not found and not has_history:
        raise CommandError("name a USER, or give --users-file FILE or --history ID,ID.", USAGE)
    return found or [""]


def ask(client: Any, users: Sequence[str], k: int, settings: Mapping[str, Any]) -> Iterator[Any]:
    """Yields one answer a user, asked in chunks, with progress on the error stream."""
    for start in range(0, len(users), CHUNK):
        chunk = list(users[start : start + CHUNK])
        yield from client.recommend(chunk, k, **settings)
        if len(users) > CHUNK and sys.stderr.isatty():
            done = min(start + CHUNK, len(users))
            end = "\n" if done == len(users) else ""
            print(f"\r{done:,} of {len(users):,} users", end=end, file=sys.stderr, flush=True)


Reasons = Mapping[tuple[str, str], Any]


def explain_lists(
    options: argparse.Namespace, client: Any, answers: Sequence[Any], settings: Mapping[str, Any]
) -> Reasons:
    """Explains every item of every list with the settings that it has, by user and item."""
    reasons = {}
    for answer in answers:
        items = [item.item_id for item in answer.items]
        if items:
            users = [answer.user_id] * len(items)
            found = steering.explain(options, client, users, items, options.history, settings)
            reasons |= {(answer.user_id, each.item_id): each for each in found}
    return reasons


def make_document(
    preset: str,
    k: int,
    answers: Sequence[Any],
    titles: Mapping[str, str],
    reasons: Reasons,
) -> dict[str, Any]:
    """Makes the JSON document: the answers as the client returns them, with titles and reasons."""
    from serving.sentences import make_sentence

    users = []
    for answer in answers:
        user = answer.as_dict()
        for rank, item in enumerate(user["items"], start=1):
            item.update(rank=rank, title=titles.get(item["item_id"]))
            why = reasons.get((answer.user_id, item["item_id"]))
            if why is not None:
                item["why"] = make_sentence(why, titles)
                item["evidence"] = [dataclasses.asdict(each) for each in why.evidence]
        users.append(user)
    return {"preset": preset, "k": k, "users": users}


def _write_csv(path: str, answers: Sequence[Any], count: int) -> int:
    import csv
    import io

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["user", "item", "rank", "score"])
    rows = 0
    for answer in answers:
        for rank, item in enumerate(answer.items, start=1):
            writer.writerow([answer.user_id, item.item_id, rank, repr(item.score)])
            rows += 1
    if path == "-":
        sys.stdout.write(text.getvalue())
        return 0
    workspace.write_text(Path(path), text.getvalue())
    print(f"{rows:,} rows of {count:,} users in {path}")
    return 0


def _print_tables(answers: Sequence[Any], titles: Mapping[str, str], reasons: Reasons) -> None:
    from serving.sentences import make_sentence
    from tfx_pipeline import tables

    console = tables.make_console()
    for number, answer in enumerate(answers):
        if number:
            console.print()
        table = tables.make_recommendations_table(answer, titles, width=console.width)
        console.print(table)
        for rank, item in enumerate(answer.items, start=1):
            why = reasons.get((answer.user_id, item.item_id))
            if why is not None:
                console.print(f"{rank:4d}  {make_sentence(why, titles)}{_word_past(why, titles)}")


def _word_past(why: Any, titles: Mapping[str, str]) -> str:
    """Words the past item that argues most: because of it, so much, mostly by what."""
    if not why.evidence or why.evidence[0].contribution <= 0:
        return ""
    past = why.evidence[0]
    parts = sorted(past.contributions, key=lambda name: -past.contributions[name])[:2]
    shares = ", ".join(f"{name} {past.contributions[name]:+.2f}" for name in parts)
    name = titles.get(past.item_id) or past.item_id
    return f" Over all parts most by {name}: {past.contribution:+.2f} of {why.score:.2f} ({shares})"
