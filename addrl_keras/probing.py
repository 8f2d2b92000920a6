"""What every chunk of a fitted model tells of every attribute, and the floor under each pair."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.sparse
import scipy.sparse.linalg

from addrl_keras.catalogue import Catalogue
from addrl_keras.config import Config
from addrl_keras.metrics.disentanglement import compute_probe_accuracy
from addrl_keras.watching import get_single_labels

Chunks = Mapping[str, np.ndarray]
Labels = Mapping[str, np.ndarray]
# A memory is as wide as the catalogue; a probe sees its strongest directions.
_MEMORY_DIM = 128
# Of the items, into those that a probe sees and those that it is judged on: with 1,200 of these one
# split tells a share of .15 to a point, and two are no difference.
_SPLITS = 5


def get_labels(config: Config, catalogue: Catalogue) -> Labels:
    """Gets the value of every item by attribute, int `[num_items]`, -1 where it has not one."""
    return {
        name: get_single_labels(catalogue.values[name].matrix) for name in config.attribute_names
    }


def get_chunks(model: Any) -> Chunks:
    """Gets the items' chunks by name: float `[num_items, width]`, the memory reduced by an SVD."""
    chunks = get_tower_chunks(model)
    if model.memory is not None:
        chunks[model.config.chunk_names[-1]] = _reduce_memory(model)
    return chunks


def get_tower_chunks(model: Any) -> dict[str, np.ndarray]:
    """Gets the chunks of the item tower alone, by name: float `[num_items, width]`."""
    vectors = np.asarray(model.item_tower(None))
    names = model.config.chunk_names[: len(model.chunk_dims)]
    ends = np.cumsum(model.chunk_dims)[:-1]
    return dict(zip(names, np.split(vectors, ends, axis=1), strict=True))


def _reduce_memory(model: Any) -> np.ndarray:
    """Reduces the memory to its strongest directions; one that holds nothing has none.

    It is the memory without what is accounted to the attributes, as contributions are split.
    """
    weights = model.memory.compute_matrix().T.astype(np.float32)
    if not weights.count_nonzero():
        return np.zeros((weights.shape[0], 1), np.float32)
    attributes, accounted = (
        scipy.sparse.linalg.aslinearoperator(np.asarray(part))
        for part in (model.item_tower.compute_attributes(), model.memory.accounted.numpy().T)
    )
    # Never formed: with what is accounted it is no longer sparse.
    whole = scipy.sparse.linalg.aslinearoperator(weights) - attributes @ accounted
    dim = min(_MEMORY_DIM, weights.shape[0] - 1)
    left, sizes, _ = scipy.sparse.linalg.svds(whole, k=dim, random_state=0)
    return left * sizes


def probe_all(vectors: np.ndarray, labels: Labels, seed: int = 0) -> dict[str, float]:
    """Reads every attribute from vectors, averaged over splits of the items.

    Args:
        vectors: Float `[num_items, width]`.
        labels: Of the items.
        seed: Of the splits; no two seeds have one in common.

    Returns:
        The accuracy by attribute.
    """
    return {name: _probe(vectors, values, seed)[0] for name, values in labels.items()}


def _probe(vectors: np.ndarray, labels: np.ndarray, seed: int) -> tuple[float, float]:
    splits = range(_SPLITS * seed, _SPLITS * (seed + 1))
    found = [compute_probe_accuracy(vectors, labels, seed=split) for split in splits]
    accuracy, majority = np.mean(found, axis=0)
    return round(float(accuracy), 4), round(float(majority), 4)


def compute_majorities(labels: Labels, seed: int = 0) -> dict[str, float]:
    """Computes how often the most frequent value is right on the items that a probe is judged on.

    Args:
        labels: Of the items.
        seed: Of the splits, as in `probe_all`.

    Returns:
        The share by attribute.
    """
    nothing = {name: np.zeros((len(values), 1)) for name, values in labels.items()}
    return {name: _probe(nothing[name], values, seed)[1] for name, values in labels.items()}


def compute_floor(labels: Labels, seed: int = 0) -> dict[str, dict[str, float]]:
    """Computes what the label of each attribute alone tells of each other.

    Attributes are correlated by nature, so no chunk that stands for one can tell less.

    Args:
        labels: Of the items.
        seed: Of the splits, as in `probe_all`.

    Returns:
        By attribute that is known the accuracies by attribute that is told.
    """
    return {name: probe_all(_one_hot(values), labels, seed) for name, values in labels.items()}


def compare_known(
    chunks: Chunks, labels: Labels, seed: int = 0
) -> dict[str, dict[str, dict[str, float]]]:
    """Compares a chunk with its attribute's label, on the items that have one.

    The chunk of an item without a label is a guess by its content, which no floor knows.

    Args:
        chunks: Float `[num_items, width]` by name, with those of all attributes.
        labels: Of the items.
        seed: Of the splits, as in `probe_all`.

    Returns:
        By attribute that is known and other attribute: how often the latter is told, `told` by the
        chunk and `floor` by the label.
    """
    found = {}
    for name, own in labels.items():
        others = {
            other: np.where(own >= 0, values, -1)
            for other, values in labels.items()
            if other != name
        }
        told, floor = (probe_all(part, others, seed) for part in (chunks[name], _one_hot(own)))
        found[name] = {other: {"told": told[other], "floor": floor[other]} for other in others}
    return found


def _one_hot(labels: np.ndarray) -> np.ndarray:
    # One column at least, where no item has exactly one value.
    rows = np.zeros((len(labels), max(1, labels.max(initial=-1) + 1)), np.float32)
    known = np.flatnonzero(labels >= 0)
    rows[known, labels[known]] = 1.0
    return rows
