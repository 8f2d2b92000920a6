"""Amazon Gift Cards: a tiny raw release worked out by hand, bad lines, and the real files."""

import gzip
import itertools
import json

import pytest
from local_data import REAL_DATA, load_interactions, load_items

from tfx_pipeline.datasets import make_dataset
from tfx_pipeline.datasets.canonical import validate_canonical
from tfx_pipeline.datasets.errors import DataError
from tfx_pipeline.datasets.gift_cards import ITEM_COLUMNS, GiftCards
from tfx_pipeline.datasets.gift_cards_source import (
    PRODUCTS,
    REVIEWS,
    clean_text,
    merge_products,
    parse_categories,
    parse_price,
    parse_rank,
)
from tfx_pipeline.datasets.splits import assign_split

REAL = REAL_DATA / "amazon_gift_cards"


def _find_users(split, count, item="B1"):
    users = (f"A{number}" for number in itertools.count())
    return list(itertools.islice((u for u in users if assign_split(u, item) == split), count))


TRAIN = _find_users("train", 3)
(TEST,), (VALIDATION,) = _find_users("test", 1), _find_users("validation", 1)


def _review(user, item="B1", stars=5.0, time=1_500_000_000, **more):
    return {"reviewerID": user, "asin": item, "overall": stars, "unixReviewTime": time, **more}


def _make_reviews(test_text="wonderful"):
    return [
        _review(TRAIN[0], time=2, reviewText="My <b>niece</b> loved it"),
        _review(TRAIN[0], time=9, reviewText="again"),
        _review(TRAIN[1], time=1, reviewText="Great gift"),
        _review(TRAIN[2], stars=2.0, reviewText="Never arrived"),
        _review(TEST, reviewText=test_text),
        _review(VALIDATION, reviewText=test_text),
        _review("Z", "B2", stars=1.0),
    ]


PRODUCT_LINES = [
    {"asin": "B1", "title": "Mother&#39;s Day Card", "price": "$25.00", "brand": "", "rank": []},
    {
        "asin": "B1", "title": "Other title", "brand": "Amazon", "description": ["A <i>card</i>."],
        "category": ["Gift Cards", "Gift Cards", "</span>"], "rank": "1,786 in Gift Cards (",
    },
    {"asin": "B2", "title": "", "price": ".a-box{color:#fff}", "feature": ["No fees", "No fees"]},
    {"asin": "B3", "title": "Nobody reviewed it"},
]  # fmt: skip


def _write_source(folder, reviews, products=PRODUCT_LINES):
    folder.mkdir(exist_ok=True)
    for name, rows in ((REVIEWS, reviews), (PRODUCTS, products)):
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / name).write_bytes(gzip.compress(lines.encode()))
    return folder


def test_items_have_every_column_and_gaps_are_null(tmp_path):
    source = _write_source(tmp_path / "source", _make_reviews())
    assert GiftCards().write(source, "", tmp_path / "data")
    items = load_items(tmp_path / "data")
    assert set(items) == {"B1", "B2"}
    assert items["B1"] == {
        "item_id": "B1",
        "title": "Mother's Day Card",
        "text": "Mother's Day Card",
        "reviews": "Great gift My niece loved it",
        "price": 25.0,
        "popularity": [2],
        "brand": "Amazon",
        "categories": ["Gift Cards"],
        "rank": 1786,
    }
    assert items["B2"] == {
        "item_id": "B2", "title": None, "text": "No fees", "reviews": None, "price": None,
        "popularity": [0], "brand": None, "categories": [], "rank": None,
    }  # fmt: skip
    interactions = load_interactions(tmp_path / "data")
    assert {(row["user_id"], row["timestamp"]) for row in interactions["train"]} == {
        (TRAIN[0], 2),
        (TRAIN[1], 1),
    }
    assert [row["user_id"] for row in interactions["test"]] == [TEST]
    assert not GiftCards().write(source, "", tmp_path / "data")

    # What people who are foretold wrote is in no column.
    _write_source(source, _make_reviews(test_text="horrible"))
    assert GiftCards().write(source, "", tmp_path / "data")
    assert load_items(tmp_path / "data") == items


def test_the_whole_catalogue_is_an_option(tmp_path):
    source = _write_source(tmp_path / "source", _make_reviews())
    dataset = make_dataset("gift_cards", catalogue="all")
    dataset.write(source, "", tmp_path / "data")
    assert set(load_items(tmp_path / "data")) == {"B1", "B2", "B3"}
    assert dataset.describe({}) != GiftCards().describe({})
    with pytest.raises(DataError, match=r"one of reviewed, all. Received: 'every'"):
        GiftCards(catalogue="every")


@pytest.mark.parametrize(
    ("value", "price"),
    [
        ("$25.00", 25.0),
        (" $1,000.00 ", 1000.0),
        ("$5", 5.0),
        ("$10.00 - $25.00", 10.0),
        ("$.50", None),
        ("25.00", None),
        ("€25.00", None),
        ("$10,00", None),
        ("", None),
        (".a-box-inner{background-color:#fff}", None),
        ("\n\r\n $25.00 off", None),
        (None, None),
        (25.0, None),
    ],
)
def test_prices(value, price):
    assert parse_price(value) == price


def test_ranks_and_categories_survive_what_the_release_holds():
    assert parse_rank(["&gt;#1,019 in Gift Cards", ">#2 in Toys"]) == 1019
    assert parse_rank([">#2,893,775 in Toys & Games (See Top 100)", ">#1 in Kids"]) == 2_893_775
    assert [parse_rank(value) for value in ("", [], None, [None], "in Gift Cards", 5)] == [None] * 6
    assert parse_categories(["Gift Cards", "Gift Card Accessories", "Made of paper"]) == [
        "Gift Card Accessories",
        "Gift Cards",
    ]
    assert parse_categories("Gift Cards") == parse_categories([]) == parse_categories(None) == []


def test_text_is_freed_of_markup_and_of_nothing_else():
    assert clean_text("<style>.a{b}</style>Two\n <br/>words &amp; 3 &lt; 4") == "Two words & 3 < 4"
    assert clean_text(["a", "b", "a", "", None]) == "a b"
    assert clean_text(None) == clean_text(7) == ""


def test_lines_of_one_product_are_merged_in_the_order_of_the_file():
    lines = [(7, {"brand": "late", "categories": ["c"]}), (3, {"brand": None, "categories": []})]
    assert merge_products(lines) == {"brand": "late", "categories": ["c"]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"overall": "five"}, r"Gift_Cards_5.json.gz, line 2, field overall: .*Received: 'five'"),
        ({"overall": 7}, r"line 2, field overall: the rating is not a number from 1 to 5"),
        ({"unixReviewTime": "today"}, r"line 2, field unixReviewTime: .*Received: 'today'. Repair"),
        ({"reviewerID": ""}, r"line 2, field reviewerID: not an id. Received: ''"),
        ({"asin": None}, r"line 2, field asin: not an id. Received: None"),
    ],
)
def test_bad_reviews_are_named(tmp_path, change, message):
    reviews = [_review("A"), {**_review("B"), **change}]
    source = _write_source(tmp_path / "source", reviews)
    with pytest.raises(DataError, match=message):
        GiftCards().write(source, "", tmp_path / "data")


def test_bad_products_and_missing_files_are_named(tmp_path):
    source = _write_source(tmp_path / "source", _make_reviews(), [{"title": "No asin"}])
    message = r"meta_Gift_Cards.json.gz, line 1, field asin: not an id. Received: 'no such field'"
    with pytest.raises(DataError, match=message):
        GiftCards().write(source, "", tmp_path / "data")
    (source / PRODUCTS).unlink()
    with pytest.raises(
        DataError, match=r"lacks\n  - meta_Gift_Cards.json.gz.*\n.*Ni, Li and McAul"
    ):
        GiftCards().write(source, "", tmp_path / "data")


@pytest.mark.skipif(not REAL.is_dir(), reason=f"no Gift Cards data in {REAL}")
def test_the_real_data_have_the_known_counts(tmp_path):
    GiftCards().write(REAL, "", tmp_path / "data")
    report = validate_canonical(tmp_path / "data", ITEM_COLUMNS)
    assert report.num_interactions == {"train": 2_344, "validation": 268, "test": 288}
    assert (report.num_users, report.num_items) == (456, 148)
    assert sum(report.num_unknown.values()) == 0
    missing = {name: report.num_missing[name] for name in ("price", "brand", "rank", "categories")}
    assert missing == {"price": 41, "brand": 29, "rank": 18, "categories": 2}
    for split, rows in load_interactions(tmp_path / "data").items():
        assert all(assign_split(row["user_id"], row["item_id"]) == split for row in rows)
