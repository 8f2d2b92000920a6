"""A small synthetic data set with planted structure, so that the right answer is known.

Each user likes one genre, one studio and one decade; items of a genre share title words, and
people work for one studio and genre. A model that learns anything finds these tastes again, and a
pipeline over these tables takes seconds. The columns are those of `movielens`.
"""

import dataclasses
import logging
import os
import pathlib
from collections.abc import Iterable
from typing import Any

import apache_beam as beam
import numpy as np

from tfx_pipeline.datasets import staging, writing
from tfx_pipeline.datasets.movielens import ITEM_COLUMNS
from tfx_pipeline.datasets.splits import assign_split

ADAPTER_VERSION = 1

GENRES = ("Comedy", "Drama", "Action", "Horror", "Sci-Fi", "Western")
STUDIOS = ("Aurora", "Borealis", "Cascade", "Dynamo", "Eclipse")
DECADES = (1950, 1960, 1970, 1980, 1990)
COUNTRIES = ("be", "br", "jp", "ke")
TITLE_WORDS = {
    "Comedy": ("laugh", "wedding", "monkey", "holiday", "silly", "neighbour"),
    "Drama": ("winter", "letter", "mother", "river", "silence", "promise"),
    "Action": ("bullet", "chase", "strike", "honour", "explosion", "target"),
    "Horror": ("blood", "cellar", "scream", "grave", "shadow", "midnight"),
    "Sci-Fi": ("robot", "galaxy", "signal", "orbit", "android", "future"),
    "Western": ("saddle", "desert", "sheriff", "canyon", "outlaw", "dusty"),
}

# How much more a user likes an item of the preferred genre, studio and decade, in log-odds. Against
# Gumbel noise of scale 1 this gives lists in which the taste is plain and nothing is certain.
_STRENGTHS = {"genre": 3.0, "studio": 1.5, "decade": 1.5}
_BASE_SECONDS = 883_612_800
_TIMES_APART = 60

_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class PlantedTables:
    """What was planted, before it is split.

    Attributes:
        items: Rows of the items table, without `popularity`, sorted by id. Some values are
            missing; `truth` knows them.
        interactions: Rows of the interactions table.
        truth: (genre, studio, decade) of each item.
        tastes: The preferred (genre, studio, decade) of each user.
        cold: Ids of the items that nobody has interacted with.
    """

    items: list[dict[str, Any]]
    interactions: list[dict[str, Any]]
    truth: dict[str, tuple[str, str, int]]
    tastes: dict[str, tuple[str, str, int]]
    cold: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Planted:
    """The planted data set.

    Attributes:
        size: Factor on the numbers of users, items and so of interactions: 1 is 200 users, 120
            items and about 4,000 interactions.
        seed: Seed of everything that is drawn.
        missing: Share of the values that is missing, for each column by itself.
        num_cold: Number of items without interactions.
        num_shards: Number of Parquet files of the items and of each split.
    """

    size: float = 1.0
    seed: int = 0
    missing: float = 0.08
    num_cold: int = 3
    num_shards: int = 1
    name = "planted"

    def validate(self) -> None:
        """Validate the options.

        Raises:
            ValueError: If an option is out of its range.
        """
        if not 0.2 <= self.size <= 1000:
            raise ValueError(f"size must be between 0.2 and 1000. Received: {self.size}.")
        if not 0 <= self.missing < 1:
            raise ValueError(f"missing must be at least 0 and below 1. Received: {self.missing}.")
        if not 0 <= self.num_cold <= self.num_items // 4:
            raise ValueError(
                f"num_cold must be between 0 and a quarter of the {self.num_items} items. "
                f"Received: {self.num_cold}."
            )

    @property
    def num_users(self) -> int:
        """Number of users."""
        return round(200 * self.size)

    @property
    def num_items(self) -> int:
        """Number of items."""
        return round(120 * self.size)

    def write(
        self,
        data_dir: str | os.PathLike | None,
        cache_dir: str | os.PathLike,
        output_dir: str | os.PathLike,
        beam_args: Iterable[str] = (),
    ) -> bool:
        """Write the canonical form.

        Args:
            data_dir: Not used, this data set has no source.
            cache_dir: Not used.
            output_dir: Directory to write, left as it is where it is up to date.
            beam_args: Options of the Beam pipeline.

        Returns:
            True if the directory was written, False if it was up to date.
        """
        del data_dir, cache_dir
        self.validate()
        description = {
            "dataset": self.name,
            "adapter_version": ADAPTER_VERSION,
            **dataclasses.asdict(self),
        }
        written = staging.write_directory(
            output_dir, description, lambda folder: self._produce(folder, beam_args)
        )
        if not written:
            _logger.info("planted: %s is up to date", output_dir)
        return written

    def _produce(self, folder: pathlib.Path, beam_args: Iterable[str]) -> None:
        tables = make_planted_tables(self)

        def make_tables(pipeline: beam.Pipeline) -> tuple[beam.PCollection, beam.PCollection]:
            rows = pipeline | "Interactions" >> beam.Create(tables.interactions)
            interactions = rows | "AssignSplit" >> beam.Map(_add_split)
            items = pipeline | "Items" >> beam.Create(tables.items)
            return interactions, items | writing.AttachPopularity(interactions)

        report = writing.write_canonical(
            make_tables, folder, ITEM_COLUMNS, self.num_shards, beam_args
        )
        _logger.info("planted: %s", report)


def make_planted_tables(options: Planted) -> PlantedTables:
    """Make the tables of the planted data set.

    Args:
        options: Size, seed and shares.

    Returns:
        The tables and what was planted in them.

    Example:
        >>> tables = make_planted_tables(Planted())
        >>> len(tables.items), len(tables.tastes)
        (120, 200)
    """
    options.validate()
    rng = np.random.default_rng(options.seed)
    truth = _draw_triples(rng, "i", options.num_items)
    tastes = _draw_triples(rng, "u", options.num_users)
    items = [
        _make_item(rng, item_id, *triple, missing=options.missing)
        for item_id, triple in truth.items()
    ]
    cold = tuple(list(truth)[options.num_items - options.num_cold :])
    warm = [item_id for item_id in truth if item_id not in cold]
    interactions = _draw_interactions(rng, warm, truth, tastes)
    return PlantedTables(items, interactions, truth, tastes, cold)


def compute_affinity(taste: tuple[str, str, int], item: tuple[str, str, int]) -> float:
    """Compute how much a taste likes an item: the sum of the strengths of what agrees.

    Args:
        taste: Preferred genre, studio and decade.
        item: Genre, studio and decade of the item.

    Returns:
        The affinity, in log-odds.
    """
    return sum(
        strength
        for strength, wanted, value in zip(_STRENGTHS.values(), taste, item, strict=True)
        if wanted == value
    )


def _add_split(row: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return assign_split(row["user_id"], row["item_id"]), row


def _draw_triples(
    rng: np.random.Generator, prefix: str, count: int
) -> dict[str, tuple[str, str, int]]:
    """Draw genre, studio and decade of users or items; genres go round, so that none is rare."""
    return {
        f"{prefix}{number:05d}": (
            GENRES[number % len(GENRES)],
            STUDIOS[rng.integers(len(STUDIOS))],
            DECADES[rng.integers(len(DECADES))],
        )
        for number in range(count)
    }


def _make_item(
    rng: np.random.Generator, item_id: str, genre: str, studio: str, decade: int, missing: float
) -> dict[str, Any]:
    """Make an item; each value is missing by itself, so that every mixture of gaps occurs."""
    words = rng.choice(TITLE_WORDS[genre], size=2, replace=False)
    cast = rng.integers(4, size=2)
    second = GENRES[rng.integers(len(GENRES))]
    is_crossover = rng.random() < 0.2
    year = decade + int(rng.integers(10))
    country = COUNTRIES[rng.integers(len(COUNTRIES))]
    gone = dict(zip(("title", "year", "studio", "genres", "people", "entities"),
                    rng.random(6) < missing, strict=True))  # fmt: skip
    people = {f"actor:{studio}-{genre}-{number}".lower() for number in cast}
    people.add(f"director:{studio}-{decade}".lower())
    genres = [genre] + ([second] if is_crossover and second != genre else [])
    return {
        "item_id": item_id,
        "title": None if gone["title"] else f"{' '.join(words).title()} {item_id[-3:]}",
        "release_year": None if gone["year"] else year,
        "studio": None if gone["studio"] else studio,
        "genres": [] if gone["genres"] else genres,
        "people": [] if gone["people"] else sorted(people),
        "entities": [] if gone["entities"] else [f"country:{country}"],
    }


def _draw_interactions(
    rng: np.random.Generator,
    warm: list[str],
    truth: dict[str, tuple[str, str, int]],
    tastes: dict[str, tuple[str, str, int]],
) -> list[dict[str, Any]]:
    """Draw 12 to 28 items a user without replacement, by Gumbel's trick."""
    appeal = rng.normal(0.0, 0.7, size=len(warm))
    rows = []
    for user_id, taste in tastes.items():
        affinity = np.array([compute_affinity(taste, truth[item_id]) for item_id in warm])
        count = min(int(rng.integers(12, 29)), len(warm))
        order = np.argsort(-(affinity + appeal + rng.gumbel(size=len(warm))), kind="stable")
        for position in order[:count]:
            seconds = _BASE_SECONDS + _TIMES_APART * len(rows)
            rows.append({"user_id": user_id, "item_id": warm[position], "timestamp": seconds})
    return rows
