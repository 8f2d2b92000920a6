"""Amazon Toys and Games in the canonical form, with the split of the authors of DMRL and AD-DRL.

What there is, and what the data cannot show, is in `docs/data.md`.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import apache_beam as beam

from tfx_pipeline.datasets import toys_source, writing
from tfx_pipeline.datasets.csv_tables import load_csv_rows
from tfx_pipeline.datasets.local_adapter import LocalAdapter, Paths
from tfx_pipeline.datasets.local_sources import TOYS
from tfx_pipeline.datasets.toys_source import ITEMS, PAIR_COLUMNS, TEST, TRAIN

ITEM_COLUMNS = {
    "keywords": "string",
    "asin": "string",
    "brand": "string",
    "category": "string",
    "category_path": "strings",
    "popularity": "int64s",
}


@dataclasses.dataclass(frozen=True)
class Toys(LocalAdapter):
    """The adapter of Amazon Toys and Games.

    Attributes:
        num_shards: Number of Parquet files of the items and of each split.
    """

    num_shards: int = 1
    name: ClassVar = "toys"
    source: ClassVar = TOYS
    item_columns: ClassVar = ITEM_COLUMNS
    version: ClassVar = 1
    has_timestamps: ClassVar = False

    def validate_source(self, paths: Paths) -> None:
        toys_source.validate_source(paths[TRAIN], paths[TEST], paths[ITEMS])

    def make_tables(
        self, pipeline: beam.Pipeline, paths: Paths
    ) -> tuple[beam.PCollection, beam.PCollection]:
        pairs = [
            pipeline
            | f"File_{name}" >> beam.Create([str(paths[name])])
            | f"Read_{name}" >> beam.FlatMap(load_csv_rows, PAIR_COLUMNS)
            | f"Parse_{name}" >> beam.Map(toys_source.parse_pair)
            | f"AssignSplit_{name}" >> beam.Map(_add_split, name)
            for name in (TRAIN, TEST)
        ] | "BothFiles" >> beam.Flatten()
        interactions = pairs | "Rows" >> beam.MapTuple(
            lambda split, user, item, _: (split, {"user_id": user, "item_id": item})
        )
        ids = (
            pairs
            | "IdOfAsin" >> beam.MapTuple(lambda split, user, item, asin: (asin, item))
            | "DistinctIds" >> beam.Distinct()
        )
        features = (
            pipeline
            | "ItemFile" >> beam.Create([str(paths[ITEMS])])
            | "ReadItems" >> beam.FlatMap(load_csv_rows, toys_source.ITEM_COLUMNS)
            | "ParseItems" >> beam.Map(toys_source.parse_item)
        )
        items = (
            {"features": features, "ids": ids}
            | "JoinIds" >> beam.CoGroupByKey()
            | "SetIds" >> beam.FlatMap(_set_ids)
        )
        return interactions, items | writing.AttachPopularity(interactions)


def _add_split(pair: tuple[str, str, str], file: str) -> tuple[str, str, str, str]:
    user_id, item_id, asin = pair
    return toys_source.assign_split(file, user_id, item_id), user_id, item_id, asin


def _set_ids(joined: tuple[str, Mapping[str, Iterable[Any]]]) -> list[dict[str, Any]]:
    """Give the features of an asin to its item; an asin that no pair has gets no id."""
    _, groups = joined
    features = next(iter(groups["features"]), None)
    if features is None:
        return []
    return [{"item_id": item_id, **features} for item_id in groups["ids"]]
