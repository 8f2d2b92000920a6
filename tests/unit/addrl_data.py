"""A planted data set, small enough for every test: users like years, genres and brands.

60 users and 40 items. `year` has an order and a few missing values, `genre` is multi-valued,
`brand` has 12 values, more than the chunks of the tests are wide, and many missing ones. Title
words tell the genre, people tell the brand, and some items lack either or both.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import scipy.sparse

from addrl_keras.catalogue import AttributeValues, Catalogue, Interactions, normalize_rows
from addrl_keras.config import (
    Attribute,
    Config,
    LossConfig,
    Modality,
    ModelConfig,
    StartConfig,
    TrainingConfig,
)

NUM_USERS, NUM_ITEMS = 60, 40
YEARS = ("<1980", "1980-1999", ">=2000")
GENRES = ("action", "comedy", "drama", "horror")
BRANDS = tuple(f"brand {i:02d}" for i in range(12))
CHUNK_DIM = 6
# Items without a title, without people, and without either.
NO_TITLE, NO_PEOPLE, NO_CONTENT = (3, 11, 39), (5, 17, 39), 39


@dataclasses.dataclass(frozen=True)
class Planted:
    """The data, and the truth behind them."""

    catalogue: Catalogue
    interactions: Interactions
    test: scipy.sparse.csr_matrix
    year: np.ndarray
    genres: np.ndarray
    brand: np.ndarray


def make_config(**parts) -> Config:
    """A small configuration; `model`, `losses`, `training` and `start` take dicts of changes."""
    model = {"chunk_dim": CHUNK_DIM, "value_dim": CHUNK_DIM, "residual_dim": 4, "memory_size": 8}
    training = {"content_epochs": 20, "epochs": 3, "batch_size": 16, "item_batch_size": 16}
    training |= {"content_learning_rate": 0.03}
    losses = {"intra": 0.1, "inter": 0.01}
    start = {"ease_lambda": 20.0, "side_information": (("genre", 1.0), ("title", 1.0))}
    return Config(
        attributes=(
            Attribute("year", "year", kind="numeric", bins=3),
            Attribute("genre", "genres"),
            Attribute("brand", "brand"),
        ),
        modalities=(
            Modality("id", encoder="id"),
            Modality("title", "title", encoder="text"),
            Modality("people", "people", encoder="bag"),
        ),
        model=ModelConfig(**model | parts.pop("model", {})),
        training=TrainingConfig(**training | parts.pop("training", {})),
        start=StartConfig(**start | parts.pop("start", {})),
        losses=LossConfig(**losses | parts.pop("losses", {})),
        **parts,
    )


def make_planted(seed: int = 0) -> Planted:
    """Draws items with attributes and content, and users who choose by attributes."""
    generator = np.random.default_rng(seed)
    year = generator.integers(0, len(YEARS), NUM_ITEMS)
    genres = np.eye(len(GENRES))[np.arange(NUM_ITEMS) % len(GENRES)]
    genres[::5, 0] = 1.0
    brand = generator.permutation(np.arange(NUM_ITEMS) % len(BRANDS))
    catalogue = Catalogue(
        item_ids=tuple(f"item {i:02d}" for i in range(NUM_ITEMS)),
        values={
            "year": _make_values(YEARS, np.eye(len(YEARS))[year], missing=(7,)),
            "genre": _make_values(GENRES, genres, missing=(6, NO_CONTENT)),
            "brand": _make_values(BRANDS, np.eye(len(BRANDS))[brand], range(0, NUM_ITEMS, 4)),
        },
        features={
            "title": _make_features(generator, genres, NO_TITLE),
            "people": _make_features(generator, np.eye(len(BRANDS))[brand], NO_PEOPLE),
        },
    )
    train, validation, test = _draw_interactions(generator, year, genres, brand)
    users = tuple(f"user {u:02d}" for u in range(NUM_USERS))
    return Planted(catalogue, Interactions(users, train, validation), test, year, genres, brand)


def _make_values(names, ones, missing) -> AttributeValues:
    matrix = np.array(ones, np.float32)
    matrix[list(missing)] = 0.0
    return AttributeValues(tuple(names), scipy.sparse.csr_matrix(matrix))


def _make_features(generator, truth, missing) -> scipy.sparse.csr_matrix:
    """Words that mean a value, and as many that mean nothing."""
    noise = generator.random((NUM_ITEMS, truth.shape[1])) < 0.2
    feature = np.concatenate([truth, noise], axis=1)
    feature[list(missing)] = 0.0
    return normalize_rows(scipy.sparse.csr_matrix(feature.astype(np.float32)))


def _draw_interactions(generator, year, genres, brand):
    """Twelve items per user by Gumbel top-k: eight to train, two to validate, two to test."""
    taste = (
        2.5 * generator.standard_normal((NUM_USERS, len(YEARS)))[:, year]
        + 2.5 * generator.standard_normal((NUM_USERS, len(GENRES))) @ genres.T
        + 1.0 * generator.standard_normal((NUM_USERS, len(BRANDS)))[:, brand]
    )
    chosen = np.argsort(-(taste + generator.gumbel(size=taste.shape)), axis=1)[:, :12]
    chosen = generator.permuted(chosen, axis=1)
    return (_to_csr(chosen[:, part]) for part in (slice(0, 8), slice(8, 10), slice(10, 12)))


def _to_csr(columns: np.ndarray) -> scipy.sparse.csr_matrix:
    dense = np.zeros((NUM_USERS, NUM_ITEMS), np.float32)
    np.put_along_axis(dense, columns, 1.0, axis=1)
    return scipy.sparse.csr_matrix(dense)
