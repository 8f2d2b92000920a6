"""The options that steer a list, as settings of the client: weights, wishes and what holds them."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from tfx_pipeline import workspace
from tfx_pipeline.commands import asking, parser
from tfx_pipeline.commands.errors import USAGE, CommandError


def add_options(add: argparse.ArgumentParser) -> None:
    """Adds `--weight`, `--want`, `--strength`, `--hold` and `--no-hold`."""
    parser.add_repeatable(
        add, "--weight", parser.name_weight, "NAME=NUMBER", "weigh an attribute; 1 is neutral"
    )
    parser.add_repeatable(
        add, "--want", parser.name_value, "NAME=VALUE", "push up items with this value"
    )
    add.add_argument(
        "--strength",
        type=parser.finite_float,
        metavar="NUMBER",
        help="with --want: how much it counts, in standard deviations of the user's scores "
        "(default: the model's own)",
    )
    hold = add.add_mutually_exclusive_group()
    parser.add_repeatable(
        hold,
        "--hold",
        parser.name_weight,
        "NAME=NUMBER",
        "with --want: weigh NAME like this among what is wanted, to keep the rest of the "
        "list (default: what was best on validation)",
    )
    hold.add_argument(
        "--no-hold", action="store_true", help="with --want: leave all weights as they are"
    )


def make_settings(options: argparse.Namespace, client: Any) -> dict[str, Any]:
    """Makes settings that `Client.recommend` and `Client.explain` take alike.

    Args:
        options: What `add_options` added.
        client: Who knows the model's names and holding weights.

    Raises:
        CommandError: A name is not the model's, or weighed twice, or an option lacks its `--want`.
    """
    from serving.requests import combine_holds

    if not options.want and (options.hold or options.no_hold or options.strength is not None):
        given = "--hold" if options.hold else "--no-hold" if options.no_hold else "--strength"
        raise CommandError(f"{given} goes with --want NAME=VALUE. Received: no --want.", USAGE)
    weights, held = _get_once("--weight", options.weight), _get_once("--hold", options.hold)
    if weights or options.want:
        names = client.contribution_names()
        asking.validate_names("--weight", weights, names)
        asking.validate_names("--hold", held, names)
        validate_attributes("--want", options.want, names)
    if options.want and not options.no_hold and not held:
        wanted = dict.fromkeys(name for name, _ in options.want)
        held = combine_holds(wanted, _load_hold_weights(options, client))
    return {
        "attribute_weights": weights or None,
        "attribute_targets": asking.group_values(options.want) or None,
        "target_strength": options.strength,
        "hold_weights": held or None,
    }


def _get_once(option: str, pairs: Sequence[tuple[str, float]]) -> dict[str, float]:
    """Gets the weights by name; raises `CommandError` where a name has two."""
    weights = dict(pairs)
    for name in weights:
        given = [f"{weight:g}" for other, weight in pairs if other == name]
        if len(given) > 1:
            raise CommandError(
                f"{option}: {name} is weighed more than once. Received: {', '.join(given)}.", USAGE
            )
    return weights


def validate_attributes(
    option: str, pairs: Sequence[tuple[str, str]], names: Sequence[str]
) -> None:
    """Raises `CommandError` where a pair names no attribute.

    Args:
        option: The option that holds the pairs.
        pairs: Names and values, as given.
        names: The model's chunks.
    """
    attributes = [name for name in names if name not in asking.CHUNKS_WITHOUT_VALUES]
    asking.validate_names(option, [name for name, _ in pairs], attributes)


def explain_refusal(
    options: argparse.Namespace, pairs_by_option: Mapping[str, Sequence[tuple[str, str]]]
) -> None:
    """Raises `CommandError` where the newest version tells that a value was mistyped.

    Asked after the server refused: one elsewhere may serve another version, and decides.

    Args:
        options: With `runs` and `preset`.
        pairs_by_option: Names and values, by the option that has them.
    """
    from tfx_pipeline.index.known import find_values

    place = workspace.Workspace(options.runs, options.preset)
    versions = place.list_versions()
    if not versions or not any(pairs_by_option.values()):
        return
    values = find_values(place.serving / str(versions[0]))
    for option, pairs in pairs_by_option.items():
        asking.validate_values(option, pairs, values)


def explain(
    options: argparse.Namespace,
    client: Any,
    users: Any,
    items: Any,
    history: Sequence[str] | None,
    settings: Mapping[str, Any],
) -> Any:
    """Asks for explanations like the list; of a model too old for that, neutral ones, and warns.

    Args:
        options: With `command`.
        client: Who to ask.
        users: As `Client.explain` takes them, like `items`.
        items: Likewise.
        history: What was given; None where the option was not.
        settings: What `make_settings` made.
    """
    from serving.errors import ServingError

    try:
        return client.explain(users, items, history_ids=history, **settings)
    except ServingError as error:
        if error.code != "FAILED_PRECONDITION" or not any(settings.values()):
            raise
        found = client.explain(users, items, history_ids=history)
    asking.warn(
        options.command,
        "the model is older than reasons with weights and wishes, so they are those without.",
    )
    return found


def _load_hold_weights(
    options: argparse.Namespace, client: Any
) -> Mapping[str, Mapping[str, float]]:
    """Loads the weights that hold a list; none, with a warning, of a model that has none."""
    from serving.errors import ServingError

    try:
        weights: Mapping[str, Mapping[str, float]] = client.profile("").hold_weights
    except ServingError as error:
        if error.code != "FAILED_PRECONDITION":
            raise
        asking.warn(options.command, "the model is older than --hold, so nothing holds the list.")
        return {}
    return weights
