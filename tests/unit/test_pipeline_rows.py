"""Evaluation rows and tf.Examples out of tables."""

import pytest


def _read(record):
    import tensorflow as tf

    feature = tf.train.Example.FromString(record).features.feature
    return (
        feature["user_id"].bytes_list.value[0].decode(),
        feature["item_id"].bytes_list.value[0].decode(),
        feature["relevant_count"].int64_list.value[0],
    )


def test_one_row_per_user_and_test_item_with_the_users_count():
    import apache_beam as beam
    from apache_beam.testing.util import assert_that, equal_to

    from tfx_pipeline.components.evaluation_rows import MakeEvaluationRows
    from tfx_pipeline.configs import LOCAL_BEAM_ARGS

    with beam.Pipeline(argv=list(LOCAL_BEAM_ARGS)) as pipeline:
        known = pipeline | "K" >> beam.Create([("u", "a"), ("u", "b"), ("v", "a"), ("w", "a")])
        test = pipeline | "T" >> beam.Create([("u", "c"), ("u", "d"), ("v", "c"), ("new", "c")])
        items = pipeline | "I" >> beam.Create(["a", "b", "c", "d"])
        rows = {"known": known, "test": test} | MakeEvaluationRows(items) | beam.Map(_read)
        # "new" has nothing known and "w" nothing to find: neither counts.
        assert_that(rows, equal_to([("u", "c", 2), ("u", "d", 2), ("v", "c", 1)]))


def test_items_outside_the_catalogue_count_neither_here_nor_for_the_baselines(tmp_path):
    import apache_beam as beam
    import pyarrow as pa
    import pyarrow.parquet as pq
    from apache_beam.testing.util import assert_that, equal_to

    from tfx_pipeline import workspace
    from tfx_pipeline.components.evaluation_rows import MakeEvaluationRows
    from tfx_pipeline.configs import LOCAL_BEAM_ARGS
    from tfx_pipeline.datasets import loading

    catalogue = ("a", "b", "c")
    pairs = {
        "train": [("u", "a"), ("v", "a"), ("lost", "gone")],
        "validation": [("w", "b")],
        # "lost" knows nothing of the catalogue, "w" has nothing of it to find.
        "test": [("u", "b"), ("u", "gone"), ("v", "b"), ("v", "c"), ("w", "new"), ("lost", "a")],
    }
    expected = [("u", "b", 1), ("v", "b", 2), ("v", "c", 2)]
    with beam.Pipeline(argv=list(LOCAL_BEAM_ARGS)) as pipeline:
        known = pipeline | "K" >> beam.Create(pairs["train"] + pairs["validation"])
        test = pipeline | "T" >> beam.Create(pairs["test"])
        items = pipeline | "I" >> beam.Create(catalogue)
        rows = {"known": known, "test": test} | MakeEvaluationRows(items) | beam.Map(_read)
        assert_that(rows, equal_to(expected))

    for split, rows in pairs.items():
        folder = tmp_path / "planted" / "data" / "interactions" / split
        folder.mkdir(parents=True)
        users, items = zip(*rows, strict=True)
        pq.write_table(pa.table({"user_id": users, "item_id": items}), folder / "a.parquet")
    place = workspace.Workspace(tmp_path, "planted")
    interactions, matrix = loading.load_interactions(place.data, catalogue)
    found = [
        (interactions.user_ids[row], catalogue[column], matrix[row].nnz)
        for row, column in zip(*matrix.nonzero(), strict=True)
    ]
    assert sorted(found) == expected


def test_zero_is_a_value_and_emptiness_is_not():
    from tfx_pipeline.examples import make_example

    row = {"n": 0, "x": 0.0, "none": None, "text": "", "list": [], "nan": float("nan")}
    features = make_example(row).features.feature
    assert features["n"].int64_list.value == [0]
    assert features["x"].float_list.value == [0.0]
    for name in ("none", "text", "list", "nan"):
        assert features[name].WhichOneof("kind") is None, name


def test_lists_and_texts_keep_their_values():
    from tfx_pipeline.examples import make_example

    features = make_example({"genres": ["Drama", "Été"], "title": "Été"}).features.feature
    assert list(features["genres"].bytes_list.value) == [b"Drama", "Été".encode()]
    assert features["title"].bytes_list.value[0].decode() == "Été"


def test_another_type_is_refused_by_column():
    from tfx_pipeline.examples import make_example

    with pytest.raises(TypeError, match=r"'when'.*Received: \{\}"):
        make_example({"when": {}})
