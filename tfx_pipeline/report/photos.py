"""Where the photos of items are: in the tables, or in the examples made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tfx_pipeline.commands import workspace
from tfx_pipeline.configs import PipelineConfig

# Modality whose column holds the paths of photos.
_PHOTO = "image"


def find_photo_column(config: PipelineConfig) -> str:
    """Finds the items' column of photos; "" where no modality is of photos."""
    columns = [part.column for part in config.model.content_modalities if part.name == _PHOTO]
    return columns[0] if columns else ""


def load_photos_of_examples(patterns: Sequence[str], column: str) -> dict[str, str]:
    """Loads the paths of the photos by item.

    Args:
        patterns: Patterns of the files of raw items.
        column: Their column of photos; "" where there is none.
    """
    import tensorflow as tf

    from tfx_pipeline.modules.addrl_catalogue import load_columns

    if not column:
        return {}
    wanted = ("item_id", column)
    columns = load_columns(patterns, {name: tf.io.VarLenFeature(tf.string) for name in wanted})
    paths = dict(zip(*(part.tolist() for part in columns[column]), strict=True))
    rows, ids = columns["item_id"]
    return {
        item.decode(): paths[row].decode()
        for row, item in zip(rows.tolist(), ids.tolist(), strict=True)
        if row in paths
    }


def load_photos_of_tables(place: workspace.Workspace, column: str) -> Mapping[str, str]:
    """Loads the paths of the photos by item.

    Args:
        place: The folder of the preset, with the canonical tables.
        column: The items' column of photos; "" where there is none.
    """
    import pyarrow.parquet as pq

    files = sorted(place.data.glob("items/*.parquet"))
    if not column or not files or column not in pq.read_schema(files[0]).names:
        return {}
    table = pq.read_table(place.data / "items", columns=["item_id", column]).to_pydict()
    pairs = zip(table["item_id"], table[column], strict=True)
    return {item: path for item, path in pairs if isinstance(path, str) and path}
