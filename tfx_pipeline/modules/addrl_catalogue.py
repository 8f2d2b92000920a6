"""From TFX's artifacts to the model's in-memory data: transformed items and raw interactions."""

import dataclasses
import glob
import logging
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import scipy.sparse
import tensorflow as tf
import tensorflow_transform as tft

from addrl_keras.bins import make_bin_names
from addrl_keras.catalogue import AttributeValues, Catalogue, Interactions, make_interactions
from addrl_keras.config import OTHER, Attribute, Config, Modality
from tfx_pipeline.modules.addrl_vectors import load_vectors

_BATCH = 4096

_logger = logging.getLogger(__name__)

Columns = dict[str, tuple[np.ndarray, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class LoadedItems:
    """The catalogue, and what of the transform graph it goes back to.

    Attributes:
        catalogue: The validated catalogue.
        used: By attribute, the index in the transform graph of each of the catalogue's values.
        titles: Titles by item, of those that have one.
    """

    catalogue: Catalogue
    used: Mapping[str, tuple[int, ...]]
    titles: Mapping[str, str]


def load_columns(patterns: Sequence[str], spec: Mapping[str, tf.io.VarLenFeature]) -> Columns:
    """Load columns of gzipped TFRecords of tf.Examples.

    Args:
        patterns: Patterns of files.
        spec: The features to read, all sparse.

    Returns:
        For each feature the row of each value and the values, `[num_values]` both; the key `""`
        has the number of rows as the length of two empty-valued arrays.

    Raises:
        ValueError: If no file matches, or the files hold no example.
    """
    files = sorted(file for pattern in patterns for file in glob.glob(pattern))
    if not files:
        raise ValueError(f"There are no example files. Received: the patterns {list(patterns)}")
    dataset = tf.data.TFRecordDataset(files, compression_type="GZIP").batch(_BATCH)
    parts: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {name: [] for name in spec}
    offset = 0
    for batch in dataset:
        for name, column in tf.io.parse_example(batch, dict(spec)).items():
            rows = column.indices.numpy()[:, 0] + offset
            parts[name].append((rows, column.values.numpy()))
        offset += len(batch)
    if not offset:
        raise ValueError(
            f"The example files are empty. Received: the patterns {list(patterns)}. Each table and "
            "split needs at least one row."
        )
    columns = {
        name: tuple(np.concatenate(arrays) for arrays in zip(*pieces, strict=True))
        for name, pieces in parts.items()
    }
    return {**columns, "": (np.arange(offset), np.arange(offset))}


def load_items(
    config: Config,
    transform_output: tft.TFTransformOutput,
    patterns: Sequence[str],
    vector_patterns: Sequence[str] = (),
) -> LoadedItems:
    """Load the catalogue out of transformed items and their vectors.

    Items are sorted by id, because Beam promises no order and the model's item index should not
    depend on it.

    Args:
        config: The model's configuration.
        transform_output: Has the vocabularies.
        patterns: Patterns of the files of transformed items.
        vector_patterns: Patterns of the files of vectors, which vector modalities need.

    Returns:
        The catalogue and where it comes from.
    """
    spec = transform_output.transformed_feature_spec()
    columns = load_columns(
        patterns, {name: tf.io.VarLenFeature(feature.dtype) for name, feature in spec.items()}
    )
    num_items = len(columns[""][0])
    rows, ids = columns["item_id"]
    if len(rows) != num_items or len(np.unique(rows)) != num_items:
        raise ValueError(
            f"Each item needs exactly one item_id. Received: {len(rows)} ids for {num_items} items."
        )
    ids_by_row = ids[np.argsort(rows, kind="stable")]
    order = np.argsort(ids_by_row)
    position = np.empty(num_items, np.int64)
    position[order] = np.arange(num_items)
    is_integer = {
        name: feature.dtype == tf.int64
        for name, feature in transform_output.raw_feature_spec().items()
    }
    item_ids = tuple(item.decode() for item in ids_by_row[order])
    vectors = load_vectors(config, vector_patterns, item_ids)
    catalogue = Catalogue(
        item_ids=item_ids,
        values={
            attribute.name: _make_values(
                attribute, columns, position, transform_output, is_integer[attribute.column]
            )
            for attribute in config.attributes
        },
        features={
            modality.name: vectors[modality.name]
            if modality.is_vector
            else make_features(modality, columns, position, transform_output)
            for modality in config.content_modalities
        },
    )
    catalogue.validate(config)
    used = {name: find_used_values(name, columns) for name in config.attribute_names}
    return LoadedItems(catalogue, used, _load_titles(columns, item_ids, position))


def load_interactions(
    item_ids: tuple[str, ...],
    train: Sequence[str],
    validation: Sequence[str],
    auxiliary: Sequence[str] = (),
) -> Interactions:
    """Load the interactions of training and validation, and the auxiliary ones.

    Args:
        item_ids: Ids of the catalogue. Interactions with other items are left out and counted in
            the log.
        train: Patterns of the files of raw training examples.
        validation: Likewise of validation.
        auxiliary: Likewise of the auxiliary interactions; none where there are none.

    Returns:
        The validated interactions.

    Raises:
        ValueError: If an interaction has not exactly one user and one item.
    """
    spec = {name: tf.io.VarLenFeature(tf.string) for name in ("user_id", "item_id")}
    pairs = []
    for patterns in (train, validation, *([auxiliary] if auxiliary else [])):
        columns = load_columns(patterns, spec)
        _validate_pairs(columns, patterns)
        pairs.append(tuple(_decode(columns[name][1]) for name in ("user_id", "item_id")))
    interactions, dropped = make_interactions(item_ids, *pairs)
    total = sum(len(users) for users, _ in pairs)
    _logger.info("%d interactions, %d left out: item not in the catalogue", total, dropped)
    interactions.validate()
    return interactions


def _make_values(
    attribute: Attribute,
    columns: Columns,
    position: np.ndarray,
    transform_output: tft.TFTransformOutput,
    is_integer: bool,
) -> AttributeValues:
    rows, index = columns[f"{attribute.name}_xf"]
    used = find_used_values(attribute.name, columns)
    index = np.searchsorted(used, index)
    if attribute.kind == "numeric":
        # Both columns come from the same present values, in the same order.
        numbers = columns[f"{attribute.name}_raw"][1].astype(np.float64)
        lows = [numbers[index == value].min() for value in range(len(used))]
        highs = [numbers[index == value].max() for value in range(len(used))]
        names = make_bin_names(lows, highs, is_integer)
    else:
        known = transform_output.vocabulary_by_name(f"{attribute.name}_values")
        vocabulary = [*_decode(known), OTHER]
        names = tuple(vocabulary[value] for value in used)
    shape = (len(position), len(names))
    matrix = scipy.sparse.csr_matrix(
        (np.ones(len(rows), np.float32), (position[rows], index)), shape=shape
    )
    matrix.data[:] = 1.0  # Several rare values of one item fall together as `(other)`.
    matrix.sort_indices()
    _logger.info("attribute %s: %d values %s", attribute.name, len(names), names[:10])
    return AttributeValues(names, matrix)


def find_used_values(name: str, columns: Columns) -> tuple[int, ...]:
    """Find which of an attribute's values any item has.

    Values that no item has (empty bins, no rare value) would be classes without examples.

    Args:
        name: Name of the attribute.
        columns: Columns of transformed items.

    Returns:
        Indices in the transform graph, ascending; the model's values in their order.
    """
    return tuple(np.unique(columns[f"{name}_xf"][1]).tolist())


def make_features(
    modality: Modality,
    columns: Columns,
    position: np.ndarray,
    transform_output: tft.TFTransformOutput,
) -> scipy.sparse.csr_matrix:
    """Make the tf-idf features of a modality of words or entities.

    Args:
        modality: The modality.
        columns: Columns of transformed items.
        position: Row in the result of each row of the columns.
        transform_output: Has the vocabulary.

    Returns:
        Float32 CSR `[len(position), num_terms]`.
    """
    rows, index = columns[f"{modality.name}_xf_index"]
    _, weight = columns[f"{modality.name}_xf_weight"]
    # A matrix needs a column, also where no term is frequent enough to be one.
    size = max(1, transform_output.vocabulary_size_by_name(f"{modality.name}_terms"))
    matrix = scipy.sparse.csr_matrix(
        (weight.astype(np.float32), (position[rows], index)), shape=(len(position), size)
    )
    matrix.sort_indices()
    _logger.info("modality %s: %d terms, %d entries", modality.name, size, matrix.nnz)
    return matrix


def _load_titles(
    columns: Columns, item_ids: tuple[str, ...], position: np.ndarray
) -> dict[str, str]:
    rows, titles = columns.get("title", ((), ()))
    return {
        item_ids[position[row]]: title.decode() for row, title in zip(rows, titles, strict=True)
    }


def _validate_pairs(columns: Columns, patterns: Sequence[str]) -> None:
    """Validate that each row has one user and one item, which are then paired by position."""
    rows = columns[""][0]
    for name in ("user_id", "item_id"):
        if not np.array_equal(columns[name][0], rows):
            raise ValueError(
                f"Each interaction needs exactly one {name}. Received: {len(columns[name][0])} of "
                f"them for {len(rows)} interactions in {list(patterns)}. Repair these rows."
            )


def _decode(values: Iterable[bytes]) -> np.ndarray:
    return np.array([value.decode() for value in values], dtype=object)
