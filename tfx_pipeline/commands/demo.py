"""The end of `addrl run --demo`: a server, one user, and a list that moves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfx_pipeline import tables, workspace
from tfx_pipeline.commands import asking
from tfx_pipeline.commands.local_server import start_server
from tfx_pipeline.datasets.loading import load_interactions, load_item_ids

K = 10
# How far down the neutral list is looked at, to say where an item came from.
DEPTH = 200
RAISED = 3.0
_SHRINK = 10.0


def run(config: Any, place: workspace.Workspace) -> None:
    """Starts a server on what was pushed, asks for two users, and stops it.

    Args:
        config: The pipeline's configuration.
        place: The folder of the preset.
    """
    console = tables.make_console()
    titles = place.load_titles()
    user, history, num_items = choose_examples(place)
    console.print("\nstarting a server on the pushed model ...")
    with start_server(place) as address:
        options = _Options(address, config.name)
        with asking.connect(options) as client:
            _show(console, client, config, titles, user, history, min(DEPTH, num_items))
    console.print(f"server stopped; its log: {place.server_log}")
    console.print(
        f"Ask for more: `addrl serve {config.name}`, and in another terminal "
        f"`addrl recommend {config.name} {user} --weight NAME=NUMBER`."
    )


class _Options:
    """What `asking.connect` reads of a command line."""

    timeout = 30.0

    def __init__(self, address: str, preset: str):
        self.address = address
        self.preset = preset


def _show(
    console: Any,
    client: Any,
    config: Any,
    titles: Mapping[str, str],
    user: str,
    history: list[str],
    depth: int,
) -> None:
    k = min(K, depth)
    neutral = client.recommend(user, depth, exclude_seen=True)
    # Shown is the head of the long list, from which the ranks before come as well.
    head = type(neutral)(neutral.user_id, neutral.source, neutral.items[:k], neutral.model_version)
    console.print()
    show_values = console.width >= tables.WIDTH_WITH_VALUES
    caption = "all weights neutral"
    table = tables.make_recommendations_table(
        head, titles, None, caption, show_values, console.width
    )
    console.print(table)
    raised = {
        name: client.recommend(user, k, attribute_weights={name: RAISED}, exclude_seen=True)
        for name in config.model.attribute_names
    }
    name = choose_attribute(head.items, raised)
    before = {item.item_id: rank for rank, item in enumerate(neutral.items, start=1)}
    caption = f"weight of {name} raised to {RAISED:g}"
    console.print()
    table = tables.make_recommendations_table(
        raised[name], titles, before, caption, show_values, console.width
    )
    console.print(table)
    names = ", ".join(titles.get(item, item) for item in history)
    console.print(f"\nSomeone the model has never seen, who took {names}:\n")
    unknown = client.recommend("", k, history_ids=history)
    table = tables.make_recommendations_table(
        unknown, titles, show_values=show_values, width=console.width
    )
    console.print(table)
    console.print()


def choose_attribute(neutral: Sequence[Any], raised: Mapping[str, Any]) -> str:
    """Chooses the attribute that moves the list most: it brings in the most new items.

    Args:
        neutral: The items of the neutral list.
        raised: For each attribute the answer with its weight raised; of equals the first wins.
    """
    shown = {item.item_id for item in neutral}
    new = {
        name: sum(item.item_id not in shown for item in answer.items)
        for name, answer in raised.items()
    }
    return max(new, key=lambda name: new[name])


def choose_examples(place: workspace.Workspace) -> tuple[str, list[str], int]:
    """Chooses whom to show, the same on every machine.

    Returns:
        The user whose history has the median length (of equals the first by id); three items that
        go together: the most popular one and the two nearest to it; and the number of items.
    """
    from addrl_keras.baselines.item_knn import compute_similarity

    item_ids = load_item_ids(place.data)
    interactions, _ = load_interactions(place.data, item_ids)
    known = interactions.known
    lengths = np.asarray(known.sum(axis=1)).ravel()
    median = np.argsort(lengths, kind="stable")[len(lengths) // 2]
    user = interactions.user_ids[np.flatnonzero(lengths == lengths[median])[0]]
    first = int(np.argmax(np.asarray(known.sum(axis=0)).ravel()))
    near = compute_similarity(known, _SHRINK, 0.5)[:, [first]].toarray().ravel()
    others = np.argsort(-near, kind="stable")[:2]
    return user, [item_ids[i] for i in (first, *others)], len(item_ids)
