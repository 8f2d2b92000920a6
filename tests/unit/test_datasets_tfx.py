"""What TFX's own Parquet executor makes of the canonical form: zeros, gaps and lists survive."""

import os

import pytest

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    """tf.Examples of the planted items and training interactions, by id or as a list."""
    from tfx.components.example_gen.custom_executors import parquet_executor

    from tfx_pipeline.datasets import make_dataset, writing
    from tfx_pipeline.datasets.canonical import INTERACTIONS_PATTERN, ITEMS_PATTERN

    folder = tmp_path_factory.mktemp("tfx")
    make_dataset("planted").write(None, folder, folder / "data")
    to_examples = parquet_executor.Executor().GetInputSourceToExamplePTransform()
    patterns = {"items": ITEMS_PATTERN, "train": INTERACTIONS_PATTERN.format(split="train")}
    result = {}
    for name, pattern in patterns.items():
        with writing.make_pipeline() as pipeline:
            read = pipeline | to_examples({"input_base": str(folder / "data")}, pattern)
            _ = read | _Collect(folder / name)
        result[name] = _load(folder / name)
    return result, folder / "data"


def _Collect(path):  # noqa: N802
    import apache_beam as beam
    from apache_beam.io import tfrecordio

    return beam.Map(lambda example: example.SerializeToString()) | tfrecordio.WriteToTFRecord(
        str(path), num_shards=1, shard_name_template=""
    )


def _load(path):
    import tensorflow as tf

    records = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    return [tf.train.Example.FromString(record).features.feature for record in records]


def _get_values(feature):
    kind = feature.WhichOneof("kind")
    values = list(getattr(feature, kind).value) if kind else []
    return [value.decode() if isinstance(value, bytes) else value for value in values]


def test_items_arrive_with_every_value_gap_and_zero(examples):
    import pyarrow.parquet as pq

    records, directory = examples
    arrived = {_get_values(item["item_id"])[0]: item for item in records["items"]}
    table = pq.read_table(directory / "items").to_pylist()
    assert len(arrived) == len(table) == 120
    for row in table:
        item = arrived[row["item_id"]]
        for name, value in row.items():
            expected = value if isinstance(value, list) else [value] if value is not None else []
            assert _get_values(item[name]) == expected, (row["item_id"], name)
    zeros = [item for item in arrived.values() if _get_values(item["popularity"]) == [0]]
    assert len(zeros) >= 3
    assert all(item["popularity"].WhichOneof("kind") == "int64_list" for item in arrived.values())


def test_interactions_arrive_with_ids_as_text_and_time_as_a_number(examples):
    records, _ = examples
    assert len(records["train"]) > 2_500
    for row in records["train"][:50]:
        assert row["user_id"].WhichOneof("kind") == "bytes_list"
        assert row["timestamp"].WhichOneof("kind") == "int64_list"


def test_plain_zeros_survive_our_executor_and_are_lost_in_tfx(tmp_path):
    """If the second half fails, TFX keeps zeros now, and an executor of our own is not needed."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from tfx.components.example_gen.custom_executors import parquet_executor

    from tfx_pipeline.components.example_gen import ParquetExecutor
    from tfx_pipeline.datasets import writing

    (tmp_path / "items").mkdir()
    columns = {"price": [0, 3, None], "weight": [0.0, 0.5, None], "count": [[0], [], [7]]}
    pq.write_table(pa.table(columns), tmp_path / "items" / "a.parquet")

    def run(executor):
        to_examples = executor().GetInputSourceToExamplePTransform()
        with writing.make_pipeline() as pipeline:
            read = pipeline | to_examples({"input_base": str(tmp_path)}, "items/*.parquet")
            _ = read | _Collect(tmp_path / "records")
        return {
            name: [_get_values(row[name]) for row in _load(tmp_path / "records")]
            for name in columns
        }

    count = [[0], [], [7]]
    assert run(ParquetExecutor) == {
        "price": [[0], [3], []], "weight": [[0.0], [0.5], []], "count": count
    }  # fmt: skip
    assert run(parquet_executor.Executor) == {
        "price": [[], [3], []], "weight": [[], [0.5], []], "count": count
    }  # fmt: skip
