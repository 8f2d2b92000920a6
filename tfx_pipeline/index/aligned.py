"""New items as a fitted model sees them: through its transform graph, with its value names."""

import collections
import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy.sparse
import tensorflow as tf
import tensorflow_transform as tft

from addrl_keras.catalogue import AttributeValues, Catalogue, Features
from addrl_keras.config import OTHER, Attribute
from tfx_pipeline.index.extras import Extras
from tfx_pipeline.index.table import NewItems
from tfx_pipeline.modules.addrl_catalogue import Columns, make_features

_BATCH = 4096


@dataclasses.dataclass(frozen=True)
class ValueCounts:
    """What came of the values of one attribute.

    Attributes:
        known: Number of items with a value that the model knows.
        missing: Number of items without one; the model guesses it from their content.
        as_other: Of the known, the number of items whose every value is `(other)` to the model.
        new_values: Number of items by value that the model has never seen, the most common first.
    """

    known: int
    missing: int
    as_other: int
    new_values: Mapping[str, int]


def transform_items(transform: pathlib.Path, records: Sequence[bytes]) -> Columns:
    """Apply the transform graph of a model; nothing is analysed anew.

    Args:
        transform: Folder of the graph.
        records: Serialised tf.Examples of raw items.

    Returns:
        For each output the row of each value and the values, as
        `modules.addrl_catalogue.load_columns` has them.
    """
    output = tft.TFTransformOutput(str(transform))
    parts: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    # A graph and a session, because the graph is of TensorFlow 1's form (`force_tf_compat_v1`).
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        batch = tf.compat.v1.placeholder(tf.string, [None])
        raw = tf.io.parse_example(batch, output.raw_feature_spec())
        outputs = dict(output.transform_raw_features(raw))
        session.run(tf.compat.v1.tables_initializer())
        for start in range(0, len(records), _BATCH):
            found = session.run(outputs, {batch: records[start : start + _BATCH]})
            for name, column in found.items():
                parts.setdefault(name, []).append((column.indices[:, 0] + start, column.values))
    columns = {
        name: tuple(np.concatenate(arrays) for arrays in zip(*pieces, strict=True))
        for name, pieces in parts.items()
    }
    return {**columns, "": (np.arange(len(records)), np.arange(len(records)))}


def make_catalogue(
    extras: Extras, items: NewItems, columns: Columns, vectors: Mapping[str, np.ndarray]
) -> Catalogue:
    """Make the catalogue of new items, with the value names and widths of a fitted model.

    Args:
        extras: The fitted model and what it is made of.
        items: The items.
        columns: What `transform_items` returned for them.
        vectors: Features of each vector modality, float32 `[num_items, dim]`.

    Returns:
        The catalogue.
    """
    config = extras.result.model.config
    output = tft.TFTransformOutput(str(extras.transform))
    values = {}
    for attribute in config.attributes:
        rows, index = columns[f"{attribute.name}_xf"]
        used = extras.about.used[attribute.name]
        matrix = align_values(attribute, rows, index, used, len(items.rows))
        names = extras.result.catalogue.values[attribute.name].names
        values[attribute.name] = AttributeValues(names, matrix)
    place = np.arange(len(items.rows))
    features: dict[str, Features] = {
        modality.name: vectors[modality.name]
        if modality.is_vector
        else make_features(modality, columns, place, output)
        for modality in config.content_modalities
    }
    return Catalogue(items.item_ids, values, features)


def count_values(extras: Extras, items: NewItems, catalogue: Catalogue) -> dict[str, ValueCounts]:
    """Count what came of the attribute values of new items.

    Args:
        extras: The fitted model and what it is made of.
        items: The items.
        catalogue: What `make_catalogue` made of them.

    Returns:
        The counts by attribute.
    """
    output = tft.TFTransformOutput(str(extras.transform))
    return {
        attribute.name: _count(attribute, catalogue.values[attribute.name], items, output)
        for attribute in extras.result.model.config.attributes
    }


def align_values(
    attribute: Attribute,
    rows: np.ndarray,
    index: np.ndarray,
    used: Sequence[int],
    num_items: int,
) -> scipy.sparse.csr_matrix:
    """Align values of the transform graph with those that a model has.

    A number in a bin that no item had falls into the nearest that one had. A value outside of the
    vocabulary is `(other)` where the model has that, and missing elsewhere.

    Args:
        attribute: The attribute.
        rows: Item of each value.
        index: The values, as the transform graph numbers them.
        used: Number in the graph of each of the model's values, ascending.
        num_items: Number of items.

    Returns:
        Binary CSR `[num_items, len(used)]`.

    Example:
        >>> year = Attribute("year", "year", kind="numeric")
        >>> align_values(year, [0, 1], [1, 4], used=[0, 3], num_items=2).toarray().tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    known = np.asarray(used, np.int64)
    rows, index = np.asarray(rows, np.int64), np.asarray(index, np.int64)
    if not len(known):  # No item had a value: there is nothing to align with.
        return scipy.sparse.csr_matrix((num_items, 0), dtype=np.float32)
    if attribute.kind == "numeric":
        position = np.abs(index[:, None] - known[None, :]).argmin(axis=1)
    else:
        position = np.searchsorted(known, index).clip(max=len(known) - 1)
        found = known[position] == index
        rows, position = rows[found], position[found]
    ones = np.ones(len(rows), np.float32)
    matrix = scipy.sparse.csr_matrix((ones, (rows, position)), shape=(num_items, len(known)))
    matrix.data[:] = 1.0
    matrix.sort_indices()
    return matrix


def find_empty(catalogue: Catalogue, names: Sequence[str]) -> list[int]:
    """Find items of which no evidence is known, so that they cannot be placed.

    Args:
        catalogue: The items.
        names: Modalities and attributes that count as evidence.

    Returns:
        Their positions.
    """
    known = np.zeros(catalogue.num_items, bool)
    for name in names:
        if name in catalogue.values:
            known |= catalogue.values[name].known
            continue
        features = catalogue.features[name]
        dense = features if isinstance(features, np.ndarray) else abs(features).sum(axis=1)
        known |= np.asarray(dense != 0).reshape(catalogue.num_items, -1).any(axis=1)
    return np.flatnonzero(~known).tolist()


def take_items(catalogue: Catalogue, positions: Sequence[int]) -> Catalogue:
    """Take some items of a catalogue.

    Args:
        catalogue: The items.
        positions: Which of them.

    Returns:
        A smaller catalogue.
    """
    rows = list(positions)
    return Catalogue(
        tuple(catalogue.item_ids[row] for row in rows),
        {
            name: AttributeValues(each.names, each.matrix[rows])
            for name, each in catalogue.values.items()
        },
        {name: features[rows] for name, features in catalogue.features.items()},
    )


def _count(
    attribute: Attribute, values: AttributeValues, items: NewItems, output: tft.TFTransformOutput
) -> ValueCounts:
    known = values.known
    new: collections.Counter[str] = collections.Counter()
    if attribute.kind == "categorical":
        vocabulary = {
            value.decode() for value in output.vocabulary_by_name(f"{attribute.name}_values")
        }
        for row in items.rows:
            new.update(set(_list(row.get(attribute.column))) - vocabulary)
    only_other = 0
    if OTHER in values.names:
        others = values.matrix[:, [values.names.index(OTHER)]].toarray().ravel() > 0
        only_other = int((others & (np.diff(values.matrix.indptr) == 1)).sum())
    return ValueCounts(int(known.sum()), int((~known).sum()), only_other, dict(new.most_common()))


def _list(value: Any) -> list[str]:
    parts = value if isinstance(value, list) else [value]
    return [str(part) for part in parts if part is not None and part != ""]
