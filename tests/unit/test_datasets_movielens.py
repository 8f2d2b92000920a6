"""MovieLens: a tiny copy worked out by hand, and the real one against the evaluation protocol."""

import collections
import csv
import os
import pathlib
import subprocess
import sys

import pyarrow.parquet as pq
import pytest

from tfx_pipeline.datasets.canonical import validate_canonical
from tfx_pipeline.datasets.errors import DataError
from tfx_pipeline.datasets.movielens import (
    ITEM_COLUMNS,
    MovieLens,
    compute_graph_columns,
    compute_studio,
)
from tfx_pipeline.datasets.movielens_source import SOURCE, parse_item, parse_rating
from tfx_pipeline.datasets.source import load_source
from tfx_pipeline.datasets.splits import AUXILIARY, SPLITS, assign_split
from tfx_pipeline.datasets.tables import Row

ROOT = pathlib.Path(__file__).resolve().parents[2]

ITEMS = """item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq
1\tMisérables, Les\t1995\tDrama Musical
2\tunkonwn\tunkonwn\tunknown
3\tLand Before Time III\tV\tAnimation Children's Sci-Fi
4\tNever Rated\t1950\tFilm-Noir
"""
LINKS = """item_id:token\tentity_id:token
1\tm.one
3\tm.three
4\tm.four
"""
GRAPH = """head_id:token\trelation_id:token\ttail_id:token
m.one\tfilm.film.production_companies\tm.small
m.one\tfilm.film.production_companies\tm.large
m.four\tfilm.film.production_companies\tm.large
m.three\tfilm.film.production_companies\tm.small
m.three\tfilm.film.production_companies\tm.large
m.one\tfilm.film.actor\tm.zoe
m.one\tfilm.film.actor\tm.ann
m.one\tfilm.film.directed_by\tm.ann
m.one\tfilm.film.written_by\tm.bob
m.one\tfilm.film.country\tm.be
m.one\tfilm.film.award_won\tm.palm
m.palm\tfilm.director.film\tm.one
m.stranger\tfilm.film.actor\tm.zoe
"""


@pytest.fixture
def data_dir(tmp_path):
    """A folder with four tiny source files."""
    folder = tmp_path / "source"
    folder.mkdir()
    lines = ["user_id:token\titem_id:token\trating:float\ttimestamp:float"]
    for user in range(40):
        lines.append(f"{user}\t1\t4\t{100 + user}")
        lines.append(f"{user}\t1\t5\t{900 + user}")
        lines.append(f"{user}\t2\t3\t100")
        lines.append(f"{user}\t3\t{4 if user % 2 else 3.5}\t{200 + user}.0")
    (folder / "ml-100k.inter").write_text("\n".join(lines) + "\n")
    (folder / "ml-100k.item").write_text(ITEMS, encoding="utf-8")
    (folder / "ml-100k.link").write_text(LINKS)
    (folder / "ml-100k.kg").write_text(GRAPH)
    return folder


def load_table(directory):
    return pq.read_table(directory).to_pylist()


def load_interactions(directory):
    return {split: load_table(directory / "interactions" / split) for split in SPLITS}


def get_row(*values):
    return Row("file", 7, values)


def test_tiny_source_gives_the_tables_worked_out_by_hand(data_dir, tmp_path):
    output = tmp_path / "out"
    assert MovieLens().write(data_dir, tmp_path / "unused", output)
    interactions = load_interactions(output)
    rows = {
        (row["user_id"], row["item_id"]): (split, row["timestamp"])
        for split, table in interactions.items()
        for row in table
    }
    # Ratings below 4 are apart; of two rows of a pair the first stays; the split is the rule's.
    expected = {(str(user), "1"): 100 + user for user in range(40)}
    expected |= {(str(user), "3"): 200 + user for user in range(1, 40, 2)}
    assert rows == {pair: (assign_split(*pair), time) for pair, time in expected.items()}
    assert sum(len(table) for table in interactions.values()) == 60
    auxiliary = load_table(output / "interactions" / AUXILIARY)
    assert {(row["user_id"], row["item_id"]) for row in auxiliary} == {
        *((str(user), "2") for user in range(40)),
        *((str(user), "3") for user in range(0, 40, 2)),
    }
    counts = collections.Counter(row["item_id"] for row in interactions["train"])
    assert load_table(output / "items") == [
        {
            "item_id": "1",
            "title": "Misérables, Les",
            "release_year": 1995,
            "popularity": [counts["1"]],
            "studio": "m.large",
            "genres": ["Drama", "Musical"],
            "people": ["actor:m.ann", "actor:m.zoe", "director:m.ann", "writer:m.bob"],
            "entities": [
                "award_won:m.palm",
                "country:m.be",
                "production_companies:m.large",
                "production_companies:m.small",
            ],
        },
        {
            "item_id": "2",
            "title": None,
            "release_year": None,
            "popularity": [0],
            "studio": None,
            "genres": [],
            "people": [],
            "entities": [],
        },
        {
            "item_id": "3",
            "title": "Land Before Time III",
            "release_year": None,
            "popularity": [counts["3"]],
            "studio": "m.large",
            "genres": ["Animation", "Children's", "Sci-Fi"],
            "people": [],
            "entities": ["production_companies:m.large", "production_companies:m.small"],
        },
        {
            "item_id": "4",
            "title": "Never Rated",
            "release_year": 1950,
            "popularity": [0],
            "studio": "m.large",
            "genres": ["Film-Noir"],
            "people": [],
            "entities": ["production_companies:m.large"],
        },
    ]


def test_second_run_keeps_every_file_and_another_source_does_not(data_dir, tmp_path):
    output = tmp_path / "out"
    MovieLens().write(data_dir, tmp_path, output)
    state = {path: path.stat().st_mtime_ns for path in output.rglob("*")}
    assert not MovieLens().write(data_dir, tmp_path, output)
    assert {path: path.stat().st_mtime_ns for path in output.rglob("*")} == state
    with open(data_dir / "ml-100k.inter", "a") as file:
        file.write("99\t4\t5\t1\n")
    assert MovieLens().write(data_dir, tmp_path, output)
    assert sum(len(table) for table in load_interactions(output).values()) == 61


def test_shards_hold_the_same_rows(data_dir, tmp_path):
    MovieLens().write(data_dir, tmp_path, tmp_path / "one")
    MovieLens(num_shards=3).write(data_dir, tmp_path, tmp_path / "three")
    assert len(list((tmp_path / "three" / "items").iterdir())) == 3
    assert len(list((tmp_path / "three" / "interactions" / "test").iterdir())) == 3

    def get_rows(directory):
        return sorted(map(str, load_table(directory)))

    for table in ("items", *(f"interactions/{split}" for split in SPLITS)):
        assert get_rows(tmp_path / "one" / table) == get_rows(tmp_path / "three" / table)


def test_rating_of_four_counts_and_less_does_not():
    assert parse_rating(get_row("u", "i", "4", "12.0")) == (("u", "i"), (False, 7, 12))
    assert parse_rating(get_row("u", "i", "3.9", "12")) == (("u", "i"), (True, 7, 12))


@pytest.mark.parametrize("rating", ["", "five", "nan", "6", "0", "-4"])
def test_bad_rating_names_file_line_and_value(rating):
    with pytest.raises(DataError, match=f"file, line 7: the rating is not .*Received: '{rating}'"):
        parse_rating(get_row("u", "i", rating, "1"))


@pytest.mark.parametrize("timestamp", ["", "noon", "nan", "inf"])
def test_bad_timestamp_is_refused(timestamp):
    with pytest.raises(DataError, match="file, line 7: the timestamp is not"):
        parse_rating(get_row("u", "i", "5", timestamp))


@pytest.mark.parametrize("year", ["V", "", "95", "19955", "²²²²", "unkonwn"])
def test_year_that_is_none_is_missing(year):
    assert parse_item(get_row("1", "T", year, "Drama"))["release_year"] is None


def test_studio_is_the_largest_company_and_of_equals_the_first():
    sizes = {"m.a": 2, "m.b": 3, "m.c": 3}
    assert compute_studio(["m.a", "m.c", "m.b"], sizes) == "m.b"
    assert compute_studio(["m.a"], sizes) == "m.a"
    assert compute_studio([], sizes) is None


def test_graph_columns_are_sorted_and_without_repeats():
    facts = [("actor", "m.z"), ("actor", "m.a"), ("actor", "m.z"), ("rating", "m.pg")]
    columns = compute_graph_columns(facts, {})
    assert columns["people"] == ["actor:m.a", "actor:m.z"]
    assert columns["entities"] == ["rating:m.pg"]


@pytest.fixture(scope="module")
def movielens(tmp_path_factory):
    """The real MovieLens in the canonical form, and its source files."""
    cache = os.environ.get("ADDRL_CACHE") or pathlib.Path.home() / ".cache" / "addrl"
    try:
        paths = load_source(SOURCE, cache)
    except DataError as error:
        pytest.skip(f"MovieLens-100K is not here: {error}")
    output = tmp_path_factory.mktemp("movielens") / "data"
    MovieLens().write(paths["ml-100k.inter"].parent, cache, output)
    return output, paths


def test_real_data_have_the_known_counts(movielens):
    report = validate_canonical(movielens[0], ITEM_COLUMNS)
    assert report.num_interactions == {
        "train": 44_385, "validation": 5_485, "test": 5_505, "auxiliary": 44_625
    }  # fmt: skip
    assert (report.num_users, report.num_items) == (942, 1_682)
    assert sum(report.num_unknown.values()) == 0
    # 1,682 items less the 880 films of the graph that name a company.
    assert report.num_missing["studio"] == 802
    assert report.num_missing["release_year"] == 2
    assert report.num_missing["genres"] == 2
    assert report.num_missing["title"] == 1


def test_real_popularity_is_counted_on_train(movielens):
    directory, _ = movielens
    train = load_table(directory / "interactions" / "train")
    counts = collections.Counter(row["item_id"] for row in train)
    items = load_table(directory / "items")
    assert {row["item_id"]: row["popularity"] for row in items} == {
        row["item_id"]: [counts[row["item_id"]]] for row in items
    }
    assert max(counts.values()) > 300


def test_real_toy_story_is_right(movielens):
    (item,) = (row for row in load_table(movielens[0] / "items") if row["item_id"] == "1")
    assert (item["title"], item["release_year"]) == ("Toy Story", 1995)
    assert item["genres"] == ["Animation", "Children's", "Comedy"]
    assert item["people"]
    assert all(person.split(":")[0] in ("actor", "director", "writer") for person in item["people"])


def test_splits_are_those_of_the_evaluation_protocol(movielens):
    default = ROOT.parent / "shared" / "tools" / "protocol.py"
    script = pathlib.Path(os.environ.get("ADDRL_PROTOCOL") or default)
    if not script.is_file():
        pytest.skip("the protocol script is not here; name it in ADDRL_PROTOCOL")
    directory, paths = movielens
    command = [sys.executable, str(script), "split", "movielens"]
    done = subprocess.run(
        [*command, "--movielens", str(paths["ml-100k.inter"])],
        capture_output=True,
        text=True,
        check=True,
    )
    expected = [tuple(row) for row in csv.reader(done.stdout.splitlines())][1:]
    ours = [
        (row["user_id"], row["item_id"], split)
        for split, table in load_interactions(directory).items()
        for row in table
    ]
    assert len(ours) == len(expected) == 55_375
    assert set(ours) == set(expected)
