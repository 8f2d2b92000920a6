"""Amazon Gift Cards (2018) in the canonical form, from the raw reviews and metadata.

What there is, and what the data cannot show, is in `docs/data.md`.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import apache_beam as beam

from tfx_pipeline.datasets import gift_cards_source, writing
from tfx_pipeline.datasets.errors import DataError
from tfx_pipeline.datasets.gift_cards_source import PRODUCTS, REVIEWS
from tfx_pipeline.datasets.json_lines import JsonRow, load_json_rows
from tfx_pipeline.datasets.local_adapter import LocalAdapter, Paths
from tfx_pipeline.datasets.local_sources import GIFT_CARDS
from tfx_pipeline.datasets.splits import assign_split

ITEM_COLUMNS = {
    "text": "string",
    "reviews": "string",
    "price": "float",
    "popularity": "int64s",
    "brand": "string",
    "categories": "strings",
    "rank": "int64",
}
CATALOGUES = ("reviewed", "all")


@dataclasses.dataclass(frozen=True)
class GiftCards(LocalAdapter):
    """The adapter of Amazon Gift Cards.

    Attributes:
        catalogue: `reviewed`, the products that the 5-core has reviews of, whatever the stars; or
            `all` of the metadata, ten times as many, most of them not sold any more.
        num_shards: Number of Parquet files of the items and of each split.
    """

    catalogue: str = "reviewed"
    num_shards: int = 1
    name: ClassVar = "gift_cards"
    source: ClassVar = GIFT_CARDS
    item_columns: ClassVar = ITEM_COLUMNS
    version: ClassVar = 1

    def __post_init__(self):
        if self.catalogue not in CATALOGUES:
            raise DataError(
                f"The catalogue must be one of {', '.join(CATALOGUES)}. "
                f"Received: {self.catalogue!r}."
            )

    def validate_source(self, paths: Paths) -> None:
        gift_cards_source.validate_source(paths[REVIEWS], paths[PRODUCTS])

    def describe(self, paths: Paths) -> dict[str, Any]:
        del paths
        return {"catalogue": self.catalogue}

    def make_tables(
        self, pipeline: beam.Pipeline, paths: Paths
    ) -> tuple[beam.PCollection, beam.PCollection]:
        rows = (
            pipeline
            | "ReviewFile" >> beam.Create([str(paths[REVIEWS])])
            | "ReadReviews" >> beam.FlatMap(load_json_rows)
        )
        reviews = (
            rows
            | "ParseReviews" >> beam.FlatMap(_parse_liked)
            | "FirstOfPair" >> beam.CombinePerKey(min)
            | "AssignSplit" >> beam.MapTuple(_make_interaction)
        )
        interactions = reviews | "Rows" >> beam.MapTuple(lambda split, row, _: (split, row))
        products = (
            pipeline
            | "ProductFile" >> beam.Create([str(paths[PRODUCTS])])
            | "ReadProducts" >> beam.FlatMap(load_json_rows)
            | "ParseProducts" >> beam.Map(gift_cards_source.parse_product)
        )
        reviewed = rows | "ReviewedItem" >> beam.Map(lambda row: row.values["asin"].strip())
        items = (
            {"products": products, "reviewed": reviewed | "Mark" >> beam.Map(lambda i: (i, 1))}
            | "JoinReviewed" >> beam.CoGroupByKey()
            | "MakeItems" >> beam.FlatMap(_make_items, self.catalogue)
        )
        texts = reviews | "JoinTexts" >> JoinTrainingTexts()
        return interactions, (
            items
            | "Reviews" >> writing.AttachColumn(texts, "reviews")
            | "Popularity" >> writing.AttachPopularity(interactions)
        )


@beam.ptransform_fn
def JoinTrainingTexts(reviews):  # noqa: N802 (Beam names transforms so)
    """Join the texts of each item's training reviews.

    Those of validation and test are not looked at: a model must not read what it has to foretell.

    Args:
        reviews: PCollection of (split, row, text), rows being interactions.

    Returns:
        PCollection of (item_id, text), the reviews in order of time.
    """
    return (
        reviews
        | "TrainingOnly" >> beam.Filter(lambda review: review[0] == "train" and review[2])
        | "KeyByItem"
        >> beam.MapTuple(
            lambda _, row, text: (row["item_id"], (row["timestamp"], row["user_id"], text))
        )
        | "Group" >> beam.GroupByKey()
        | "Join"
        >> beam.MapTuple(lambda item, found: (item, " ".join(t for *_, t in sorted(found))))
    )


def _parse_liked(row: JsonRow) -> list[Any]:
    """Parse a review into a list of one, or of none where it has too few stars."""
    parsed = gift_cards_source.parse_review(row)
    return [] if parsed is None else [parsed]


def _make_interaction(
    pair: tuple[str, str], review: tuple[int, int, str]
) -> tuple[str, dict[str, Any], str]:
    (user_id, item_id), (seconds, _, text) = pair, review
    row = {"user_id": user_id, "item_id": item_id, "timestamp": seconds}
    return assign_split(user_id, item_id), row, text


def _make_items(
    joined: tuple[str, Mapping[str, Iterable[Any]]], catalogue: str
) -> list[dict[str, Any]]:
    """Make the item of an asin, or none where the catalogue leaves it out or nothing is known."""
    asin, groups = joined
    products = list(groups["products"])
    is_wanted = catalogue == "all" or any(groups["reviewed"])
    if not products or not is_wanted:
        return []
    return [{"item_id": asin, **gift_cards_source.merge_products(products)}]
