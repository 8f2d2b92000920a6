"""The single steps of adding items, each from what the one before it made."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from addrl_keras import export
from addrl_keras.attach import attach_items
from addrl_keras.catalogue import Catalogue
from addrl_keras.new_items import get_evidence_weights
from tfx_pipeline.components import probing
from tfx_pipeline.configs import PipelineConfig
from tfx_pipeline.datasets.errors import DataError
from tfx_pipeline.examples import make_example
from tfx_pipeline.index.about import Update
from tfx_pipeline.index.aligned import find_empty, make_catalogue, take_items, transform_items
from tfx_pipeline.index.extras import Extras, write_extras
from tfx_pipeline.index.likeness import find_alike
from tfx_pipeline.index.outcome import Alike, LeftOut
from tfx_pipeline.index.table import NewItems
from tfx_pipeline.index.vectors import Encoded, encode_items
from tfx_pipeline.modules.addrl_warmup import make_requests, write_warmup

_SHOWN = 5
_ALIKE = 2


def describe_items(
    config: PipelineConfig,
    extras: Extras,
    items: NewItems,
    folder: pathlib.Path,
    report_dir: pathlib.Path,
    cache_dir: str | os.PathLike,
) -> tuple[Encoded, Catalogue]:
    """Describe new items as the model sees them: vectors, words, attribute values.

    Args:
        config: The preset.
        extras: The fitted model and what it is made of.
        items: The items.
        folder: Where intermediate files go.
        report_dir: Where the list of what items lack goes.
        cache_dir: Folder of encoders and vectors.

    Returns:
        What encoding found, and the catalogue of the items.
    """
    records = [make_example(row).SerializeToString(deterministic=True) for row in items.rows]
    encoded = encode_items(
        extras,
        records,
        items.item_ids,
        folder,
        report_dir,
        cache_dir,
        config.beam_args,
        names=items.names,
        handles={part.name: part.handle for part in config.model.vector_modalities},
    )
    columns = transform_items(extras.transform, records)
    return encoded, make_catalogue(extras, items, columns, encoded.features)


def leave_out(
    extras: Extras, items: NewItems, new: Catalogue
) -> tuple[NewItems, Catalogue, list[LeftOut]]:
    """Leave out items of which nothing is known that says what they are like.

    They would have the score 0 for everybody: at the end of every list, or in front of what a user
    does not like.

    Args:
        extras: The fitted model.
        items: The items.
        new: Their catalogue.

    Returns:
        The others, their catalogue, and those that are left out.

    Raises:
        DataError: If none remains.
    """
    model = extras.result.model.config
    names = [name for name, _ in get_evidence_weights(model)]
    empty = find_empty(new, names)
    parts = {part.name: part.column for part in (*model.content_modalities, *model.attributes)}
    columns = dict.fromkeys(items.names.get(parts[name], parts[name]) for name in names)
    reason = f"nothing is known of it that the model knows: {', '.join(columns)}"
    left = [LeftOut(items.item_ids[i], str(items.places[i]), reason) for i in empty]
    kept = sorted(set(range(new.num_items)) - set(empty))
    if not kept:
        raise DataError(
            f"No item can be added: {reason}. Received: {len(left)} items, the first in "
            f"{left[0].place}. Fill in at least one of these."
        )
    return items.take(kept), take_items(new, kept), left


def attach(extras: Extras, items: NewItems, new: Catalogue, base: int) -> Extras:
    """Attach new items to a fitted model.

    Args:
        extras: The fitted model and what it is made of.
        items: The items.
        new: Their catalogue.
        base: The version that the model comes from.

    Returns:
        The larger model.
    """
    titles = {row["item_id"]: row["title"] for row in items.rows if row["title"]}
    updates = (*extras.about.updates, Update(base, new.item_ids))
    return dataclasses.replace(
        extras,
        result=attach_items(extras.result, new),
        titles={**extras.titles, **titles},
        about=dataclasses.replace(extras.about, updates=updates),
    )


def describe_likeness(larger: Extras, num_new: int) -> dict[str, list[Alike]]:
    """Find for the first new items the old ones that they are like.

    Args:
        larger: The larger model.
        num_new: How many of its last items are new.

    Returns:
        The nearest old items by new item.
    """
    catalogue = larger.result.catalogue
    num_old = catalogue.num_items - num_new
    first = range(num_old, min(num_old + _SHOWN, catalogue.num_items))
    found = find_alike(larger.result.model.config, catalogue, num_old, first, _ALIKE)
    return {
        catalogue.item_ids[position]: [
            Alike(each, larger.titles.get(each, ""), round(how, 4)) for each, how in pairs
        ]
        for position, pairs in zip(first, found, strict=True)
    }


def write_export(config: PipelineConfig, larger: Extras, folder: pathlib.Path) -> None:
    """Write the larger model as a SavedModel that can be served, and be given items again.

    Args:
        config: The preset.
        larger: The larger model and what it is made of.
        folder: Where to write.
    """
    result = larger.result
    export.write_saved_model(result, str(folder))
    requests = make_requests(
        result.model.config, result.catalogue, result.interactions, config.warmup_requests
    )
    # So that the gate asks for a new item, too.
    asked: Mapping[str, Any] = requests[0][1]
    new = list(larger.about.updates[-1].item_ids[:1])
    requests += [
        ("similar_items", {"item_id": new, "k": asked["k"]}),
        ("score", {"user_id": asked["user_id"], "item_ids": [new]}),
        ("explain", {"user_id": asked["user_id"], "item_id": new}),
    ]
    write_warmup(folder, requests)
    write_extras(larger, folder)


def judge(config: PipelineConfig, folder: pathlib.Path) -> tuple[dict[str, Any], list[str]]:
    """Have the servability gate judge an export, as it judges one of a run.

    Args:
        config: The preset, which has the thresholds.
        folder: Folder of the SavedModel.

    Returns:
        What was measured, and why it must not be served.
    """
    report = probing.run_probe(folder)
    gates = config.gates
    return report, probing.find_problems(report, gates.max_latency_ms, gates.max_sum_error)
