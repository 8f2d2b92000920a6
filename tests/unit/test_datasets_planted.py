"""The planted data set: drawn the same again, with the structure and the gaps it promises."""

import collections

import pyarrow.parquet as pq
import pytest

from tfx_pipeline.datasets import DATASETS, make_dataset
from tfx_pipeline.datasets.canonical import validate_canonical
from tfx_pipeline.datasets.movielens import ITEM_COLUMNS
from tfx_pipeline.datasets.planted import (
    TITLE_WORDS,
    Planted,
    compute_affinity,
    make_planted_tables,
)


@pytest.fixture(scope="module")
def tables():
    return make_planted_tables(Planted())


def test_same_seed_draws_the_same_and_another_does_not(tables):
    assert make_planted_tables(Planted()) == tables
    assert make_planted_tables(Planted(seed=1)).interactions != tables.interactions


def test_size_is_about_what_is_said(tables):
    assert len(tables.items) == 120
    assert len({row["user_id"] for row in tables.interactions}) == 200
    assert 3_500 < len(tables.interactions) < 4_500
    assert len(make_planted_tables(Planted(size=2)).items) == 240


def test_pairs_are_different_and_cold_items_have_none(tables):
    pairs = [(row["user_id"], row["item_id"]) for row in tables.interactions]
    assert len(set(pairs)) == len(pairs)
    assert len(tables.cold) == 3
    assert not set(tables.cold) & {item_id for _, item_id in pairs}


@pytest.mark.parametrize("position", [0, 1, 2], ids=["genre", "studio", "decade"])
def test_users_take_more_of_what_they_like_than_chance(tables, position):
    hits = [
        tables.tastes[row["user_id"]][position] == tables.truth[row["item_id"]][position]
        for row in tables.interactions
    ]
    pairs = [
        taste[position] == item[position]
        for taste in tables.tastes.values()
        for item in tables.truth.values()
    ]
    assert sum(hits) / len(hits) > 1.3 * sum(pairs) / len(pairs)


def test_affinity_adds_up_what_agrees():
    taste = ("Comedy", "Aurora", 1950)
    assert compute_affinity(taste, ("Drama", "Dynamo", 1990)) == 0
    alone = [
        compute_affinity(taste, item)
        for item in (("Comedy", "x", 0), ("x", "Aurora", 0), ("x", "x", 1950))
    ]
    assert min(alone) > 0
    assert compute_affinity(taste, taste) == sum(alone)


def test_titles_share_the_words_of_their_genre(tables):
    for item in tables.items:
        if item["title"]:
            genre = tables.truth[item["item_id"]][0]
            assert set(item["title"].lower().split()[:2]) <= set(TITLE_WORDS[genre])


def test_every_column_has_gaps_and_none_has_many(tables):
    gaps = collections.Counter(
        name for item in tables.items for name, value in item.items() if value in (None, [])
    )
    assert set(gaps) == {"title", "release_year", "studio", "genres", "people", "entities"}
    assert all(1 <= count <= 25 for count in gaps.values())
    full = make_planted_tables(Planted(missing=0.0))
    assert not [item for item in full.items if None in item.values() or [] in item.values()]


def test_values_that_are_there_are_the_truth(tables):
    for item in tables.items:
        genre, studio, decade = tables.truth[item["item_id"]]
        assert item["studio"] in (None, studio)
        assert not item["genres"] or item["genres"][0] == genre
        assert item["release_year"] is None or item["release_year"] // 10 * 10 == decade


def test_written_form_has_the_columns_of_movielens_and_repeats_byte_for_byte(tmp_path):
    for name in ("a", "b"):
        assert make_dataset("planted", size=0.5).write(None, tmp_path, tmp_path / name)
    report = validate_canonical(tmp_path / "a", ITEM_COLUMNS)
    assert report.num_items == 60
    files = {path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.parquet")}
    assert len(files) == 4
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    items = pq.read_table(tmp_path / "a" / "items").to_pylist()
    assert [row["popularity"] for row in items[-3:]] == [[0]] * 3


@pytest.mark.parametrize(
    ("options", "words"),
    [({"size": 0}, "size"), ({"missing": 1.0}, "missing"), ({"num_cold": 90}, "num_cold")],
)
def test_options_out_of_range_are_named(options, words, tmp_path):
    with pytest.raises(ValueError, match=f"{words} must be .*Received"):
        Planted(**options).write(None, tmp_path, tmp_path / "out")


# `tables` is nothing without its options; its own tests make it.
@pytest.mark.parametrize("name", sorted(set(DATASETS) - {"tables"}))
def test_every_registered_adapter_can_be_made_and_has_its_name(name):
    assert make_dataset(name).name == name
