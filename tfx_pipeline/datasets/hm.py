"""H&M purchases in the canonical form: photos, names, descriptions, prices, types and colours.

What there is, and what the data cannot show, is in `docs/data.md`.
"""

import dataclasses
import statistics
from collections.abc import Iterable
from typing import Any, ClassVar

import apache_beam as beam

from tfx_pipeline.datasets import writing
from tfx_pipeline.datasets.csv_tables import load_csv_rows
from tfx_pipeline.datasets.hm_source import (
    ARTICLE_COLUMNS,
    ARTICLES,
    IMAGES,
    PURCHASE_COLUMNS,
    PURCHASES,
    compute_images_fingerprint,
    parse_article,
    parse_purchase,
    validate_source,
)
from tfx_pipeline.datasets.local_adapter import LocalAdapter, Paths
from tfx_pipeline.datasets.local_sources import HM
from tfx_pipeline.datasets.splits import assign_split

ITEM_COLUMNS = {
    "text": "string",
    "image": "string",
    "price": "float",
    "popularity": "int64s",
    "section": "string",
    "product_type": "string",
    "colour": "string",
}


@dataclasses.dataclass(frozen=True)
class HandM(LocalAdapter):
    """The adapter of H&M.

    Attributes:
        num_shards: Number of Parquet files of the items and of each split.
    """

    num_shards: int = 1
    name: ClassVar = "hm"
    source: ClassVar = HM
    item_columns: ClassVar = ITEM_COLUMNS
    version: ClassVar = 1

    def validate_source(self, paths: Paths) -> None:
        validate_source(paths[ARTICLES], paths[PURCHASES])

    def describe(self, paths: Paths) -> dict[str, Any]:
        # The paths of the photos stand in the table, so a folder that moved is another source; a
        # photo that changed must be encoded again, so the table is written again.
        return {
            "images": str(paths[IMAGES]),
            "photos": compute_images_fingerprint(paths[IMAGES]),
        }

    def make_tables(
        self, pipeline: beam.Pipeline, paths: Paths
    ) -> tuple[beam.PCollection, beam.PCollection]:
        purchases = (
            pipeline
            | "PurchaseFile" >> beam.Create([str(paths[PURCHASES])])
            | "ReadPurchases" >> beam.FlatMap(load_csv_rows, PURCHASE_COLUMNS)
            | "ParsePurchases" >> beam.Map(parse_purchase)
            | "ByPair" >> beam.GroupByKey()
            | "AssignSplit" >> beam.MapTuple(make_interaction)
        )
        interactions = purchases | "Rows" >> beam.MapTuple(lambda split, row, _: (split, row))
        prices = (
            purchases
            | "TrainingPrices" >> beam.FlatMapTuple(get_training_prices)
            | "PricesOfItem" >> beam.GroupByKey()
            | "Median" >> beam.MapTuple(lambda item, found: (item, statistics.median(found)))
        )
        items = (
            pipeline
            | "ArticleFile" >> beam.Create([str(paths[ARTICLES])])
            | "ReadArticles" >> beam.FlatMap(load_csv_rows, ARTICLE_COLUMNS)
            | "ParseArticles" >> beam.Map(parse_article, str(paths[IMAGES]))
            | "Price" >> writing.AttachColumn(prices, "price")
        )
        return interactions, items | writing.AttachPopularity(interactions)


def make_interaction(
    pair: tuple[str, str], purchases: Iterable[tuple[int, float]]
) -> tuple[str, dict[str, Any], list[float]]:
    """Make one interaction out of all purchases of an article by a customer.

    Args:
        pair: Customer and article.
        purchases: (seconds, price) of each purchase.

    Returns:
        The split, the row (with the time of the first purchase), and the prices paid.
    """
    user_id, item_id = pair
    purchases = sorted(purchases)
    row = {"user_id": user_id, "item_id": item_id, "timestamp": purchases[0][0]}
    return assign_split(user_id, item_id), row, [price for _, price in purchases]


def get_training_prices(
    split: str, row: dict[str, Any], prices: list[float]
) -> list[tuple[str, float]]:
    """Return (item, price) of each training purchase, and nothing of validation and test.

    Args:
        split: The split of the pair.
        row: The interaction.
        prices: The prices paid.

    Returns:
        One pair per purchase, none where the split is another.
    """
    return [(row["item_id"], price) for price in prices] if split == "train" else []
