"""Writing of the canonical form: the same bytes whatever the order, whole or not at all."""

import multiprocessing
import os
import pathlib
import signal
import time

import apache_beam as beam
import pyarrow.parquet as pq
import pytest

from tfx_pipeline.datasets import staging, writing
from tfx_pipeline.datasets.canonical import make_items_schema
from tfx_pipeline.datasets.errors import DataError

SCHEMA = make_items_schema({"tags": "strings"})
ROWS = [
    {"item_id": f"i{number}", "title": None, "tags": ["a"] * (number % 3)} for number in range(9)
]


def write_table(folder, rows, num_shards):
    with writing.make_pipeline() as pipeline:
        created = pipeline | beam.Create(rows)
        _ = created | writing.WriteTable(str(folder), SCHEMA, ("item_id",), num_shards)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_table_has_the_same_bytes_in_any_order_and_all_its_shards(tmp_path):
    first = write_table(tmp_path / "a", ROWS, 3)
    second = write_table(tmp_path / "b", ROWS[::-1], 3)
    assert first == second
    assert sorted(first) == [f"data-{shard:05d}-of-00003.parquet" for shard in range(3)]
    read = [
        row
        for path in sorted((tmp_path / "a").iterdir())
        for row in pq.read_table(path).to_pylist()
    ]
    assert sorted(read, key=lambda row: row["item_id"]) == ROWS


def test_a_shard_without_rows_is_written_too(tmp_path):
    assert len(write_table(tmp_path / "a", ROWS[:1], 5)) == 5


def test_popularity_counts_training_interactions_alone(tmp_path):
    splits = [
        ("train", "i0"),
        ("train", "i0"),
        ("train", "i1"),
        ("test", "i1"),
        ("validation", "i2"),
    ]
    interactions = [(split, {"item_id": item_id}) for split, item_id in splits]
    interactions.append(("train", {"item_id": "not in the catalogue"}))
    schema = make_items_schema({"tags": "strings", "popularity": "int64s"})
    with writing.make_pipeline() as pipeline:
        items = pipeline | "items" >> beam.Create(ROWS[:3])
        rows = pipeline | "rows" >> beam.Create(interactions)
        counted = items | writing.AttachPopularity(rows)
        _ = counted | writing.WriteTable(str(tmp_path), schema, ("item_id",))
    table = pq.read_table(tmp_path).to_pylist()
    assert {row["item_id"]: row["popularity"] for row in table} == {"i0": [2], "i1": [1], "i2": [0]}


def produce(folder: pathlib.Path) -> None:
    (folder / "items").mkdir()
    (folder / "items" / "data.txt").write_text("whole")


def fail(folder: pathlib.Path) -> None:
    produce(folder)
    raise RuntimeError("stop")


def get_state(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_unchanged_directory_is_not_touched(tmp_path):
    output = tmp_path / "out"
    assert staging.write_directory(output, {"source": 1}, produce)
    state = get_state(output)
    assert not staging.write_directory(output, {"source": 1}, fail)
    assert get_state(output) == state


@pytest.mark.parametrize("damage", ["change", "add", "remove", "marker"])
def test_touched_directory_is_written_again(tmp_path, damage):
    output = tmp_path / "out"
    staging.write_directory(output, {"source": 1}, produce)
    file = output / "items" / "data.txt"
    if damage == "change":
        file.write_text("WHOLE")
    elif damage == "add":
        (output / "items" / "more.txt").write_text("")
    elif damage == "remove":
        file.unlink()
    else:
        (output / staging.MARKER).write_text("{")
    assert staging.write_directory(output, {"source": 1}, produce)
    assert [path.name for path in (output / "items").iterdir()] == ["data.txt"]
    assert file.read_text() == "whole"


def test_the_same_contents_leave_the_files_as_they_were(tmp_path):
    output = tmp_path / "out"
    staging.write_directory(output, {"source": 1}, produce)
    times = {path: path.stat().st_mtime_ns for path in output.iterdir()}
    times.pop(output / staging.MARKER)
    assert staging.write_directory(output, {"source": 2}, produce)
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert not staging.write_directory(output, {"source": 2}, produce)


def test_other_options_write_again(tmp_path):
    output = tmp_path / "out"
    staging.write_directory(output, {"source": 1}, produce)
    assert staging.write_directory(output, {"source": 2}, produce)
    assert not staging.write_directory(output, {"source": 2}, fail)


def test_failure_leaves_what_was_there(tmp_path):
    output = tmp_path / "out"
    staging.write_directory(output, {"source": 1}, produce)
    with pytest.raises(RuntimeError, match="stop"):
        staging.write_directory(output, {"source": 2}, fail)
    assert (output / "items" / "data.txt").read_text() == "whole"
    assert not list(tmp_path.glob(".out.partial-*"))


def test_files_of_somebody_else_are_not_overwritten(tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(DataError, match="no adapter wrote"):
        staging.write_directory(tmp_path, {}, produce)
    with pytest.raises(DataError, match="a file"):
        staging.write_directory(tmp_path / "mine.txt", {}, produce)
    assert (tmp_path / "mine.txt").read_text() == "precious"


def _write_and_hang(output):
    def hang(folder):
        produce(folder)
        (output.parent / "reached").touch()
        time.sleep(60)

    staging.write_directory(output, {"source": 1}, hang)


def test_killed_run_is_never_taken_for_a_whole_one(tmp_path):
    output = tmp_path / "out"
    process = multiprocessing.get_context("spawn").Process(target=_write_and_hang, args=(output,))
    process.start()
    while not (tmp_path / "reached").exists():
        assert process.is_alive()
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert not output.exists()
    assert list(tmp_path.glob(".out.partial-*"))
    assert staging.write_directory(output, {"source": 1}, produce)
    assert (output / staging.MARKER).is_file()
    assert not list(tmp_path.glob(".out.partial-*"))
