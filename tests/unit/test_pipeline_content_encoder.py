"""The ContentEncoder: examples to vectors and a report, the stop above the share, the cache."""

import dataclasses
import json
import os

import numpy as np
import pytest
import tiny_encoders
from tiny_encoders import make_noise

from addrl_keras.config import Attribute, Config, Modality


@pytest.fixture(scope="module")
def handle(tmp_path_factory):
    return tiny_encoders.write_image_module(tmp_path_factory.mktemp("modules") / "photo")


@pytest.fixture
def modalities(handle):
    photo = Modality("photo", "file", "hub", handle=handle, preprocessing="image")
    return (photo, Modality("given", "numbers", "precomputed", max_missing_share=0.3))


def write_items(tmp_path, rows):
    """Writes rows as ItemsGen does; returns the artifact."""
    import tensorflow as tf
    from tfx.types.standard_artifacts import Examples

    from tfx_pipeline.components.example_gen import make_example

    artifact = Examples()
    artifact.uri = str(tmp_path / "items")
    artifact.splits = ["catalogue"]
    folder = tmp_path / "items" / "Split-catalogue"
    folder.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(folder / "data.gz"), "GZIP") as writer:
        for row in rows:
            writer.write(make_example(row).SerializeToString())
    return artifact


def make_rows(tmp_path, count=5):
    rows = []
    for number in range(count):
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(make_noise(number))
        rows.append({"item_id": f"i{number}", "file": str(path), "numbers": [1.0, float(number)]})
    return rows


def run_executor(tmp_path, rows, modalities):
    """Runs the executor as TFX does; returns the output artifacts."""
    from tfx.types.standard_artifacts import Examples

    from tfx_pipeline.components import content_encoder
    from tfx_pipeline.components.artifacts import ModalityReport
    from tfx_pipeline.datasets.writing import DEFAULT_BEAM_ARGS

    outputs = {"vectors": Examples(), "report": ModalityReport()}
    for name, artifact in outputs.items():
        artifact.uri = str(tmp_path / "out" / name)
        os.makedirs(artifact.uri, exist_ok=True)
    context = content_encoder.ContentExecutor.Context(
        beam_pipeline_args=[*DEFAULT_BEAM_ARGS, "--sdk_container_image=unused"]
    )
    content_encoder.ContentExecutor(context).Do(
        {"items": [write_items(tmp_path, rows)]},
        {name: [artifact] for name, artifact in outputs.items()},
        {
            "modalities": json.dumps([dataclasses.asdict(each) for each in modalities]),
            "cache_dir": str(tmp_path / "cache"),
            "refused_dir": str(tmp_path / "refused"),
        },
    )
    return outputs


def load(tmp_path, outputs, modalities, item_ids):
    from tfx_pipeline.modules.addrl_vectors import load_vectors

    config = Config((Attribute("a", "a"),), (Modality("id", encoder="id"), *modalities))
    pattern = os.path.join(outputs["vectors"].uri, "Split-catalogue", "*")
    return load_vectors(config, [pattern], item_ids)


def test_vectors_reach_the_trainer_and_what_lacks_is_zero_and_listed(tmp_path, modalities):
    from tfx_pipeline.encoders import report

    rows = make_rows(tmp_path)
    rows[1]["file"] = None
    (tmp_path / "2.jpg").write_bytes(b"a text")
    rows[3]["numbers"] = [1.0, None]
    outputs = run_executor(tmp_path, rows, modalities)
    item_ids = ["i4", "i3", "i2", "i1", "i0"]
    features = load(tmp_path, outputs, modalities, item_ids)
    assert features["photo"].shape == (5, 3) and features["photo"].dtype == np.float32
    assert features["photo"].any(axis=1).tolist() == [True, True, False, False, True]
    np.testing.assert_array_equal(features["given"], [[1, 4], [0, 0], [1, 2], [1, 1], [1, 0]])
    problems = report.load_problems(outputs["report"].uri)
    assert [(each.item_id, each.modality, each.kind) for each in problems] == [
        ("i1", "photo", "missing"),
        ("i2", "photo", "broken"),
        ("i3", "given", "broken"),
    ]
    assert problems[1].source == str(tmp_path / "2.jpg")
    assert problems[2].reason.startswith("NaN at position 1")
    assert problems[2].source == "column 'numbers'"
    summary = json.loads((tmp_path / "out" / "report" / "summary.json").read_text())
    assert summary["photo"]["encoded"] == 3 and summary["photo"]["items"] == 5
    assert outputs["vectors"].splits == ["catalogue"]
    assert not (tmp_path / "refused").exists()


def test_above_the_share_the_run_stops_with_the_list(tmp_path, modalities):
    from tfx_pipeline.encoders import report

    rows = make_rows(tmp_path)
    for number in (1, 2):
        rows[number]["numbers"] = [1.0, 2.0, 3.0]
    with pytest.raises(report.MissingModalityError) as caught:
        run_executor(tmp_path, rows, modalities)
    text = str(caught.value)
    assert "'given' (column 'numbers') is missing or broken for 2 of 5 items, 40.0%" in text
    assert "item 'i1', column 'numbers': 3 numbers where most vectors have 2" in text
    assert f"The whole list is {tmp_path / 'refused' / 'problems.jsonl'}" in text
    assert [each.item_id for each in report.load_problems(tmp_path / "refused")] == ["i1", "i2"]
    rows[1]["numbers"] = [1.0, 2.0]
    run_executor(tmp_path, rows, modalities)
    assert not (tmp_path / "refused").exists()


def test_an_encoder_that_does_not_fit_is_an_error_for_a_person(tmp_path, modalities):
    from tfx_pipeline.encoders.errors import EncoderError

    wrong = dataclasses.replace(modalities[0], preprocessing="none")
    with pytest.raises(EncoderError, match="does not take what the preprocessing 'none' makes"):
        run_executor(tmp_path, make_rows(tmp_path), [wrong])


def test_no_vector_at_all_is_one_column_of_zeros(tmp_path, modalities):
    given = dataclasses.replace(modalities[1], max_missing_share=1.0)
    outputs = run_executor(tmp_path, [{"item_id": "i0", "numbers": None}], [given])
    np.testing.assert_array_equal(load(tmp_path, outputs, [given], ["i0"])["given"], [[0.0]])


def test_vectors_of_other_items_are_refused(tmp_path, modalities):
    outputs = run_executor(tmp_path, make_rows(tmp_path), modalities)
    with pytest.raises(ValueError, match=r"do not belong together.*'i\d'"):
        load(tmp_path, outputs, modalities, ["other"])
    outputs["vectors"].uri = str(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="need the vectors of the ContentEncoder"):
        load(tmp_path, outputs, modalities, ["i0"])


def test_a_changed_photo_or_encoder_changes_the_fingerprint(tmp_path, modalities):
    from tfx_pipeline.components.content_encoder import compute_contents_fingerprint, load_items

    artifact = write_items(tmp_path, make_rows(tmp_path))

    def compute(wanted=modalities):
        return compute_contents_fingerprint(load_items([artifact], wanted), wanted)

    before = compute()
    assert compute() == before
    photo = tmp_path / "3.jpg"
    photo.write_bytes(make_noise(99))
    changed = compute()
    photo.unlink()
    gone = compute()
    assert len({before, changed, gone}) == 3
    other = tiny_encoders.write_image_module(tmp_path / "other", size=9)
    assert compute((dataclasses.replace(modalities[0], handle=other), modalities[1])) != gone


def test_files_elsewhere_are_looked_at_too(modalities, memory_files):
    from tfx_pipeline.components.content_encoder import compute_contents_fingerprint

    def compute():
        return compute_contents_fingerprint([("i0", {"photo": path, "given": []})], modalities)

    path = "memory://bucket/changing.jpg"
    seen = [compute()]
    for size in (1, 2):
        memory_files[path] = b"x" * size
        seen.append(compute())
    assert len(set(seen)) == 3


def test_a_list_of_floats_keeps_its_gaps_and_a_number_does_not():
    from tfx_pipeline.components.example_gen import make_example

    feature = make_example({"v": [1.0, None, float("nan")], "n": [float("nan")], "m": [None]})
    values = feature.features.feature["v"].float_list.value
    assert values[0] == 1.0 and np.isnan(values[1:]).all() and len(values) == 3
    assert feature.features.feature["n"].WhichOneof("kind") is None
    assert feature.features.feature["m"].WhichOneof("kind") is None


def test_columns_of_vectors_pass_the_check_of_numbers():
    import pyarrow as pa

    from tfx_pipeline.datasets.checks import find_bad_numbers

    items = pa.table({"v": pa.array([[1.0, 2.0]], pa.list_(pa.float32()))})
    assert not find_bad_numbers(items, ["v"])
    assert "more than one number" in find_bad_numbers(items)[0]
