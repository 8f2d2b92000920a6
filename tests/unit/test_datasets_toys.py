"""Amazon Toys and Games: a tiny copy worked out by hand, bad rows, and the real files."""

import csv
import itertools
import time

import pytest
from local_data import REAL_DATA, compare_with_protocol, load_interactions, load_items

from tfx_pipeline.datasets.canonical import validate_canonical
from tfx_pipeline.datasets.csv_tables import CsvRow
from tfx_pipeline.datasets.errors import DataError
from tfx_pipeline.datasets.splits import compute_bucket
from tfx_pipeline.datasets.toys import ITEM_COLUMNS, Toys
from tfx_pipeline.datasets.toys_source import assign_split, parse_item

TOYS = REAL_DATA / "amazon_toys"
has_toys = pytest.mark.skipif(not TOYS.is_dir(), reason=f"no Toys and Games data in {TOYS}")

ITEMS = """asin,brand_id,category_id,category_path_ids,keywords,popularity
B1,97,61.0,2 61 98,alphabet blocks,99
B2,1,,2,,99
B3,,25,,rush hour,99
B4,5,25,,nobody has a number for this,0
"""


def _find_users(bucket, count, item="0"):
    users = (str(number) for number in itertools.count())
    return list(itertools.islice((u for u in users if compute_bucket(u, item) == bucket), count))


VALIDATION = _find_users(0, 1)[0]
TRAIN = _find_users(3, 2)


@pytest.fixture
def data_dir(tmp_path):
    """A folder with four items, of which three have pairs."""
    folder = tmp_path / "source"
    folder.mkdir()
    header = "itemID,userID,reviewerID,asin"
    train = [f"0,{user},R,B1" for user in (*TRAIN, VALIDATION)] + ["1,9,R,B2"]
    (folder / "train.csv").write_text("\n".join([header, *train]) + "\n")
    (folder / "test.csv").write_text(f"{header}\n2,9,R,B3\n0,9999,R,B1\n")
    (folder / "items.csv").write_text(ITEMS)
    return folder


def test_items_get_the_ids_of_the_pairs_and_popularity_of_train_alone(data_dir, tmp_path):
    assert Toys().write(data_dir, "", tmp_path / "data")
    items = load_items(tmp_path / "data")
    assert set(items) == {"0", "1", "2"}
    assert items["0"] == {
        "item_id": "0",
        "title": "alphabet blocks",
        "keywords": "alphabet blocks",
        "asin": "B1",
        "brand": "97",
        "category": "61",
        "category_path": ["2", "61", "98"],
        "popularity": [2],  # of four: one is for validation, one for test
    }
    assert (items["1"]["brand"], items["1"]["category"], items["1"]["title"]) == (None,) * 3
    assert (items["2"]["brand"], items["2"]["category"]) == (None, "25")
    assert items["2"]["popularity"] == [0]
    interactions = load_interactions(tmp_path / "data")
    assert {split: len(rows) for split, rows in interactions.items()} == {
        "train": 3, "validation": 1, "test": 2,
    }  # fmt: skip
    assert interactions["validation"] == [{"user_id": VALIDATION, "item_id": "0"}]
    assert not Toys().write(data_dir, "", tmp_path / "data")


def test_the_authors_test_pairs_are_test_whatever_their_bucket():
    assert assign_split("test.csv", VALIDATION, "0") == assign_split("test.csv", TRAIN[0], "0")
    assert assign_split("train.csv", VALIDATION, "0") == "validation"
    assert assign_split("train.csv", TRAIN[0], "0") == "train"


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("train.csv", f"0,{TRAIN[0]},", "0,,",
         r"train.csv, line 2, column userID: a pair needs .*Received: ''"),
        ("train.csv", "R,B2", "R,", r"train.csv, line 5, column asin: a pair needs"),
        ("train.csv", "1,9,R,B2", "1,9,R,B1\n1,9,R,B1",
         r"train.csv, line 6, column itemID: user 9 has the item in .*train.csv, line 5, already"),
        ("test.csv", "2,9,R,B3", "1,9,R,B2",
         r"test.csv, line 2, .* has the item in .*train.csv, line 5, already.*Keep one"),
        ("test.csv", "0,9999,R,B1", "0,9999,R,B3",
         r"test.csv, line 3, column asin: the item 0 has the asin B1 elsewhere. Received: 'B3'"),
        ("items.csv", "B2,1,", "B1,1,", r"items.csv, line 3, column asin: .*line 2 already"),
        ("items.csv", "97,61.0", "acme,61.0",
         r"items.csv, line 2, column brand_id: not a whole number, .*Received: 'acme'"),
        ("items.csv", "97,61.0", "97,61.5", r"line 2, column category_id.*'61.5'"),
        ("items.csv", "keywords", "words", r"items.csv: .* lacks keywords"),
    ],
)  # fmt: skip
def test_bad_rows_are_named(data_dir, tmp_path, file, old, new, message):
    path = data_dir / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(DataError, match=message):
        Toys().write(data_dir, "", tmp_path / "data")


def test_missing_files_are_named_with_their_source(tmp_path):
    (tmp_path / "train.csv").touch()
    with pytest.raises(DataError, match=r"DMRL and AD-DRL") as caught:
        Toys().write(tmp_path, "", tmp_path / "data")
    assert "- test.csv: the test pairs" in str(caught.value) and "- items.csv" in str(caught.value)
    with pytest.raises(DataError, match=r"The data folder does not exist. Received: .*nowhere"):
        Toys().write(tmp_path / "nowhere", "", tmp_path / "data")


def test_a_brand_of_one_is_no_brand():
    row = CsvRow("items.csv", 2, ("B1", "1", "61.0", "2 61", "a toy"))
    assert parse_item(row)[1]["brand"] is None
    assert parse_item(CsvRow("items.csv", 2, ("B1", "10", "", "", "")))[1]["brand"] == "10"


@has_toys
def test_a_slice_of_the_real_data(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for name in ("train.csv", "test.csv"):
        with open(TOYS / name, newline="") as file:
            rows = list(csv.reader(file))
        kept = [row for row in rows[1:] if int(row[0]) < 400]
        with open(source / name, "w", newline="") as file:
            csv.writer(file).writerows([rows[0], *kept])
    (source / "items.csv").symlink_to(TOYS / "items.csv")
    Toys().write(source, "", tmp_path / "data")
    items = load_items(tmp_path / "data")
    assert set(items) == {str(number) for number in range(400)}
    assert 0.6 < sum(item["brand"] is not None for item in items.values()) / 400 < 1.0
    compare_with_protocol("toys", tmp_path / "data", items=set(items))


@pytest.mark.slow
@has_toys
def test_the_real_data_are_those_of_the_protocol(tmp_path):
    started = time.monotonic()
    Toys().write(TOYS, "", tmp_path / "data")
    assert time.monotonic() - started < 300  # 17 s on a quiet machine
    report = validate_canonical(tmp_path / "data", ITEM_COLUMNS)
    assert report.num_interactions == {"train": 101_787, "validation": 11_227, "test": 48_639}
    assert (report.num_users, report.num_items) == (18_748, 11_673)
    assert (report.num_missing["brand"], report.num_missing["category"]) == (2_323, 333)
    compare_with_protocol("toys", tmp_path / "data")
