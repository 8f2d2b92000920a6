"""Files of new items: what is read, and each fault with its message."""

import pathlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from addrl_keras.config import Attribute, Config, Modality
from tfx_pipeline.configs import PipelineConfig
from tfx_pipeline.datasets.errors import DataError
from tfx_pipeline.datasets.table_options import (
    Images,
    InteractionsTable,
    ItemColumn,
    ItemsTable,
    TableOptions,
)
from tfx_pipeline.index.about import About
from tfx_pipeline.index.columns import find_columns, make_columns
from tfx_pipeline.index.known import Known
from tfx_pipeline.index.reading import read_items
from tfx_pipeline.index.table import PhotoFinder, find_ignored, load_new_items

CONFIG = Config(
    attributes=(
        Attribute("price", "price", kind="numeric"),
        Attribute("year", "year", kind="numeric"),
        Attribute("brand", "brand"),
        Attribute("genre", "genres"),
    ),
    modalities=(
        Modality("id", encoder="id"),
        Modality("words", "title", encoder="text"),
        Modality("people", "people", encoder="bag"),
        Modality("photo", "image", encoder="hub", handle="photos", preprocessing="image"),
        Modality("sound", "sound", encoder="precomputed"),
    ),
)
KINDS = {
    "title": "string",
    "price": "floats",
    "year": "int64s",
    "brand": "string",
    "genres": "strings",
    "people": "strings",
    "image": "string",
    "sound": "vector",
}


def load(path, known=(), tables=None):
    columns = make_columns(CONFIG, KINDS, tables)
    photos = PhotoFinder(str(path), tables)
    return load_new_items(path, columns, frozenset(known), photos, find_ignored(tables))


@pytest.fixture
def write(tmp_path):
    def write_text(text, name="items.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write_text


def test_every_kind_of_column_is_read(write, tmp_path):
    path = write(
        "item_id,title,price,year,brand,genres,people,image,sound\n"
        'a1,"Robot, dawn",$12.50,1999,Aurora,War|Drama,"[""x"", ""y""]",photos/1.jpg,0.5 -1 2e-3\n'
        "a2,,,,,,,,\n"
    )
    items = load(path)
    assert items.item_ids == ("a1", "a2") and items.ignored == ()
    assert items.rows[0] == {
        "item_id": "a1",
        "title": "Robot, dawn",
        "price": 12.5,
        "year": 1999,
        "brand": "Aurora",
        "genres": ["War", "Drama"],
        "people": ["x", "y"],
        "image": str(tmp_path / "photos" / "1.jpg"),
        "sound": [0.5, -1.0, 0.002],
    }
    assert not any(value for name, value in items.rows[1].items() if name != "item_id")
    assert str(items.places[1]) == f"{path}, line 3"


def test_what_the_file_lacks_is_missing(write):
    (row,) = load(write("brand,item_id\nAurora,7\n")).rows
    assert row["item_id"] == "7" and row["brand"] == "Aurora"
    assert set(row) == {"item_id", *KINDS}
    assert all(row[name] is None for name in KINDS if name != "brand")


def test_parquet_keeps_its_types(tmp_path):
    columns = {
        "item_id": [5, 6],
        "genres": [["War"], None],
        "price": [2.5, float("nan")],
        "sound": [[1.0, 2.0], None],
        "image": ["gs://bucket/5.jpg", None],
    }
    pq.write_table(pa.table(columns), tmp_path / "items.parquet")
    items = load(tmp_path / "items.parquet")
    first, second = items.rows
    assert items.item_ids == ("5", "6")
    assert (first["genres"], first["price"], first["sound"]) == (["War"], 2.5, [1.0, 2.0])
    assert first["image"] == "gs://bucket/5.jpg"
    assert (second["price"], second["sound"], second["image"]) == (None, None, None)
    assert str(items.places[1]).endswith("items.parquet, row 2")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"items.csv: the file is empty. Received: 0 bytes"),
        ("item_id,title\n", r"there are no items. Received: a header and no rows"),
        (
            "item_id,brnad\n1,x\n",
            r"items.csv, line 1, column 'brnad': there is no such column of items. "
            r"Received: 'brnad'. Did you mean 'brand'\? Rename or remove it",
        ),
        (
            "title,brand\nx,y\n",
            r"line 1: the column 'item_id' is missing. Received: the columns title, brand",
        ),
        (
            "item_id,title\n,x\n",
            r"items.csv, line 2, column 'item_id': an item needs an id. Received: ''",
        ),
        (
            "item_id\nn1\nn2\nn1\n",
            r"line 4, column 'item_id': the item is also in .*items.csv, line 2. Received: 'n1'. "
            r"Keep one row per item",
        ),
        (
            "item_id\nn1\nold\n",
            r"line 3, column 'item_id': the item is in the catalogue already. Received: 'old'. "
            r"Remove the row; .*`addrl run`",
        ),
        (
            "item_id,title\nn1,Caf\xe9\n".encode("latin-1"),
            r"items.csv, line 2: not UTF-8 \(byte 7 of the line\).*Save the file as UTF-8",
        ),
        (
            "item_id,price\nn1,cheap\n",
            r"line 2, column 'price': this is no number. Received: 'cheap'. Repair it, or leave it",
        ),
        ("item_id,price\nn1,inf\n", r"line 2, column 'price': .* Received: 'inf'"),
        (
            "item_id,year\nn1,1999.5\n",
            r"line 2, column 'year': this is no whole number. Received: '1999.5'",
        ),
        (
            "item_id,sound\nn1,1 two 3\n",
            r"line 2, column 'sound': this is no vector of numbers. Received: '1 two 3'",
        ),
        ("item_id,title\nn1\n", r"items.csv, line 2: 1 fields where the header has 2"),
        ('item_id,title\nn1,"open\n', r"items.csv, line 2: not readable as CSV"),
        (
            "item_id\n1.0876E+15\n",
            r"line 2, column 'item_id': the id is in scientific notation.* Export the table again",
        ),
        ("item_id,item_id\n1,2\n", r"the first line must name each column once"),
        (b"PK\x03\x04rest", r"no CSV or Parquet file. Received: an Excel workbook"),
    ],
    ids=lambda value: repr(value)[:40] if len(value) < 60 else "",
)
def test_a_fault_is_named_with_its_place_and_remedy(write, text, message):
    with pytest.raises(DataError, match=message):
        load(write(text), known=["old"])


def make_tables(tmp_path, **columns):
    return TableOptions(
        InteractionsTable("sales.csv", "who", "sku"),
        ItemsTable(str(tmp_path / "shop.csv"), "sku", "label", columns=columns),
        images=Images(str(tmp_path / "pictures")),
    )


def test_a_project_reads_new_items_as_it_reads_the_old_ones(write, tmp_path):
    write("sku,label,cost,kinds,internal note\n1,x,1,a,b\n", "shop.csv")
    (tmp_path / "pictures").mkdir()
    for name in ("n1.jpg", "n2.jpg"):
        (tmp_path / "pictures" / name).touch()
    tables = make_tables(
        tmp_path,
        price=ItemColumn("number", "cost", decimal=",", unreadable="missing"),
        genres=ItemColumn("list", "kinds", separator=";"),
    )
    path = write('sku,label,cost,kinds,internal note\nn1,Robot,"1.234,5",War;Drama,?\nn9,,?!,,\n')
    items = load(path, tables=tables)
    first, second = items.rows
    assert first["item_id"] == "n1" and first["title"] == "Robot" and first["price"] == 1234.5
    assert first["genres"] == ["War", "Drama"]
    assert first["image"] == str(tmp_path / "pictures" / "n1.jpg") and second["image"] is None
    assert second["price"] is None
    assert items.ignored == ("internal note",)
    (unreadable,) = items.unreadable
    assert str(unreadable) == (
        "column 'cost': 1 of 2 values cannot be read and count as missing: '?!' in line 3 (this is "
        "no number)"
    )
    assert items.names["price"] == "cost" and items.names["item_id"] == "sku"
    with pytest.raises(
        DataError, match="Received: 'sku' of the former and 'item_id' of the latter"
    ):
        load(write("sku,item_id\n1,2\n"), tables=tables)
    # The file's own folder comes first, the project's pictures second.
    (row,) = load(write("item_id,image\nn7,n2.jpg\n"), tables=tables).rows
    assert row["image"] == str(tmp_path / "pictures" / "n2.jpg")
    (tmp_path / "n2.jpg").touch()
    (row,) = load(write("item_id,image\nn7,n2.jpg\n"), tables=tables).rows
    assert row["image"] == str(tmp_path / "n2.jpg")


def test_a_column_in_another_decimal_mark_is_not_missing_in_silence(write, tmp_path):
    tables = make_tables(
        tmp_path,
        price=ItemColumn("number", "Preis", decimal=",", unreadable="missing"),
        sound=ItemColumn("vector", unreadable="missing"),
    )
    rows = "".join(f"n{number},{number}.25,1 2\n" for number in range(9))
    items = load(write(f"sku,Preis,sound\n{rows}m,,\n"), tables=tables)
    assert not any(row["price"] for row in items.rows) and items.rows[0]["sound"] == [1.0, 2.0]
    (found,) = items.unreadable
    assert (found.column, found.count, found.given) == ("Preis", 9, 9)
    why = "(the number does not fit the decimal mark ',')"
    assert str(found).endswith(
        f"missing: '0.25' in line 2 {why}, '1.25' in line 3 {why}, '2.25' in line 4 {why}, ..."
    )


def test_errors_name_the_columns_of_the_file_each_once(write, tmp_path):
    tables = make_tables(tmp_path, price=ItemColumn("number", "cost"))
    own = "sku, label, cost, year, brand, genres, people, image, sound"
    for text, message in (
        ("sku,prize\n1,2\n", f"column 'prize': .* there are: {own}\\.$"),
        ("cost\n1\n", "the column 'sku' is missing"),
        ("sku,cost\nold,1\n", "line 2, column 'sku': the item is in the catalogue"),
        ("sku\nn1\nn1\n", "line 3, column 'sku': the item is also in"),
    ):
        with pytest.raises(DataError, match=message):
            load(write(text), known=["old"], tables=tables)


@pytest.mark.parametrize(
    ("dataset", "text", "expected"),
    [
        ("hm", "item_id,title,brand\n1,Unknown,Unknown\n", {"title": None, "brand": "Unknown"}),
        ("movielens", "item_id,genres\n1,War|unknown\n", {"genres": ["War"]}),
        ("movielens", "item_id,genres\n1,unknown\n", {"genres": []}),
        ("toys", "item_id,brand\n1,1\n", {"brand": None}),
        ("planted", "item_id,title,brand\n1,Unknown,1\n", {"title": "Unknown", "brand": "1"}),
    ],
)
def test_what_stands_for_nothing_in_the_data_set_does_in_a_file(write, dataset, text, expected):
    known = Known(CONFIG, About("p", dataset, KINDS, {}, {}), frozenset(), {})
    config = PipelineConfig("p", dataset, CONFIG, "items")
    (row,) = read_items(config, known, str(write(text))).rows
    assert {name: row[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("own_id", "header", "expected"),
    [
        ("sku", "sku,department,category", {"category": "a", "brand": "b"}),
        ("sku", "sku,category", {"brand": "a"}),
        ("sku", "item_id,category", {"category": "a"}),
        ("sku", "item_id,category,brand", {"category": "a", "brand": "b"}),
        ("item_id", "item_id,department,category", {"category": "a", "brand": "b"}),
        ("item_id", "item_id,category,brand", {"category": "a", "brand": "b"}),
        ("item_id", "item_id,shelf,category", {"brand": "b"}),
        ("item_id", "item_id,category", "'category': in the project's own table it stands for "
         "'brand', and among the canonical .* such as 'department' or 'brand'; it may be empty"),
        ("sku", "sku,department,brand", "'sku' of the former and 'brand' of the latter"),
    ],
)  # fmt: skip
def test_columns_whose_names_cross_are_told_apart_by_the_header(write, own_id, header, expected):
    config = Config(
        attributes=(Attribute("category", "category"), Attribute("brand", "brand")),
        modalities=(Modality("id", encoder="id"),),
    )
    tables = TableOptions(
        InteractionsTable("sales.csv", "who", "what"),
        ItemsTable(
            "shop.csv",
            own_id,
            columns={
                "category": ItemColumn("category", "department"),
                "brand": ItemColumn("category", "category"),
            },
        ),
    )
    columns = make_columns(config, {"category": "string", "brand": "string"}, tables)
    path = write(f"{header}\n" + ",".join(["n1", "a", "b"][: header.count(",") + 1]) + "\n")

    def load():
        return load_new_items(path, columns, (), PhotoFinder(str(path)), {own_id, "shelf"})

    if isinstance(expected, str):
        with pytest.raises(DataError, match=expected):
            load()
        return
    (row,) = load().rows
    empty = {"title": None, "category": None, "brand": None}
    assert row == {"item_id": "n1", **empty, **expected}


def test_photos_beside_a_file_in_the_root_folder_are_there():
    assert PhotoFinder("/items.csv").find("n1", "n1.jpg") == "/n1.jpg"


def test_kinds_come_from_the_schema_and_its_use():
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    text = "".join(
        f'feature {{ name: "{name}" type: {kind} value_count {{ min: 1 {most} }} }}'
        for name, kind, most in (
            ("item_id", "BYTES", "max: 1"),
            ("title", "BYTES", ""),
            ("price", "FLOAT", "max: 1"),
            ("year", "INT", "max: 1"),
            ("brand", "BYTES", "max: 1"),
            ("genres", "BYTES", ""),
            ("people", "BYTES", "max: 1"),
            ("image", "BYTES", "max: 1"),
            ("sound", "FLOAT", "max: 1"),
        )
    )
    schema = text_format.Parse(text, schema_pb2.Schema())
    assert find_columns(CONFIG, schema) == KINDS


def test_the_schemas_of_the_presets_give_the_kinds_of_their_tables():
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    from tfx_pipeline.configs import get_preset
    from tfx_pipeline.datasets import hm, movielens
    from tfx_pipeline.schemas import find_schema

    for name, columns in (("movielens", movielens.ITEM_COLUMNS), ("hm", hm.ITEM_COLUMNS)):
        config = get_preset(name)
        text = pathlib.Path(find_schema("items", config.schema)).read_text()
        kinds = find_columns(config.model, text_format.Parse(text, schema_pb2.Schema()))
        lists = {"int64": "int64s", "float": "floats"}
        assert kinds == {"title": "string"} | {n: lists.get(k, k) for n, k in columns.items()}
