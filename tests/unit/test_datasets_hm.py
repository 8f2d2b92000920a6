"""H&M: a tiny copy worked out by hand, bad rows, and the real files against the protocol."""

import csv
import itertools
import os
import pathlib
import time

import pytest
from local_data import REAL_DATA, compare_with_protocol, load_interactions, load_items

from tfx_pipeline import cli
from tfx_pipeline.datasets import make_dataset
from tfx_pipeline.datasets.canonical import validate_canonical
from tfx_pipeline.datasets.errors import DataError
from tfx_pipeline.datasets.hm import ITEM_COLUMNS, HandM
from tfx_pipeline.datasets.splits import assign_split

HEADER = (
    "article_id,product_code,prod_name,product_type_name,colour_group_name,section_name,detail_desc"
)
ARTICLES = f"""{HEADER}
0108775015,1,Strap top,Vest top,Black,Womens Basics,"Jersey top, with narrow straps."
0108775044,1,Strap top,Unknown,White,Womens Basics,
0999999999,2,Never sold,Bag,Unknown,Divided,A bag
"""


def _find_pairs(split, count, item="0108775015"):
    """Return customers whose purchase of the item falls into the split."""
    users = (f"c{number}" for number in itertools.count())
    return list(itertools.islice((u for u in users if assign_split(u, item) == split), count))


TRAIN = _find_pairs("train", 3)
(TEST,) = _find_pairs("test", 1)
(VALIDATION,) = _find_pairs("validation", 1)


def _write_purchases(folder, rows):
    lines = ["t_dat,customer_id,article_id,price", *(",".join(map(str, row)) for row in rows)]
    (folder / "transactions_train.csv").write_text("\n".join(lines) + "\n")


def _make_purchases(test_price=0.9):
    item = "0108775015"
    return [
        ("2020-09-22", TRAIN[0], item, 0.03),
        ("2020-09-20", TRAIN[0], item, 0.05),
        ("2020-09-21", TRAIN[1], item, 0.01),
        ("2020-09-21", TRAIN[2], item, 0.02),
        ("2020-09-21", TEST, item, test_price),
        ("2020-09-21", VALIDATION, item, test_price),
        *(("2020-09-21", user, "0108775044", 0.07) for user in ("a", "b")),
    ]


@pytest.fixture
def data_dir(tmp_path):
    """A folder with three articles, two photos and eight purchases."""
    folder = tmp_path / "source"
    (folder / "images" / "010").mkdir(parents=True)
    (folder / "images" / "010" / "0108775015.jpg").write_bytes(b"photo")
    (folder / "articles.csv").write_text(ARTICLES)
    _write_purchases(folder, _make_purchases())
    return folder


def _write(data_dir, name="data"):
    output = data_dir.parent / name
    return HandM().write(data_dir, "", output), output


def test_items_have_every_column_and_missing_values_are_null(data_dir):
    _, output = _write(data_dir)
    items = load_items(output)
    assert items["0108775015"] == {
        "item_id": "0108775015",
        "title": "Strap top",
        "text": "Strap top. Jersey top, with narrow straps.",
        "image": str(data_dir / "images" / "010" / "0108775015.jpg"),
        "price": pytest.approx(0.025),  # of .01, .02, .03, .05
        "popularity": [3],
        "section": "Womens Basics",
        "product_type": "Vest top",
        "colour": "Black",
    }
    assert items["0108775044"]["text"] == "Strap top"
    assert items["0108775044"]["product_type"] is None
    assert items["0999999999"]["price"] is None and items["0999999999"]["popularity"] == [0]
    assert items["0999999999"]["colour"] is None


def test_purchases_of_a_pair_are_one_interaction_at_the_first_date(data_dir):
    _, output = _write(data_dir)
    interactions = load_interactions(output)
    rows = {row["user_id"]: row for row in interactions["train"]}
    assert rows[TRAIN[0]]["timestamp"] == 1_600_560_000  # 2020-09-20, midnight UTC
    assert sum(map(len, interactions.values())) == 7
    for split, table in interactions.items():
        assert table and all(assign_split(r["user_id"], r["item_id"]) == split for r in table)


def test_nothing_of_validation_and_test_leaks_and_a_second_write_changes_nothing(data_dir):
    _, output = _write(data_dir)
    before = load_items(output)
    times = {path: path.stat().st_mtime_ns for path in output.rglob("*")}
    assert not _write(data_dir)[0]
    assert {path: path.stat().st_mtime_ns for path in output.rglob("*")} == times
    _write_purchases(data_dir, _make_purchases(test_price=0.0001))
    written, output = _write(data_dir)
    assert written and load_items(output) == before


def test_a_changed_or_added_photo_is_another_source(data_dir):
    paths = HandM.source.find(data_dir)
    seen = [HandM().describe(paths)]
    assert HandM().describe(paths) == seen[0]
    photo = data_dir / "images" / "010" / "0108775015.jpg"
    os.utime(photo, ns=(0, 0))
    seen.append(HandM().describe(paths))
    photo.with_name("0108775044.jpg").write_bytes(b"another")
    seen.append(HandM().describe(paths))
    assert len({made["photos"] for made in seen}) == 3


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("transactions_train.csv", "2020-09-20", "20.9.2020",
         r"transactions_train.csv, line 3, column t_dat: not a date such as .*'20.9.2020'. Repair"),
        ("transactions_train.csv", ",0.05", ",5 SEK",
         r"line 3, column price: not a number. Received: '5 SEK'"),
        ("transactions_train.csv", ",0.05", ",-1", r"line 3, column price: not a positive number"),
        ("transactions_train.csv", ",0.05", ",nan", r"column price: not a positive.*'nan'"),
        ("transactions_train.csv", f"2020-09-20,{TRAIN[0]}", "2020-09-20,",
         r"line 3, column customer_id: a purchase needs a customer. Received: ''"),
        ("transactions_train.csv", "0108775044", "",
         r"line 8, column article_id: a purchase needs an article"),
        ("transactions_train.csv", "price", "amount", r"lacks price. Received: 't_dat,customer"),
        ("articles.csv", "0108775044,", ",",
         r"articles.csv, line 3, column article_id: an article needs an id"),
        ("articles.csv", "0108775044,", "0108775015,",
         r"line 3, column article_id: the article stands in line 2 already.*Keep one of the lines"),
        ("articles.csv", "Never sold", 'Never "sold', r"articles.csv, line 4: "),
    ],
)  # fmt: skip
def test_bad_rows_are_named(data_dir, file, old, new, message):
    path = data_dir / file
    text = path.read_text()
    assert old in text
    path.write_text(
        text.replace(old, new, 1) if "sold" not in old else text.replace(old, f'"{new}')
    )
    with pytest.raises(DataError, match=message):
        _write(data_dir)
    assert not (data_dir.parent / "data").exists()


def test_missing_files_are_all_named_with_their_source(data_dir):
    (data_dir / "articles.csv").unlink()
    (data_dir / "images").rename(data_dir / "photos")
    with pytest.raises(DataError) as caught:
        _write(data_dir)
    text = str(caught.value)
    assert f"Received: {data_dir}, which holds photos, transactions_train.csv, and lacks" in text
    assert "- articles.csv:" in text and "- images/: the photos, as NNN/ARTICLE.jpg" in text
    assert "- transactions_train.csv" not in text
    assert "h-and-m-personalized-fashion-recommendations" in text
    with pytest.raises(DataError, match=r"no data folder. Give one with --data DIR") as caught:
        make_dataset("hm").write(None, "", data_dir.parent / "data")
    assert "- transactions_train.csv: the purchases" in str(caught.value)


def test_a_run_without_the_files_says_so_at_once(tmp_path, capsys, monkeypatch, assert_below):
    monkeypatch.setenv("ADDRL_RUNS", str(tmp_path / "runs"))

    def run():
        assert cli.main(["run", "hm"]) == 1

    assert_below(3.0, run)
    error = capsys.readouterr().err
    assert "Give one with --data DIR that holds\n  - articles.csv:" in error
    assert "Kaggle" in error and "Traceback" not in error


def _cut_real(folder, num_articles):
    """Cut the real files down to the first articles; photos stay where they are."""
    source = REAL_DATA / "hm"
    with open(source / "articles.csv", newline="") as file:
        articles = list(itertools.islice(csv.reader(file), num_articles + 1))
    kept = {row[0] for row in articles}
    with open(source / "transactions_train.csv", newline="") as file:
        purchases = [row for row in csv.reader(file) if row[2] in kept]
    folder.mkdir()
    for name, rows in (("articles.csv", articles), ("transactions_train.csv", purchases)):
        with open(folder / name, "w", newline="") as file:
            csv.writer(file).writerows(rows)
    (folder / "images").symlink_to(source / "images")
    return folder


@pytest.mark.skipif(not (REAL_DATA / "hm").is_dir(), reason=f"no H&M data in {REAL_DATA}/hm")
def test_a_slice_of_the_real_data(tmp_path):
    source = _cut_real(tmp_path / "source", 200)
    _, output = _write(source)
    report = validate_canonical(output, ITEM_COLUMNS)
    assert report.num_items == 200 and sum(report.num_unknown.values()) == 0
    items = load_items(output)
    assert all(pathlib.Path(item["image"]).is_file() for item in items.values())
    assert all(item["text"].startswith(item["title"].rstrip(".")) for item in items.values())
    compare_with_protocol("hm", output, items=set(items))


@pytest.mark.slow
@pytest.mark.skipif(not (REAL_DATA / "hm").is_dir(), reason=f"no H&M data in {REAL_DATA}/hm")
def test_the_real_data_are_those_of_the_protocol(tmp_path):
    started = time.monotonic()
    HandM().write(REAL_DATA / "hm", "", tmp_path / "data")
    assert time.monotonic() - started < 180  # 9 s on a quiet machine
    report = validate_canonical(tmp_path / "data", ITEM_COLUMNS)
    assert report.num_interactions == {"train": 59_327, "validation": 7_496, "test": 7_541}
    assert (report.num_users, report.num_items) == (9_925, 4_006)
    compare_with_protocol("hm", tmp_path / "data")
