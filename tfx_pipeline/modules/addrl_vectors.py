"""From the ContentEncoder's examples to dense features, a row for each item of the catalogue."""

import glob
import logging
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from addrl_keras.config import Config

_BATCH = 1024

_logger = logging.getLogger(__name__)


def load_vectors(
    config: Config, patterns: Sequence[str], item_ids: Sequence[str]
) -> dict[str, np.ndarray]:
    """Load the vectors of all vector modalities.

    Args:
        config: The model's configuration.
        patterns: Patterns of gzipped TFRecords of the ContentEncoder's tf.Examples.
        item_ids: The items, in the order of the rows.

    Returns:
        By modality float32 `[num_items, dim]`. The row of an item that lacks the modality is zero,
        and so is the one column where no item has it.

    Raises:
        ValueError: If no file matches, or an item of the files is none of `item_ids`.
    """
    names = [modality.name for modality in config.vector_modalities]
    if not names:
        return {}
    files = sorted(file for pattern in patterns for file in glob.glob(pattern))
    if not files:
        raise ValueError(
            f"The modalities {', '.join(names)} need the vectors of the ContentEncoder. Received: "
            f"no file for the patterns {list(patterns)}"
        )
    position = {item_id: row for row, item_id in enumerate(item_ids)}
    spec: dict = {name: tf.io.VarLenFeature(tf.float32) for name in names}
    spec["item_id"] = tf.io.FixedLenFeature([], tf.string)
    features: dict[str, np.ndarray] = {}
    for batch in tf.data.TFRecordDataset(files, compression_type="GZIP").batch(_BATCH):
        parsed = tf.io.parse_example(batch, spec)
        rows = np.array([_get_row(position, item) for item in parsed["item_id"].numpy()])
        for name in names:
            _fill(features, name, parsed[name], rows, len(item_ids))
    for name in names:
        features.setdefault(name, np.zeros((len(item_ids), 1), np.float32))
        present = int(features[name].any(axis=1).sum())
        _logger.info("modality %s: %d of %d items have it", name, present, len(item_ids))
    return features


def _get_row(position: dict[str, int], item: bytes) -> int:
    row = position.get(item.decode())
    if row is None:
        raise ValueError(
            "The vectors and the items do not belong together. Received: vectors of "
            f"{item.decode()!r}, which is not in the catalogue"
        )
    return row


def _fill(
    features: dict[str, np.ndarray],
    name: str,
    vectors: tf.SparseTensor,
    rows: np.ndarray,
    num_items: int,
) -> None:
    """Put the vectors of a batch into their rows; all vectors of a modality are of one length."""
    places = vectors.indices.numpy()
    if not len(places):
        return
    dim = int(places[:, 1].max()) + 1
    if name not in features:
        features[name] = np.zeros((num_items, dim), np.float32)
    features[name][rows[places[::dim, 0]]] = vectors.values.numpy().reshape(-1, dim)
