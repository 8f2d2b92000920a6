"""The canonical form: hand-written tables pass, and each defect is named with its remedy."""

import pathlib
import re

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from addrl_keras.config import Attribute, Config, Modality
from tfx_pipeline.datasets.canonical import (
    make_column_kinds,
    make_interactions_schema,
    make_items_schema,
    validate_canonical,
)
from tfx_pipeline.datasets.errors import DataError

COLUMNS = {"year": "numeric", "brand": "string", "tags": "strings"}


@pytest.fixture
def directory(tmp_path):
    """A sound canonical directory, written with pandas alone as docs/data.md shows."""
    pairs = {"train": "aw ax by", "validation": "az", "test": "bz"}
    for split, text in pairs.items():
        frame = pd.DataFrame([tuple(pair) for pair in text.split()], columns=["user_id", "item_id"])
        write(tmp_path, f"interactions/{split}", frame)
    items = pd.DataFrame(
        {
            "item_id": list("wxyz"),
            "title": ["W", "X", None, "Z"],
            "year": pd.array([1990, None, 1992, 1993], dtype="Int64"),
            "brand": ["p", None, "", "q"],
            "tags": [["s", "t"], [], ["s"], None],
        }
    )
    write(tmp_path, "items", items)
    return tmp_path


def write(directory, table, frame, name="data.parquet"):
    folder = directory / table
    folder.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(folder / name, index=False)


def change(directory, table, **columns):
    frame = pd.read_parquet(directory / table / "data.parquet")
    write(directory, table, frame.assign(**columns))


def get_error(directory, columns=COLUMNS, **options):
    with pytest.raises(DataError) as error:
        validate_canonical(directory, columns, **options)
    return str(error.value)


def test_report_counts_rows_users_items_and_missing_values(directory):
    report = validate_canonical(directory, COLUMNS)
    assert report.num_interactions == {"train": 3, "validation": 1, "test": 1}
    assert (report.num_users, report.num_items) == (2, 4)
    assert report.num_missing == {"title": 1, "year": 1, "brand": 2, "tags": 2}
    assert report.num_unknown == {"train": 0, "validation": 0, "test": 0}
    assert "3 train + 1 validation + 1 test interactions, 2 users, 4 items" in str(report)


def test_auxiliary_interactions_are_optional_and_held_to_the_same_rules(directory):
    assert (
        "interactions/auxiliary/*.parquet: no such file, and start.auxiliary_weight counts"
        in get_error(directory, needs_auxiliary=True)
    )
    train = pd.read_parquet(directory / "interactions/train/data.parquet")
    further = pd.DataFrame({"user_id": ["new"], "item_id": ["w"]})
    write(directory, "interactions/auxiliary", further)
    report = validate_canonical(directory, COLUMNS, needs_auxiliary=True)
    assert report.num_interactions["auxiliary"] == 1 and "1 auxiliary" in str(report)
    # None at all are sound where nobody counts them.
    write(directory, "interactions/auxiliary", further[:0].astype("string"))
    assert validate_canonical(directory, COLUMNS).num_interactions["auxiliary"] == 0
    message = get_error(directory, needs_auxiliary=True)
    assert "interactions/auxiliary/*.parquet: no rows; each" in message
    # What is in another split would tell of it.
    test = pd.read_parquet(directory / "interactions/test/data.parquet")
    write(directory, "interactions/auxiliary", pd.concat([train[:0], further, test]))
    assert (
        "1 pairs of user and item are both in test and in auxiliary, so what is to be found"
        in get_error(directory)
    )


def test_several_files_make_one_table(directory):
    more = pd.DataFrame({"user_id": ["c"], "item_id": ["w"]})
    write(directory, "interactions/train", more, "more.parquet")
    report = validate_canonical(directory)
    assert report.num_interactions["train"] == 4
    assert report.num_users == 3


def test_large_and_dictionary_strings_are_strings(directory):
    path = directory / "items" / "data.parquet"
    table = pq.read_table(path)
    brand = table["brand"].dictionary_encode()
    table = table.set_column(table.schema.get_field_index("brand"), "brand", brand)
    ids = table["item_id"].cast(pa.large_string())
    pq.write_table(table.set_column(0, "item_id", ids), path)
    assert validate_canonical(directory, COLUMNS).num_missing["brand"] == 2


def test_missing_directory_is_named(tmp_path):
    assert str(tmp_path / "nowhere") in get_error(tmp_path / "nowhere")


@pytest.mark.parametrize("table", ["items", "interactions/validation"])
def test_missing_table_or_split_is_named(directory, table):
    (directory / table / "data.parquet").unlink()
    assert f"{table}/*.parquet: no such file" in get_error(directory)


@pytest.mark.parametrize("table", ["items", "interactions/test"])
def test_empty_table_or_split_is_named(directory, table):
    path = directory / table / "data.parquet"
    pq.write_table(pq.read_table(path).slice(0, 0), path)
    assert f"{table}/*.parquet: no rows" in get_error(directory)


def test_missing_column_names_the_file_and_the_columns_that_are_there(directory):
    message = get_error(directory, {"price": "numeric"})
    assert "items/data.parquet: there is no column 'price'" in message
    assert "item_id, title, year, brand, tags" in message


def test_missing_id_column_of_one_split_is_named(directory):
    write(directory, "interactions/test", pd.DataFrame({"user": ["b"], "item_id": ["z"]}))
    message = get_error(directory)
    assert "interactions/test/data.parquet: there is no column 'user_id'" in message
    assert "interactions/train" not in message


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"year": "string"}, "column 'year' must be string. Received: int64"),
        ({"brand": "numeric"}, "column 'brand' must be int64 or float"),
        ({"tags": "string"}, "column 'tags' must be string. Received: list<"),
        ({"brand": ("int64", "strings")}, "column 'brand' must be int64 or list<string>"),
    ],
)
def test_wrong_type_says_what_is_wanted_and_what_is_there(directory, columns, words):
    assert words in get_error(directory, columns)


def test_wrong_type_of_an_optional_column_is_found(directory):
    change(directory, "interactions/train", timestamp=["yesterday"] * 3)
    assert "column 'timestamp' must be int64. Received: string" in get_error(directory)


def test_numbers_for_ids_are_refused(directory):
    change(directory, "items", item_id=[1, 2, 3, 4])
    assert "column 'item_id' must be string. Received: int64" in get_error(directory)


def test_unknown_kind_names_the_kinds(directory):
    with pytest.raises(ValueError, match=r"one of int64, float, .*Received: year=number"):
        validate_canonical(directory, {"year": "number"})


def test_files_of_one_table_with_different_types_are_found(directory):
    frame = pd.DataFrame({"item_id": ["v"], "title": ["V"], "year": [1.5], "brand": ["p"]})
    write(directory, "items", frame.assign(tags=[["s"]]), "more.parquet")
    assert "items/*.parquet: the files differ in their types" in get_error(directory)


def test_damaged_file_is_named(directory):
    path = directory / "items" / "data.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    assert "items/data.parquet: not a readable Parquet file" in get_error(directory)


def test_all_problems_are_told_at_once(directory):
    (directory / "interactions/test/data.parquet").unlink()
    message = get_error(directory, {"price": "numeric", "brand": "strings"})
    assert message.count("\n  - ") == 3


def test_few_unknown_items_are_counted_and_many_are_refused(directory):
    change(directory, "interactions/train", item_id=["w", "x", "gone"])
    report = validate_canonical(directory, COLUMNS, max_unknown_share=0.4)
    assert report.num_unknown == {"train": 1, "validation": 0, "test": 0}
    assert "1 interactions with unknown items" in str(report)
    message = get_error(directory, max_unknown_share=0.3)
    assert "interactions/train: 1 of 3 rows name an item that is not in the items" in message
    assert "gone" in message


def test_duplicated_items_are_counted_and_shown(directory):
    change(directory, "items", item_id=list("wxyw"))
    assert re.search(r"1 item ids occur more than once. Received: w\.", get_error(directory))


def test_duplicated_pairs_are_counted_and_shown(directory):
    change(directory, "interactions/train", user_id=list("aaa"), item_id=list("www"))
    assert "2 rows repeat a pair of user and item. Received: a, w." in get_error(directory)


def test_a_pair_in_two_splits_is_a_leak(directory):
    write(directory, "interactions/test", pd.DataFrame({"user_id": ["a"], "item_id": ["w"]}))
    assert "1 pairs of user and item are both in train and in test" in get_error(directory)


@pytest.mark.parametrize("value", [None, ""])
def test_rows_without_ids_are_counted(directory, value):
    change(directory, "interactions/train", user_id=["a", value, "b"])
    assert "interactions/train: 1 of 3 rows have no user_id" in get_error(directory)


def test_zero_in_a_plain_number_is_a_value(directory):
    change(directory, "items", year=pd.array([0, None, 1, 0], dtype="Int64"))
    assert validate_canonical(directory, COLUMNS).num_missing["year"] == 1


def test_zero_in_a_list_of_one_is_a_value_and_two_numbers_are_refused(directory):
    change(directory, "items", year=[[0], [], [1], [0]])
    assert validate_canonical(directory, COLUMNS).num_missing["year"] == 1
    change(directory, "items", year=[[0, 1], [], [1], [0]])
    assert "column 'year' has more than one number in 1 rows" in get_error(directory)


def test_example_in_the_documentation_runs_as_it_stands(tmp_path, monkeypatch, capsys):
    text = (pathlib.Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    example = re.search(r"```python\n(import pathlib.*?)```", text, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(example[1], {})
    assert "20 users, 20 items" in capsys.readouterr().out


def test_schemas_have_the_documented_types():
    schema = make_interactions_schema(weight=True)
    assert {field.name: str(field.type) for field in schema} == {
        "user_id": "string",
        "item_id": "string",
        "timestamp": "int64",
        "weight": "float",
    }
    schema = make_items_schema({"price": "floats", "tags": "strings"})
    assert [str(field.type.value_type) for field in list(schema)[2:]] == ["float", "string"]
    with pytest.raises(ValueError, match="Received: price='numeric'"):
        make_items_schema({"price": "numeric"})


def test_a_configuration_says_what_its_columns_must_be(directory):
    config = Config(
        attributes=(Attribute("year", "year", kind="numeric"), Attribute("brand", "brand")),
        modalities=(
            Modality("id", encoder="id"),
            Modality("title", "title", encoder="text"),
            Modality("tags", "tags", encoder="bag"),
        ),
    )
    kinds = make_column_kinds(config)
    assert kinds["year"] == ("numeric",)
    assert "string" in kinds["brand"]
    assert (kinds["title"], kinds["tags"]) == (("string",), ("strings",))
    validate_canonical(directory, kinds)


def test_a_column_wanted_as_number_and_as_text_is_refused():
    config = Config(
        attributes=(Attribute("year", "year", kind="numeric"),),
        modalities=(Modality("id", encoder="id"), Modality("words", "year", encoder="text")),
    )
    with pytest.raises(DataError, match="the column 'year' in two ways"):
        make_column_kinds(config)
