"""A preset's model with one thing changed: terms, fusion, modalities, attributes, widths, bins."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import scipy.sparse

from addrl_keras.catalogue import AttributeValues, Catalogue
from addrl_keras.config import EASE, Config
from benchmarks.fitted import Data

Variant = tuple[Config, Catalogue]
CHUNK_DIMS = (8, 16, 32, 64)
VALUE_DIMS = (8, 32)
BINS = (5, 10, 20)
# The paper's terms of the content side, the first ten and a hundred times below the last.
PAPER_TERMS = {"intra": 0.1, "inter": 0.01, "value": 1.0}


def make_ablations(data: Data) -> dict[str, Variant]:
    """Makes the variants of a preset's model, by name.

    Args:
        data: The preset's data; `numbers` is what numeric attributes are binned from.

    Returns:
        By name the configuration and the catalogue to fit it on.
    """
    config, catalogue = data.config, data.catalogue
    variants = {name: (changed, catalogue) for name, changed in _change(config).items()}
    for bins in BINS:
        variants[f"bins_{bins}"] = (config, bin_anew(data, bins))
    return variants


def _change(config: Config) -> dict[str, Config]:
    """Returns the variants that leave the catalogue as it is."""
    variants = {
        "no_intra_inter": _set(config, "losses", intra=0.0, inter=0.0),
        "intra_inter": _set(config, "losses", **PAPER_TERMS),
        "no_value_heads": _set(config, "losses", value=0.0),
        "no_attribute_terms": _set(config, "losses", intra=0.0, inter=0.0, value=0.0),
        "uniform_fusion": _set(config, "model", fusion="uniform"),
        "no_memory": _set(config, "model", memory_size=0),
        "ease_teacher": _set(
            config, "start", blend=((EASE, 1.0),), side_information=(), auxiliary_weight=0.0
        ),
    }
    if config.start.auxiliary_weight:
        variants["without_auxiliary"] = _set(config, "start", auxiliary_weight=0.0)
    for dim in CHUNK_DIMS:
        variants[f"chunk_dim_{dim}"] = _set(config, "model", chunk_dim=dim)
    for dim in VALUE_DIMS:
        variants[f"value_dim_{dim}"] = _set(config, "model", value_dim=dim)
    names = [modality.name for modality in config.content_modalities]
    for name in names:
        variants[f"without_{name}"] = leave_out(config, name)
        if len(names) > 2:
            variants[f"only_{name}"] = leave_out(
                config, *(other for other in names if other != name)
            )
    if len(names) > 1:
        variants["id_alone"] = leave_out(config, *names)
    if len(config.attributes) > 1:
        for name in config.attribute_names:
            variants[f"without_{name}"] = leave_out(config, name)
    # Added one by one, in their order; without one there is no model.
    for count in range(1, len(config.attributes)):
        variants[f"attributes_{count}"] = leave_out(config, *config.attribute_names[count:])
    different: dict[str, Config] = {}
    for name, changed in variants.items():
        if changed not in (config, *different.values()):
            different[name] = changed
    return different


def leave_out(config: Config, *names: str) -> Config:
    """Leaves attributes and modalities out of a configuration, wherever it names them.

    What they were the evidence for goes too; EASE stands in where no part of the teacher is left.
    """

    def keep(pairs: Any) -> tuple[tuple[str, float], ...]:
        return tuple((name, weight) for name, weight in pairs if name not in names)

    start = dataclasses.replace(
        config.start,
        blend=keep(config.start.blend) or ((EASE, 1.0),),
        side_information=keep(config.start.side_information),
    )
    new_items = dataclasses.replace(config.new_items, evidence=keep(config.new_items.evidence))
    return dataclasses.replace(
        config,
        attributes=tuple(part for part in config.attributes if part.name not in names),
        modalities=tuple(part for part in config.modalities if part.name not in names),
        start=start,
        new_items=new_items,
    )


def bin_anew(data: Data, bins: int) -> Catalogue:
    """Cuts the numeric attributes into other quantile bins.

    Args:
        data: The data; `data.numbers` has the attributes' numbers.
        bins: How many bins of about equal size; fewer where many items share a number.
    """
    values = dict(data.catalogue.values)
    for name, numbers in data.numbers.items():
        known = np.flatnonzero(np.isfinite(numbers))
        inner = np.linspace(0, 1, bins + 1)[1:-1]
        edges = np.unique(np.quantile(numbers[known], inner))
        index = np.digitize(numbers[known], edges)
        used, index = np.unique(index, return_inverse=True)
        matrix = scipy.sparse.csr_matrix(
            (np.ones(len(known), np.float32), (known, index)), shape=(len(numbers), len(used))
        )
        values[name] = AttributeValues(tuple(f"bin {i}" for i in used), matrix)
    return dataclasses.replace(data.catalogue, values=values)


def _set(config: Config, section: str, **fields: Any) -> Config:
    return dataclasses.replace(
        config, **{section: dataclasses.replace(getattr(config, section), **fields)}
    )
