"""Data sets: adapters that write the canonical form, and the check of that form.

Example:
    make_dataset("movielens").write(None, "~/.cache/addrl", "runs/movielens/data")
"""

import importlib
import os
from collections.abc import Iterable
from typing import Any, Protocol

from tfx_pipeline.datasets.errors import DataError

# Where each adapter lives; imported when asked for, because Beam takes seconds to import.
DATASETS = {
    "gift_cards": "tfx_pipeline.datasets.gift_cards:GiftCards",
    "hm": "tfx_pipeline.datasets.hm:HandM",
    "movielens": "tfx_pipeline.datasets.movielens:MovieLens",
    "planted": "tfx_pipeline.datasets.planted:Planted",
    "tables": "tfx_pipeline.datasets.user_tables:UserTables",
    "toys": "tfx_pipeline.datasets.toys:Toys",
}


class Dataset(Protocol):
    """An adapter: writes one data set in the canonical form (`canonical.py`)."""

    name: str

    def write(
        self,
        data_dir: str | os.PathLike | None,
        cache_dir: str | os.PathLike,
        output_dir: str | os.PathLike,
        beam_args: Iterable[str] = (),
    ) -> bool:
        """Write the canonical form.

        Args:
            data_dir: Folder with the source files; None has them fetched.
            cache_dir: Folder that keeps fetched files between runs.
            output_dir: Directory to write, left as it is where it is up to date.
            beam_args: Options of the Beam pipeline, as on a command line.

        Returns:
            True if the directory was written, False if it was up to date.

        Raises:
            DataError: If the source is missing, damaged or cannot be fetched.
        """
        ...


def make_dataset(name: str, **options: Any) -> Dataset:
    """Make an adapter.

    Args:
        name: A key of `DATASETS`.
        **options: Fields of the adapter, such as `size` of `planted`.

    Returns:
        The adapter.

    Raises:
        DataError: If there is no data set of this name; it is a `ValueError`.
        TypeError: If the adapter has no such option.
    """
    if name not in DATASETS:
        raise DataError(
            f"There is no data set of this name. Received: {name!r}. "
            f"Choose one of {', '.join(sorted(DATASETS))}."
        )
    module, adapter = DATASETS[name].split(":")
    return getattr(importlib.import_module(module), adapter)(**options)
