"""Beam transforms that write the canonical tables, the same bytes on every runner.

Beam promises no order, so rows go to shards by the hash of their key and are sorted inside a
shard. A shard is held in memory while it is written: give large tables more shards.
"""

import hashlib
import logging
import pathlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.options.pipeline_options import PipelineOptions

from tfx_pipeline.datasets import canonical
from tfx_pipeline.datasets.splits import list_splits

# By its full name: Beam's `DirectRunner` first tries to fetch a Prism binary from the network, and
# runs on whichever of its runners then works.
DEFAULT_BEAM_ARGS = (
    "--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner",
    "--direct_running_mode=in_memory",
)

_logger = logging.getLogger(__name__)


def make_pipeline(beam_args: Iterable[str] = ()) -> beam.Pipeline:
    """Make a Beam pipeline.

    Args:
        beam_args: Pipeline options as on a command line; they win over `DEFAULT_BEAM_ARGS`.

    Returns:
        A pipeline, to be used as a context manager.
    """
    return beam.Pipeline(options=PipelineOptions([*DEFAULT_BEAM_ARGS, *beam_args]))


def write_canonical(
    make_tables: Callable[[beam.Pipeline], tuple[beam.PCollection, beam.PCollection]],
    directory: str | pathlib.Path,
    columns: Mapping[str, str],
    num_shards: int = 1,
    beam_args: Iterable[str] = (),
    timestamp: bool = True,
    auxiliary: bool = False,
) -> canonical.CanonicalReport:
    """Write both tables of the canonical form with a pipeline of their own, and validate them.

    Args:
        make_tables: Gets the pipeline and returns the interactions, a PCollection of (split, row)
            whose rows have `user_id`, `item_id` and, unless there are none, `timestamp`, and the
            items, a PCollection of dictionaries.
        directory: Empty directory to write into.
        columns: Kind of each item column beside `item_id` and `title`, as `make_items_schema`
            takes them.
        num_shards: Number of files of the items and of each split.
        beam_args: Options of the Beam pipeline.
        timestamp: Whether the interactions have times.
        auxiliary: Whether there are auxiliary interactions among them.

    Returns:
        The counts of what was written.

    Raises:
        DataError: If what was written is not sound, for example if a split has no rows.
    """
    with make_pipeline(beam_args) as pipeline:
        interactions, items = make_tables(pipeline)
        _ = interactions | WriteCanonical(
            items,
            str(directory),
            canonical.make_interactions_schema(timestamp),
            canonical.make_items_schema(columns),
            num_shards,
            auxiliary,
        )
    return canonical.validate_canonical(directory, columns)


def compute_shard(key: tuple[str, ...], num_shards: int) -> int:
    """Compute the shard of a row from its key, the same on every machine.

    Args:
        key: The values that identify the row.
        num_shards: Number of shards.

    Returns:
        A number in 0..num_shards-1.
    """
    digest = hashlib.md5("\x1f".join(key).encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[:8], "big") % num_shards


@beam.ptransform_fn
def AttachPopularity(items, interactions):  # noqa: N802 (Beam names transforms so)
    """Attach to each item the number of its training interactions, as `popularity`.

    Validation and test are not looked at, so that nothing of them leaks into an attribute.

    Args:
        items: PCollection of items, dictionaries with `item_id`.
        interactions: PCollection of (split, row), rows being dictionaries with `item_id`.

    Returns:
        PCollection of the items with `popularity`, a list of one number; it is 0 for an item
        without interactions. The column's kind is `int64s`.
    """
    counts = (
        interactions
        | "TrainingOnly" >> beam.Filter(lambda pair: pair[0] == "train")
        | "ItemOfRow" >> beam.Map(lambda pair: (pair[1]["item_id"], 1))
        | "CountPerItem" >> beam.CombinePerKey(sum)
    )
    keyed = items | "KeyByItem" >> beam.Map(lambda item: (item["item_id"], item))
    return (
        {"items": keyed, "counts": counts}
        | "JoinCounts" >> beam.CoGroupByKey()
        | "SetPopularity" >> beam.FlatMap(_set_popularity)
    )


@beam.ptransform_fn
def AttachColumn(items, values, column):  # noqa: N802
    """Attach a column to the items, from values computed elsewhere.

    Args:
        items: PCollection of items, dictionaries with `item_id`.
        values: PCollection of (item_id, value), one per item at most.
        column: Name of the column.

    Returns:
        PCollection of the items with the column, None where there is no value.
    """
    keyed = items | "KeyByItem" >> beam.Map(lambda item: (item["item_id"], item))
    return (
        {"items": keyed, "values": values}
        | "Join" >> beam.CoGroupByKey()
        | "Set" >> beam.FlatMap(_set_column, column)
    )


@beam.ptransform_fn
def WriteCanonical(  # noqa: N802
    interactions,
    items,
    directory,
    interactions_schema,
    items_schema,
    num_shards=1,
    auxiliary=False,
):
    """Write both tables of the canonical form.

    Args:
        interactions: PCollection of (split, row), split being one of `SPLITS`, or `AUXILIARY`, and
            rows being dictionaries with the columns of `interactions_schema`.
        items: PCollection of dictionaries with the columns of `items_schema`.
        directory: Directory to write into.
        interactions_schema: Arrow schema of the interactions.
        items_schema: Arrow schema of the items.
        num_shards: Number of files of the items and of each split.
        auxiliary: Whether there is an auxiliary split.

    Returns:
        PCollection of (path, number of rows).
    """
    directory = pathlib.Path(directory)
    splits = list_splits(auxiliary)
    by_split = interactions | "BySplit" >> beam.Partition(_get_split_index, len(splits), splits)
    written = [
        rows
        | f"Row_{split}" >> beam.Map(lambda pair: pair[1])
        | f"Write_{split}"
        >> WriteTable(
            str(directory / "interactions" / split),
            interactions_schema,
            ("user_id", "item_id"),
            num_shards,
        )
        for split, rows in zip(splits, by_split, strict=True)
    ]
    written.append(
        items
        | "Write_items"
        >> WriteTable(str(directory / "items"), items_schema, ("item_id",), num_shards)
    )
    return written | "Files" >> beam.Flatten()


@beam.ptransform_fn
def WriteTable(rows, directory, schema, key, num_shards=1):  # noqa: N802
    """Write rows as sorted Parquet files named `data-00000-of-0000N.parquet`.

    Args:
        rows: PCollection of dictionaries with the columns of `schema`.
        directory: Directory to write into, made where missing.
        schema: Arrow schema of the files.
        key: Columns that identify a row; rows are spread over files and sorted by them.
        num_shards: Number of files.

    Returns:
        PCollection of (path, number of rows).
    """
    keyed = rows | "KeyByShard" >> beam.Map(
        lambda row: (compute_shard(tuple(row[name] for name in key), num_shards), row)
    )
    # Every shard exists, also one without rows: a file that is not there would look like a loss.
    empty = rows.pipeline | "Shards" >> beam.Create([(shard, None) for shard in range(num_shards)])
    return (
        (keyed, empty)
        | "WithEmpty" >> beam.Flatten()
        | "GroupShard" >> beam.GroupByKey()
        | "WriteShard" >> beam.Map(_write_shard, directory, schema, key, num_shards)
    )


def _get_split_index(pair: tuple[str, Any], num_splits: int, splits: tuple[str, ...]) -> int:
    del num_splits
    return splits.index(pair[0])


def _set_popularity(joined: tuple[str, Mapping[str, Iterable[Any]]]) -> list[dict[str, Any]]:
    """Set the count on each item; an id without an item (unknown to the catalogue) is dropped.

    The count is a list of one, so that a 0 also survives TFX's own Parquet executor, which reads a
    plain 0 as missing; this project's executor (`components/example_gen.py`) keeps both.
    """
    _, groups = joined
    count = sum(groups["counts"])
    return [{**item, "popularity": [count]} for item in groups["items"]]


def _set_column(
    joined: tuple[str, Mapping[str, Iterable[Any]]], column: str
) -> list[dict[str, Any]]:
    _, groups = joined
    value = next(iter(groups["values"]), None)
    return [{**item, column: value} for item in groups["items"]]


def _write_shard(
    group: tuple[int, Iterable[dict[str, Any] | None]],
    directory: str,
    schema: pa.Schema,
    key: tuple[str, ...],
    num_shards: int,
) -> tuple[str, int]:
    """Write one shard; a bundle that Beam runs again replaces its file by the same one."""
    shard, rows = group
    ordered = sorted(
        (row for row in rows if row is not None), key=lambda row: tuple(row[name] for name in key)
    )
    folder = pathlib.Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"data-{shard:05d}-of-{num_shards:05d}.parquet"
    partial = path.with_suffix(".tmp")
    pq.write_table(pa.Table.from_pylist(ordered, schema=schema), partial)
    partial.replace(path)
    _logger.info("%d rows to %s/%s", len(ordered), folder.name, path.name)
    return str(path), len(ordered)
