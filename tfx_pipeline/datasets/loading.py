"""The canonical tables in memory, as they lie on disk: for baselines, reports and benchmarks.

The pipeline itself reads them through ExampleGen; the rules of who and what counts are the same.
"""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tfx_pipeline.datasets.errors import DataError
from tfx_pipeline.datasets.splits import AUXILIARY, SPLITS

if TYPE_CHECKING:
    import numpy as np
    import scipy.sparse

    from addrl_keras.catalogue import Interactions


def load_table(
    data: pathlib.Path, name: str, columns: list[str] | None = None
) -> dict[str, list[Any]]:
    """Loads a table.

    Args:
        data: The canonical directory.
        name: `items`, or `interactions/SPLIT`.
        columns: Which columns; None for all.

    Returns:
        The values by column.

    Raises:
        DataError: There is no such table.
    """
    import pyarrow.parquet as pq

    files = sorted((data / name).glob("*.parquet"))
    if not files:
        preset = data.parent.name  # The layout of `tfx_pipeline.workspace`.
        raise DataError(f"{data / name} holds no table. Write it with `addrl run {preset}`.")
    table: dict[str, list[Any]] = {}
    for file in files:
        for column, values in pq.read_table(file, columns=columns).to_pydict().items():
            table.setdefault(column, []).extend(values)
    return table


def load_item_ids(data: pathlib.Path) -> tuple[str, ...]:
    """Loads the ids of the catalogue, sorted, which is the order of the model's item index."""
    return tuple(sorted(load_table(data, "items", ["item_id"])["item_id"]))


def load_interactions(
    data: pathlib.Path, item_ids: tuple[str, ...]
) -> tuple[Interactions, scipy.sparse.csr_matrix]:
    """Loads what is fitted on, and the test matrix over the same users and items.

    Users that occur in test alone have no history and do not count, by the protocol; nor do items
    outside the catalogue. `components/evaluation_rows.py` has the same rule.
    """
    from addrl_keras.catalogue import make_interactions, make_test_matrix

    train, validation, test = (_load_pairs(data, split) for split in SPLITS)
    has_auxiliary = any((data / "interactions" / AUXILIARY).glob("*.parquet"))
    auxiliary = _load_pairs(data, AUXILIARY) if has_auxiliary else None
    interactions, _ = make_interactions(item_ids, train, validation, auxiliary)
    return interactions, make_test_matrix(test, interactions, item_ids)


def load_titles(data: pathlib.Path) -> Mapping[str, str]:
    """Loads the title of each item.

    Returns:
        Titles by item id; nothing where the table or its titles are missing, because a client may
        ask a server whose data lie elsewhere.
    """
    import pyarrow as pa

    try:
        table = load_table(data, "items", ["item_id", "title"])
        pairs = zip(table["item_id"], table["title"], strict=True)
        return {str(item): title for item, title in pairs if title}
    except (pa.ArrowException, KeyError, OSError, ValueError):
        return {}


def load_photos(data: pathlib.Path, column: str) -> dict[str, str]:
    """Loads the path of each item's photo; nothing where there is no such column, or none named."""
    import pyarrow.parquet as pq

    files = sorted(data.glob("items/*.parquet"))
    if not column or not files or column not in pq.read_schema(files[0]).names:
        return {}
    table = load_table(data, "items", ["item_id", column])
    pairs = zip(table["item_id"], table[column], strict=True)
    return {item: path for item, path in pairs if isinstance(path, str) and path}


def _load_pairs(data: pathlib.Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    import numpy as np

    table = load_table(data, f"interactions/{split}", ["user_id", "item_id"])
    return np.array(table["user_id"], object), np.array(table["item_id"], object)
