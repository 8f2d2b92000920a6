"""The data set `tables`: what is read, what is refused and with which words, and what comes out."""

import dataclasses
import gzip
import pathlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfx_pipeline.datasets import DataError, make_dataset
from tfx_pipeline.datasets.splits import assign_split
from tfx_pipeline.datasets.table_files import FileInfo, Place, list_files, load_header, load_rows
from tfx_pipeline.datasets.table_options import (
    Aggregate,
    Images,
    InteractionsTable,
    ItemColumn,
    ItemsTable,
    Split,
    TableOptions,
)
from tfx_pipeline.datasets.table_photos import (
    count_shared_names,
    find_photo,
    index_photos,
    name_photo,
)
from tfx_pipeline.datasets.table_rows import (
    merge_item,
    merge_pair,
    parse_column,
    read_interactions,
    read_items,
)

LONG = "x" * 300


def read_all(path, options):
    """Read both tables as the pipeline does, without a pipeline."""
    for row in read_interactions(options.interactions.path, options):
        merge_pair((row[0], [row[1]]), options.interactions, options.split)
    groups = {}
    for item, row in read_items(options.items.path, options, {}):
        groups.setdefault(item, []).append(row)
    return [merge_item(group, options.items) for group in groups.items()]


def make_options(folder, interactions=None, items=None, split=None, **others):
    return TableOptions(
        InteractionsTable(
            str(folder / "buys.csv"), "user", "item", **{"time": "time", **(interactions or {})}
        ),
        ItemsTable(
            str(folder / "goods.csv"),
            "id",
            **{"columns": {"price": ItemColumn("number")}, **(items or {})},
        ),
        split or Split(),
        **others,
    )


BUYS = "user,item,time\nann,1,2021-02-03\nbob,2,2021-02-04\n"
GOODS = "id,price\n1,$5.00\n2,\n"

BAD = [
    pytest.param(
        {"buys": BUYS + "ann,1.23457E+12,2021-02-03\n"}, {},
        "buys.csv, line 4, column 'item': the id is in scientific notation, as spreadsheets write "
        "long numbers: its last digits are lost. Received: '1.23457E+12'. Export the table again "
        "with the column formatted as text.",
        id="an id from a spreadsheet",
    ),
    pytest.param(
        {"buys": BUYS + ",2,2021-02-03\n"}, {},
        "buys.csv, line 4, column 'user': the value is missing. Received: ''. Fill it in, or set "
        'data.interactions.missing = "drop" to leave such rows out.',
        id="no user",
    ),
    pytest.param(
        {"buys": BUYS + "ann,1,\n"}, {"split": Split("leave_last_out")},
        "buys.csv, line 4, column 'time': the value is missing. Received: ''. Fill it in",
        id="no time where one is needed",
    ),
    pytest.param(
        {"buys": BUYS + "ann,1,last week\n"}, {},
        "buys.csv, line 4, column 'time': the time has none of the formats iso. Received: "
        "'last week'. Repair it, or add its format to time_formats.",
        id="no time",
    ),
    pytest.param(
        {"buys": BUYS + f"ann,{'y' * 1001},2021-02-03\n"}, {},
        "buys.csv, line 4, column 'item': an id may have 1000 characters and this one has 1001.",
        id="an id that is a text",
    ),
    pytest.param(
        {"buys": BUYS + "ann\x07,1,2021-02-03\n"}, {},
        "buys.csv, line 4, column 'user': the id has control characters. Received: 'ann\\x07'.",
        id="control characters",
    ),
    pytest.param(
        {"goods": GOODS + "3,call us\n"}, {},
        "goods.csv, line 4, column 'price': this is no number. Received: 'call us'. Repair it, or "
        'set unreadable = "missing" for the column to count such values as missing.',
        id="a price that is none",
    ),
    pytest.param(
        {"goods": GOODS + '3,"12,50 €"\n'}, {},
        "goods.csv, line 4, column 'price': the number does not fit the decimal mark '.'. "
        "Received: '12,50 €'. Repair it, or set decimal = \",\" for the column",
        id="another decimal mark",
    ),
    pytest.param(
        {"goods": GOODS + ",7\n"}, {},
        "goods.csv, line 4, column 'id': the value is missing. Received: ''. Fill it in, or set "
        'data.items.missing = "drop"',
        id="an item without an id",
    ),
    pytest.param(
        {"goods": GOODS + "1,$6.00\n"}, {},
        "goods.csv, line 4, column 'id': the item is also in",
        id="two different rows of an item",
    ),
    pytest.param(
        {"goods": GOODS + "3,4,5\n"}, {},
        "goods.csv, line 4: 3 fields where the header has 2. Received: '3,4,5'. Repair the line; a "
        "text that holds ',' must be in double quotes.",
        id="a row too wide",
    ),
    pytest.param(
        {"goods": GOODS + '3,"4\n'}, {},
        "goods.csv, line 4: not readable as CSV",
        id="a quote that does not end",
    ),
    pytest.param(
        {"goods": GOODS.encode() + b"3,Mis\xe9rables\n"}, {},
        "goods.csv, line 4: not UTF-8 (byte 6 of the line). Received: b'3,Mis\\xe9rables\\n'. Save "
        "the file as UTF-8.",
        id="another encoding",
    ),
    pytest.param(
        {"goods": GOODS.encode("utf-16")}, {},
        "goods.csv: this is no CSV or Parquet file. Received: UTF-16. Save it as UTF-8.",
        id="UTF-16",
    ),
    pytest.param(
        {"goods": b"PK\x03\x04rest"}, {},
        "goods.csv: this is no CSV or Parquet file. Received: an Excel workbook",
        id="Excel",
    ),
    pytest.param(
        {"goods": gzip.compress(GOODS.encode())}, {},
        "goods.csv: this is no CSV or Parquet file. Received: gzip without the ending .gz.",
        id="gzip without its ending",
    ),
    pytest.param(
        {"goods": b""}, {},
        "goods.csv: the file is empty. Received: 0 bytes. Replace it",
        id="an empty file",
    ),
    pytest.param(
        {"goods": "id,id\n1,2\n"}, {},
        "goods.csv: the first line must name each column once. Received: 'id'.",
        id="a column twice",
    ),
    pytest.param(
        {"goods": "id,prize\n1,2\n"}, {},
        "goods.csv: there is no column 'price'. Did you mean 'prize'? Received: the columns id, "
        "prize.",
        id="a column that is not there",
    ),
    pytest.param(
        {"goods": b"PAR1 and then nothing"}, {},
        "goods.csv: not a readable Parquet file",
        id="damaged Parquet",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("files", "settings", "message"), BAD)
def test_what_cannot_be_read_is_refused_by_file_row_column_and_remedy(
    tmp_path, files, settings, message
):
    for name, content in {"buys": BUYS, "goods": GOODS, **files}.items():
        content = content if isinstance(content, bytes) else content.encode()
        (tmp_path / f"{name}.csv").write_bytes(content)
    with pytest.raises(DataError) as error:
        read_all(tmp_path, make_options(tmp_path, **settings))
    assert message in str(error.value)
    assert str(error.value).startswith(str(tmp_path)), "the whole path of the file comes first"


@pytest.mark.parametrize(
    ("column", "kind", "message"),
    [
        ([0.5], "id", "row 1, column 'id': a number with a fraction is no id. Received: 0.5."),
        ([float(2**60)], "id", "row 1, column 'id': a floating-point number this large has lost"),
        ([float("inf")], "number", "row 1, column 'price': infinity is no value. Received: inf."),
        ([1.5], "integer", "row 1, column 'price': this is no whole number. Received: 1.5."),
        (["1 x"], "vector", "row 1, column 'price': this is no vector of numbers. Received: '1 x'"),
    ],
)
def test_what_parquet_holds_is_refused_by_row(tmp_path, column, kind, message):
    table = {"id": column} if kind == "id" else {"id": [1], "price": column}
    pq.write_table(pa.table({"price": [1.0], **table}), tmp_path / "goods.csv")
    (tmp_path / "buys.csv").write_text(BUYS)
    items = {} if kind == "id" else {"columns": {"price": ItemColumn(kind)}}
    with pytest.raises(DataError) as error:
        read_all(tmp_path, make_options(tmp_path, items=items))
    assert f"goods.csv, {message}" in str(error.value)


def test_a_repeated_pair_is_refused_where_that_is_asked_for():
    table = InteractionsTable("buys.csv", "user", "item", duplicates="refuse")
    rows = [(("buys.csv", line, "line"), 10, None, ()) for line in (7, 2)]
    with pytest.raises(DataError) as error:
        merge_pair((("ann", "1"), rows), table, Split())
    assert str(error.value) == (
        "buys.csv, line 7: the pair of user and item is also in buys.csv, line 2. Received: 'ann' "
        'and \'1\'. Remove one, or set data.interactions.duplicates = "first" (or "last").'
    )


def test_of_a_repeated_pair_the_first_in_time_counts_and_weights_add_up():
    rows = [(("b", 1, "line"), 30, 2.0, ("x",)), (("b", 2, "line"), 10, 1.0, ("y",))]
    group = (("ann", "1"), rows)
    first, last = (
        merge_pair(group, InteractionsTable("b", "u", "i", weight="w", duplicates=word), Split())
        for word in ("first", "last")
    )
    assert (first[0]["timestamp"], last[0]["timestamp"]) == (10, 30)
    assert first[0]["weight"] == last[0]["weight"] == 3.0
    assert first[1] == [("y",), ("x",)]


@pytest.mark.parametrize(
    ("split", "weight", "values"),
    [
        (Split("random"), 107.0, [(5,), (6,), (100,)]),
        (Split("by_time", "20", "30"), 3.0, [(5,), (6,)]),
        (Split("leave_last_out"), 1.0, [(5,)]),
    ],
    ids=lambda value: getattr(value, "rule", ""),
)
def test_a_pair_says_nothing_of_a_later_part(split, weight, values):
    rows = [
        (("b", 1, "line"), 99, 104.0, (100,)),
        (("b", 2, "line"), 10, 1.0, (5,)),
        (("b", 3, "line"), 15, 2.0, (6,)),
    ]
    table = InteractionsTable("b", "u", "i", weight="w")
    row, counted = merge_pair((("ann", "1"), rows), table, split)
    assert (row["timestamp"], row["weight"], counted) == (10, weight, values)


@pytest.mark.parametrize("rule", ["leave_last_out", "by_time"])
def test_prices_of_the_test_period_stay_out_of_training(tmp_path, rule):
    """Everyone buys item 0 on day 1 for 5, and again on day 9, after the test began, for 100."""
    lines = []
    for user in range(4):
        days = ((0, 1, 5), (1, 2, 7), (2, 4, 7), (3, 6, 7), (0, 9, 100))
        lines += [f"{user},{item},2021-03-{day:02d},{paid}" for item, day, paid in days]
    (tmp_path / "buys.csv").write_text("user,item,time,paid\n" + "\n".join(lines) + "\n")
    (tmp_path / "goods.csv").write_text("id\n" + "".join(f"{i}\n" for i in range(4)))
    options = make_options(
        tmp_path,
        {"weight": "paid"},
        {"columns": {}},
        Split(rule, *(("2021-03-03", "2021-03-05") if rule == "by_time" else ())),
        aggregates={"paid": Aggregate("median", "paid")},
    )
    make_dataset("tables", options=options).write(None, tmp_path, tmp_path / "out")
    items = {row["item_id"]: row for row in _load(tmp_path / "out", "items").values()}
    assert _load_split(tmp_path / "out")["0", "0"] == "train"
    assert items["0"]["paid"] == [5.0]
    assert _load(tmp_path / "out", "interactions/train")["0", "0"]["weight"] == 5.0


def test_photos_that_share_a_name_are_found_by_their_paths_alone():
    paths = [f"d/{name}" for name in ("shoes/7.jpg", "hats/7.jpg", "hats/8.jpg", "9.png")]
    index = index_photos("d", [FileInfo(path, 1, "") for path in paths])
    assert count_shared_names(index) == 2
    assert [find_photo(index, key) for key in ("7", "7.jpg")] == [None, None]
    assert [find_photo(index, key) for key in ("8", "8.jpg", "9")] == [paths[2], paths[2], paths[3]]
    assert find_photo(index, "hats/7.jpg") == "d/hats/7.jpg"
    assert find_photo(index, "old/d/hats/7.jpg", is_path=True) == "d/hats/7.jpg"
    assert find_photo(index, "caps/7.jpg", is_path=True) is None
    assert find_photo(index, "lot/8") is None, "an id with a slash is no path"


def test_a_photo_that_is_named_and_not_there_keeps_its_name():
    index = index_photos("d", [FileInfo("d/7.jpg", 1, "")])
    names = ("7.jpg", "8.jpg", "s3://b/9.jpg", "", None)
    named = [name_photo(index, "d/", name) for name in names]
    assert named == ["d/7.jpg", "d/8.jpg", "s3://b/9.jpg", None, None]


def test_a_photo_that_no_item_names_changes_nothing(written, tmp_path):
    options, _ = written
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "1.jpg").write_bytes(b"photo")
    options = dataclasses.replace(options, images=Images(str(photos)))
    dataset, out = make_dataset("tables", options=options), tmp_path / "out"
    assert dataset.write(None, tmp_path, out)
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*.parquet")}
    (photos / "nobody.jpg").write_bytes(b"another photo")
    dataset.write(None, tmp_path, out)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.parquet")} == times


def test_photos_that_share_a_name_are_counted_aloud(written, tmp_path, caplog):
    options, _ = written
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "1.jpg").write_bytes(b"photo")
    options = dataclasses.replace(options, images=Images(str(tmp_path)))
    make_dataset("tables", options=options).write(None, tmp_path, tmp_path / "out")
    items = {row["item_id"]: row for row in _load(tmp_path / "out", "items").values()}
    assert items["1"]["image"] is None
    assert "2 photos share a name" in caplog.text and "data.images.match" in caplog.text


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("number", []), ("integer", []), ("list", []), ("category", None), ("text", None),
     ("vector", None)],
)  # fmt: skip
def test_what_cannot_be_read_may_count_as_missing_in_the_column_s_own_kind(kind, expected):
    column = ItemColumn(kind, separator="json", unreadable="missing")
    value = float(2**60) if kind in ("category", "text") else "call us"
    assert parse_column(Place("g", 2, "row"), "a", value, column) == expected


@pytest.mark.parametrize("column", ["title", "photo"])
def test_a_title_or_photo_that_cannot_be_read_is_named_with_its_place(tmp_path, column):
    table = {"id": [1], "price": [1.0], "title": ["x"], "photo": ["x"], column: [float(2**60)]}
    pq.write_table(pa.table(table), tmp_path / "goods.csv")
    options = make_options(
        tmp_path, items={"title": "title"}, images=Images(str(tmp_path), match="photo")
    )
    with pytest.raises(DataError, match=f"goods.csv, row 1, column '{column}': a floating-point"):
        list(read_items(options.items.path, options, {}))


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("nothing.csv", "There is no file of the items. Received: "),
        ("*.parquet", "There is no file of the items. Received: "),
        ("foo://bucket/items.csv", "The items cannot be looked up: "),
    ],
)
def test_files_that_are_not_there_are_named(tmp_path, pattern, message):
    path = pattern if "://" in pattern else str(tmp_path / pattern)
    with pytest.raises(DataError) as error:
        list_files(path, "items")
    assert message in str(error.value) and path in str(error.value)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_csv_of_every_dialect(tmp_path, delimiter):
    path = tmp_path / "table.csv.gz"
    text = delimiter.join(("id", "text")) + f'\r\n1{delimiter}"a{delimiter} ""b""\r\nc"\r\n\r\n2'
    path.write_bytes(gzip.compress(b"\xef\xbb\xbf" + (text + delimiter + "d\r\n").encode()))
    assert load_header(str(path)) == ("id", "text")
    rows = list(load_rows(str(path), ("text", "id")))
    assert [values for _, values in rows] == [(f'a{delimiter} "b"\r\nc', "1"), ("d", "2")]
    assert [place.number for place, _ in rows] == [2, 5]


def test_a_table_may_be_many_files_or_a_folder(tmp_path):
    for name in ("a.csv", "b.csv", "_SUCCESS", ".hidden"):
        (tmp_path / name).write_text("id\n1\n")
    for pattern in (tmp_path, tmp_path / "*.csv"):
        files = list_files(str(pattern), "items")
        assert [pathlib.Path(file.path).name for file in files] == ["a.csv", "b.csv"]


def _load(output, table):
    return {
        tuple(row[name] for name in ("user_id", "item_id") if name in row): row
        for row in pq.read_table(output / table).to_pylist()
    }


def _load_split(output):
    return {
        pair: split
        for split in ("train", "validation", "test")
        for pair in _load(output, f"interactions/{split}")
    }


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Hard but sound tables, written: ids of all kinds, repeats, gaps, money, three formats."""
    folder = tmp_path_factory.mktemp("tables")
    items = ["1", "2", "商品", LONG, "sku-5"]
    pq.write_table(
        pa.table(
            {
                "id": ["1", "2", "商品", LONG, "sku-5", "cold", "1"],
                "name": ["One", None, "三", "Four", "Five", "Nobody's", "One"],
                "cost": ["$1,200.50", "3", "", "call us", "(2)", "0", "$1,200.50"],
                "brand": ["a", None, "a", "b", "a", "b", "a"],
                "empty": pa.array([None] * 7, pa.string()),
                "tags": ["x|y", "", "y", None, "x", "x", "x|y"],
                "vector": [[0.1, 0.2]] * 3 + [None] + [[0.3, 0.4]] * 2 + [[0.1, 0.2]],
            }
        ),
        folder / "goods.csv",
    )
    lines = ["user;item;time;paid;stars"]
    for number in range(60):
        for position, item in enumerate(items):
            # In the file the id is a whole number, a number with a fraction, or a text.
            item = {"1": "1.0"}.get(item, item)
            moment = (f"2021-03-{position + 1:02d}", f"{position + 2}/03/2021", "1615000000")[
                number % 3
            ]
            lines.append(f"{number};{item};{moment};{position + number / 100:.2f};5")
    lines += ["0;1;2020-01-01;9,000.00;5", "lonely;2;2021-03-01;1;5", "ann;2;2021-03-01;1;2"]
    lines += ["ann;gone;2021-03-01;1;5", ";2;2021-03-01;1;5"]
    (folder / "buys.csv").write_text("\n".join(lines) + "\n")
    (folder / "photos" / "5").mkdir(parents=True)
    (folder / "photos" / "5" / "sku-5.jpg").write_bytes(b"photo")
    options = make_options(
        folder,
        {
            "time_formats": ("iso", "epoch_s", "dd/mm/yyyy"),
            "rating": "stars",
            "min_rating": 4.0,
            "missing": "drop",
            "unknown_items": "drop",
        },
        {
            "title": "name",
            "columns": {
                "price": ItemColumn("number", "cost", unreadable="missing"),
                "brand": ItemColumn("category"),
                "empty": ItemColumn("text"),
                "tags": ItemColumn("list", separator="|"),
                "vector": ItemColumn("vector"),
            },
        },
        aggregates={"popularity": Aggregate("count"), "paid": Aggregate("median", "paid")},
        images=Images(str(folder / "photos")),
    )
    output = folder / "out"
    assert make_dataset("tables", options=options).write(None, folder, output)
    return options, output


def test_hard_but_sound_tables_come_out_whole(written):
    _, output = written
    items = {row["item_id"]: row for row in _load(output, "items").values()}
    assert set(items) == {"1", "2", "商品", LONG, "sku-5", "cold"}
    assert [items[i]["price"] for i in ("1", "2", "商品", LONG, "sku-5", "cold")] == [
        [1200.5], [3.0], [], [], [-2.0], [0.0]
    ]  # fmt: skip
    assert items["1"]["tags"] == ["x", "y"] and items[LONG]["tags"] == []
    assert items["2"]["brand"] is None and items["2"]["title"] is None
    assert all(row["empty"] is None for row in items.values())
    assert items[LONG]["vector"] is None
    assert items["1"]["vector"] == pytest.approx([0.1, 0.2])
    assert items["sku-5"]["image"].endswith("photos/5/sku-5.jpg") and items["1"]["image"] is None


def test_pairs_are_there_once_with_their_hash_as_split(written):
    _, output = written
    splits = _load_split(output)
    assert len(splits) == 60 * 5 + 1, "no repeats, no unknown items, no low ratings, no nameless"
    assert ("lonely", "2") in splits and not any(user == "ann" for user, _ in splits)
    assert splits == {pair: assign_split(*pair) for pair in splits}
    row = _load(output, f"interactions/{splits['0', '1']}")["0", "1"]
    assert row["timestamp"] == 1577836800, "the first of a repeated pair counts"


def test_aggregates_look_at_training_alone(written):
    _, output = written
    splits = _load_split(output)
    items = {row["item_id"]: row for row in _load(output, "items").values()}
    for position, item in enumerate(("1", "2", "商品", LONG, "sku-5")):
        users = [u for (u, i), split in splits.items() if i == item and split == "train"]
        assert items[item]["popularity"] == [len(users)]
        paid = sorted(
            [position + (int(u) / 100 if u != "lonely" else 0) for u in users]
            + ([9000.0] if item == "1" and splits["0", "1"] == "train" else [])
        )
        middle = (paid[len(paid) // 2] + paid[(len(paid) - 1) // 2]) / 2
        assert items[item]["paid"] == pytest.approx([middle], abs=1e-5)
    assert (items["cold"]["popularity"], items["cold"]["paid"]) == ([0], [])


def test_an_unchanged_table_is_left_alone_and_a_changed_one_read_again(written):
    options, output = written
    dataset = make_dataset("tables", options=options)
    assert not dataset.write(None, output, output)
    with open(options.interactions.path, "a") as file:
        file.write("newcomer;2;2021-03-01;1;5\n")
    assert dataset.write(None, output, output)
    assert any(user == "newcomer" for user, _ in _load_split(output))


@pytest.mark.parametrize("rule", ["leave_last_out", "by_time"])
def test_splits_by_time(tmp_path, rule):
    lines = [f"{u},{i},2021-03-{i + 1:02d}" for u in range(6) for i in range(u + 1)]
    (tmp_path / "buys.csv").write_text("user,item,time\n" + "\n".join(reversed(lines)) + "\n")
    (tmp_path / "goods.csv").write_text("id,price\n" + "".join(f"{i},1\n" for i in range(6)))
    cuts = ("2021-03-03", "2021-03-05") if rule == "by_time" else ()
    options = make_options(tmp_path, split=Split(rule, *cuts))
    make_dataset("tables", options=options).write(None, tmp_path, tmp_path / "out")
    splits = _load_split(tmp_path / "out")
    for (user, item), split in splits.items():
        count, item = int(user) + 1, int(item)
        if rule == "by_time":
            expected = "train" if item < 2 else "validation" if item < 4 else "test"
        else:
            expected = "train"
            if item == count - 1 and count > 1:
                expected = "test"
            elif item == count - 2 and count > 2:
                expected = "validation"
        assert split == expected, (user, item)


def test_a_split_that_leaves_a_part_empty_names_the_rule(tmp_path):
    (tmp_path / "buys.csv").write_text(BUYS)
    (tmp_path / "goods.csv").write_text(GOODS)
    options = make_options(tmp_path, split=Split("by_time", "2022-01-01", "2022-02-01"))
    with pytest.raises(DataError) as error:
        make_dataset("tables", options=options).write(None, tmp_path, tmp_path / "out")
    assert "interactions/test/*.parquet: no rows" in str(error.value)
    assert "addrl.toml, with the split rule 'by_time'" in str(error.value)
    assert not (tmp_path / "out").exists()


def test_low_ratings_become_auxiliary_interactions_that_tell_nothing_of_the_test(tmp_path):
    (tmp_path / "goods.csv").write_text("id,price\n1,5\n2,5\n3,5\n")
    rows = [
        "ann,1,2021-01-01,5", "ann,2,2021-01-02,2", "ann,3,2021-03-01,1",  # after the cut
        "bob,1,2021-02-01,4", "bob,3,2021-01-02,3", "bob,2,2021-03-02,5",
        "cid,1,2021-01-02,1", "cid,1,2021-03-02,5",  # low first, and then an interaction
        "cid,gone,2021-01-02,1",
    ]  # fmt: skip
    (tmp_path / "buys.csv").write_text("user,item,time,stars\n" + "\n".join(rows) + "\n")
    settings = {
        "rating": "stars",
        "min_rating": 4.0,
        "low_ratings": "auxiliary",
        "unknown_items": "drop",
    }
    options = make_options(
        tmp_path,
        settings,
        split=Split("by_time", "2021-02-01", "2021-03-01"),
        aggregates={"popularity": Aggregate("count")},
    )
    output = tmp_path / "out"
    assert make_dataset("tables", options=options).write(None, tmp_path, output)
    found = {
        split: {(row["user_id"], row["item_id"]) for row in pq.read_table(path).to_pylist()}
        for split in ("train", "validation", "test", "auxiliary")
        for path in [output / "interactions" / split]
    }
    assert found == {
        "train": {("ann", "1")},
        "validation": {("bob", "1")},
        "test": {("bob", "2"), ("cid", "1")},
        "auxiliary": {("ann", "2"), ("bob", "3")},
    }
    items = {row["item_id"]: row for row in pq.read_table(output / "items").to_pylist()}
    assert [items[item]["popularity"] for item in "123"] == [[1], [0], [0]]


def test_low_ratings_after_what_is_held_out_of_a_user_are_not_known_in_training(tmp_path):
    (tmp_path / "goods.csv").write_text("id,price\n1,5\n2,5\n3,5\n4,5\n5,5\n")
    rows = [f"{user},{item},2021-01-0{item},5" for user in ("ann", "bob") for item in (1, 3, 4)]
    rows += ["ann,2,2021-01-02,1", "ann,5,2021-01-05,1", "low,1,2021-01-09,1"]
    (tmp_path / "buys.csv").write_text("user,item,time,stars\n" + "\n".join(rows) + "\n")
    settings = {"rating": "stars", "min_rating": 4.0, "low_ratings": "auxiliary"}
    options = make_options(tmp_path, settings, split=Split("leave_last_out"))
    make_dataset("tables", options=options).write(None, tmp_path, tmp_path / "out")
    found = pq.read_table(tmp_path / "out" / "interactions" / "auxiliary").to_pylist()
    pairs = {(row["user_id"], row["item_id"]) for row in found}
    assert pairs == {("ann", "2"), ("low", "1")}


def test_a_data_folder_has_no_use(tmp_path):
    (tmp_path / "buys.csv").write_text(BUYS)
    with pytest.raises(DataError, match="a data folder has no use"):
        make_dataset("tables", options=make_options(tmp_path)).write(
            tmp_path, tmp_path, tmp_path / "out"
        )


OPTIONS = [
    ({"interactions": {"item": "user"}}, "must be two columns. Received: 'user' twice"),
    ({"interactions": {"time_formats": ("us",)}}, "time_formats must be one of iso, epoch_s"),
    (
        {"interactions": {"time_formats": ("dd/mm/yyyy", "mm/dd/yyyy")}},
        "must name one of dd/mm/yyyy and mm/dd/yyyy",
    ),
    ({"interactions": {"min_rating": 4.0}}, "min_rating needs data.interactions.rating"),
    (
        {"interactions": {"rating": "stars", "low_ratings": "auxiliary"}},
        'low_ratings = "auxiliary" needs data.interactions.min_rating',
    ),
    ({"interactions": {"low_ratings": "keep"}}, "low_ratings must be one of drop, auxiliary"),
    ({"interactions": {"duplicates": "sum"}}, "duplicates must be one of first, last, refuse"),
    ({"items": {"columns": {"title": ItemColumn("text")}}}, "has a column of this name already"),
    ({"items": {"columns": {"a": ItemColumn("money")}}}, "data.items.columns.a.kind must be one"),
    ({"split": Split("by_time", "2021-01-01", "soon")}, "test_from must be a date such as"),
    ({"split": Split("by_time", "2021-02-01", "2021-01-01")}, "must be before data.split.test_f"),
    ({"split": Split("random", "2021-01-01")}, "belong to the rule 'by_time'"),
    (
        {"split": Split("leave_last_out"), "interactions": {"time": ""}},
        "The split rule 'leave_last_out' needs data.interactions.time",
    ),
    ({"aggregates": {"price": Aggregate("count")}}, "must come from one place"),
    ({"aggregates": {"n": Aggregate("median")}}, "data.aggregates.n.column must name a column"),
    ({"images": Images("")}, "data.images.directory must be given"),
]


@pytest.mark.parametrize(("settings", "message"), OPTIONS, ids=[m for _, m in OPTIONS])
def test_options_that_contradict_each_other_are_named(tmp_path, settings, message):
    settings = dict(settings)
    with pytest.raises(DataError) as error:
        interactions = {"user": "user", "item": "item"} | settings.pop("interactions", {})
        TableOptions(
            InteractionsTable("b.csv", **{"time": "time", **interactions}),
            ItemsTable(
                "g.csv", "id", **{"columns": {"price": ItemColumn("number")}}
                | settings.pop("items", {})
            ),
            **settings,
        ).validate()  # fmt: skip
    assert message in str(error.value)
    assert "Received: " in str(error.value)
