"""The data set `tables`: two tables of anybody, CSV or Parquet, in the canonical form.

What the columns mean comes as options (`table_options.py`), which a project's `addrl.toml` holds
and `addrl init` proposes. What cannot be read is refused with file, row, column and remedy.
"""

import dataclasses
import logging
import math
import os
import pathlib
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics

from tfx_pipeline.datasets import canonical, staging, writing
from tfx_pipeline.datasets.errors import DataError
from tfx_pipeline.datasets.splits import AUXILIARY
from tfx_pipeline.datasets.table_aggregates import AttachAggregates
from tfx_pipeline.datasets.table_files import FileInfo, list_files, list_tree
from tfx_pipeline.datasets.table_options import TableOptions
from tfx_pipeline.datasets.table_photos import count_shared_names, index_photos
from tfx_pipeline.datasets.table_rows import (
    COUNTERS,
    merge_item,
    merge_pair,
    read_interactions,
    read_items,
)
from tfx_pipeline.datasets.table_splits import AssignSplits

ADAPTER_VERSION = 3

_SHARD_BYTES = 256 << 20

_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class UserTables:
    """The adapter of two tables of one's own.

    Attributes:
        options: Files, columns, aggregates and split.
    """

    options: TableOptions
    name = "tables"

    def write(
        self,
        data_dir: str | os.PathLike | None,
        cache_dir: str | os.PathLike,
        output_dir: str | os.PathLike,
        beam_args: Iterable[str] = (),
    ) -> bool:
        """Write the canonical form.

        Args:
            data_dir: Must be None: the options name the files.
            cache_dir: Not used: nothing is fetched.
            output_dir: Directory to write, left as it is where it is up to date.
            beam_args: Options of the Beam pipeline.

        Returns:
            True if the directory was written, False if it was up to date.

        Raises:
            DataError: If a file is missing or holds what cannot be read.
        """
        del cache_dir
        if data_dir is not None:
            raise DataError(
                "A project names its files in addrl.toml, so a data folder has no use. Received: "
                f"{data_dir}. Leave it out, or change data.interactions.path and data.items.path."
            )
        self.options.validate()
        interactions = list_files(self.options.interactions.path, "interactions")
        items = list_files(self.options.items.path, "items")
        photos = list_tree(self.options.images.directory, "images") if self.options.images else []
        description = {
            "dataset": self.name,
            "adapter_version": ADAPTER_VERSION,
            "options": dataclasses.asdict(self.options),
            "source": [dataclasses.astuple(file) for file in (*interactions, *items, *photos)],
        }
        written = staging.write_directory(
            output_dir,
            description,
            lambda folder: self._produce(interactions, items, photos, folder, beam_args),
        )
        if not written:
            _logger.info("tables: %s is up to date", output_dir)
        return written

    def _produce(
        self,
        interactions: list[FileInfo],
        items: list[FileInfo],
        photos: list[FileInfo],
        folder: pathlib.Path,
        beam_args: Iterable[str],
    ) -> None:
        start = time.monotonic()
        size = sum(file.size for file in (*interactions, *items))
        pipeline = writing.make_pipeline(beam_args)
        with pipeline:
            catalogue = make_items(pipeline, [file.path for file in items], self.options, photos)
            rows = make_interactions(
                pipeline, [file.path for file in interactions], self.options, catalogue
            )
            _ = (
                rows
                | "Pairs" >> beam.MapTuple(lambda split, row, values: (split, row))
                | writing.WriteCanonical(
                    catalogue | AttachAggregates(rows, self.options.aggregates),
                    str(folder),
                    canonical.make_interactions_schema(
                        bool(self.options.interactions.time), bool(self.options.interactions.weight)
                    ),
                    canonical.make_items_schema(self.options.columns),
                    1 + size // _SHARD_BYTES,
                    self.options.interactions.keeps_low_ratings,
                )
            )
        for name, count in _load_counters(pipeline.result).items():
            _logger.warning("tables: %d %s", count, name)
        # How many unknown items are too many is the gate's to say, after this.
        try:
            report = canonical.validate_canonical(
                folder, self.options.columns, max_unknown_share=1.0
            )
        except DataError as error:
            raise DataError(
                f"{error}\nThese tables were made by the settings in [data] of addrl.toml, with "
                f"the split rule {self.options.split.rule!r}."
            ) from error
        _logger.info("tables: %s, in %.1f s", report, time.monotonic() - start)


def make_interactions(
    pipeline: beam.Pipeline, paths: list[str], tables: TableOptions, items: beam.PCollection
) -> beam.PCollection:
    """Make the interactions: one per pair, each with its split.

    A pair with a low rating beside one that makes an interaction is an interaction.

    Args:
        pipeline: The pipeline to read in.
        paths: The files.
        tables: The options.
        items: The items, dictionaries with `item_id`.

    Returns:
        PCollection of (split, row, values): `values` has for each source row of the pair that
        counts the columns that the aggregates name.
    """
    read = (
        pipeline
        | "InteractionFiles" >> beam.Create(paths)
        | "ReadInteractions"
        >> beam.FlatMap(read_interactions, tables).with_outputs(AUXILIARY, main="taken")
    )
    taken = read.taken | "Taken" >> _MergePairs(tables, items)
    rows = taken | AssignSplits(tables.split)
    if not tables.interactions.keeps_low_ratings:
        return rows
    low = read[AUXILIARY] | "Low" >> _MergePairs(tables, items)
    if tables.split.rule == "by_time":
        start = tables.split.cuts[0]
        low |= "BeforeValidation" >> beam.Filter(lambda pair: pair[0]["timestamp"] < start)
    if tables.split.rule == "leave_last_out":
        low = (
            {
                "low": low | "LowByUser" >> beam.Map(lambda pair: (pair[0]["user_id"], pair)),
                "held_out": rows
                | "HeldOut" >> beam.Filter(lambda row: row[0] != "train")
                | "TimeByUser" >> beam.Map(lambda row: (row[1]["user_id"], row[1]["timestamp"])),
            }
            | "JoinUsers" >> beam.CoGroupByKey()
            | "BeforeHeldOut" >> beam.FlatMapTuple(_take_earlier)
        )
    auxiliary = (
        {
            "low": low | "LowByPair" >> beam.Map(_key_by_pair),
            "taken": taken | "TakenByPair" >> beam.Map(_key_by_pair),
        }
        | "JoinPairs" >> beam.CoGroupByKey()
        | "LowAlone" >> beam.FlatMapTuple(lambda _, of: [] if list(of["taken"]) else of["low"])
        | "Auxiliary" >> beam.MapTuple(lambda row, values: (AUXILIARY, row, values))
    )
    return (rows, auxiliary) | "WithAuxiliary" >> beam.Flatten()


def make_items(
    pipeline: beam.Pipeline, paths: list[str], tables: TableOptions, photos: list[FileInfo]
) -> beam.PCollection:
    """Make the items: the whole catalogue, one row per id.

    Args:
        pipeline: The pipeline to read in.
        paths: The files.
        tables: The options.
        photos: Files in the folder of images.

    Returns:
        PCollection of dictionaries with all columns but the aggregates.
    """
    directory = tables.images.directory if tables.images else ""
    found = index_photos(directory, photos)
    shared = count_shared_names(found)
    if shared:
        _logger.warning(
            "tables: %d photos share a name and are found by their paths alone: use "
            "data.images.match, a column that holds such as shoes/7.jpg",
            shared,
        )
    index = pipeline | "Photos" >> beam.Create([found])
    return (
        pipeline
        | "ItemFiles" >> beam.Create(paths)
        | "ReadItems" >> beam.FlatMap(read_items, tables, beam.pvalue.AsSingleton(index))
        | "GroupItem" >> beam.GroupByKey()
        | "MergeItem" >> beam.Map(merge_item, tables.items)
    )


@beam.ptransform_fn
def _MergePairs(rows, tables: TableOptions, items: beam.PCollection):  # noqa: N802
    """From what `read_interactions` yields to (row, values), one a pair of user and item."""
    merged = (
        rows
        | "GroupPair" >> beam.GroupByKey()
        | "MergePair" >> beam.Map(merge_pair, tables.interactions, tables.split)
    )
    if tables.interactions.unknown_items != "drop":
        return merged
    return (
        {
            "rows": merged | "KeyByItem" >> beam.Map(lambda pair: (pair[0]["item_id"], pair)),
            "items": items | "ItemIds" >> beam.Map(lambda item: (item["item_id"], None)),
        }
        | "JoinCatalogue" >> beam.CoGroupByKey()
        | "DropUnknown" >> beam.FlatMapTuple(_drop_unknown)
    )


def _take_earlier(user_id: str, groups: Mapping[str, Iterable[Any]]) -> Iterator[Any]:
    """Take a user's low ratings from before all that is held out of the user's interactions."""
    del user_id
    start = min(groups["held_out"], default=math.inf)
    return (pair for pair in groups["low"] if pair[0]["timestamp"] < start)


def _key_by_pair(pair: tuple[dict[str, Any], Any]) -> tuple[tuple[str, str], Any]:
    return (pair[0]["user_id"], pair[0]["item_id"]), pair


def _drop_unknown(item_id: str, groups: Mapping[str, Iterable[Any]]) -> list[Any]:
    rows = list(groups["rows"])
    if list(groups["items"]):
        return rows
    Metrics.counter(COUNTERS, "interactions with unknown items dropped").inc(len(rows))
    return []


def _load_counters(result: Any) -> dict[str, int]:
    found = result.metrics().query()["counters"]
    return {
        counter.key.metric.name: counter.result
        for counter in found
        if counter.key.metric.namespace == COUNTERS
    }
