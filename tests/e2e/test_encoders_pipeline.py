"""The pipeline with photos, texts and vectors: encoded, served, cached, and stopped by name."""

import dataclasses
import io
import json
import pathlib
import shutil

import numpy as np
import pytest

from addrl_keras.config import Modality
from tfx_pipeline.configs import GateConfig, get_preset
from tfx_pipeline.local_runner import PipelineError, run
from tfx_pipeline.modules import addrl_warmup  # noqa: F401 (TensorFlow, before it is redirected)

NUM_ITEMS = 60
FEATURES = """
feature { name: "photo" type: BYTES value_count { min: 1 max: 1 } }
feature { name: "sound" type: FLOAT value_count { min: 1 } }
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Folders of everything, with two encoders and a photo for each genre and studio."""
    import tensorflow as tf
    from PIL import Image

    folder = tmp_path_factory.mktemp("illustrated")

    class Photo(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 4, 4, 3], tf.float32)])
        def __call__(self, images):
            return tf.reshape(images, [-1, 48]) + 0.1

    class Text(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def __call__(self, texts):
            return tf.one_hot(tf.strings.to_hash_bucket_fast(texts, 16), 16)

    tf.saved_model.save(Photo(), str(folder / "photo-encoder"))
    tf.saved_model.save(Text(), str(folder / "text-encoder"))
    (folder / "photos").mkdir()
    rng = np.random.default_rng(0)
    for number in range(NUM_ITEMS):
        colours = rng.integers(0, 256, (4, 4, 3), np.uint8)
        Image.fromarray(colours).save(folder / "photos" / f"{number}.png")
    (folder / "photos" / "7.png").write_text("a text")
    schema = pathlib.Path("schema", "movielens", "items.pbtxt").read_text()
    (folder / "schema").mkdir()
    (folder / "schema" / "items.pbtxt").write_text(schema + FEATURES)
    return folder


@pytest.fixture
def go(place, monkeypatch):
    """Runs the planted preset with photos, titles through an encoder, and given vectors."""
    from tfx_pipeline.datasets import planted

    make_tables = planted.make_planted_tables

    def make_illustrated(options):
        tables = make_tables(options)
        for number, item in enumerate(tables.items):
            item["photo"] = str(place / "photos" / f"{number}.png")
            item["sound"] = (
                [] if number == 9 else [float(number), float("nan") if number == 5 else 1.0]
            )
        return tables

    columns = {**planted.ITEM_COLUMNS, "photo": "string", "sound": "vector"}
    monkeypatch.setattr(planted, "make_planted_tables", make_illustrated)
    monkeypatch.setattr(planted, "ITEM_COLUMNS", columns)
    preset = get_preset("planted")
    modalities = (
        *preset.model.modalities,
        Modality("words", "title", "hub", handle=str(place / "text-encoder")),
        Modality(
            "photo", "photo", "hub", handle=str(place / "photo-encoder"), preprocessing="image"
        ),
        Modality("sound", "sound", "precomputed", max_missing_share=0.1),
    )
    training = dataclasses.replace(preset.model.training, content_epochs=1, epochs=0)
    model = dataclasses.replace(preset.model, modalities=modalities, training=training)
    config = dataclasses.replace(
        preset,
        model=model,
        schema=str(place / "schema"),
        dataset_options=(("size", NUM_ITEMS / 120),),
        gates=GateConfig(),
        report=True,
    )
    out = io.StringIO()

    def start():
        result = run(config, runs_dir=place / "runs", cache_dir=place / "cache", out=out)
        return result, out.getvalue()

    start.config = config
    return start


def find_summaries(place):
    folder = place / "runs" / "planted" / "pipeline_root" / "ContentEncoder" / "report"
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*/summary.json"))]


def test_photos_texts_and_vectors_reach_the_served_model(go, place):
    result, printed = go()
    assert result.passed and "ContentEncoder" in [each.name for each in result.components]
    assert (
        "photo: 59 encoded, 1 broken" in printed and "sound: 58 given, 1 missing, 1 br" in printed
    )
    (summary,) = find_summaries(place)
    assert summary["photo"]["contents_encoded"] == 59
    assert summary["words"]["encoded"] + summary["words"]["missing"] == NUM_ITEMS
    import tensorflow as tf

    page = pathlib.Path(result.report, "report.html").read_text(encoding="utf-8")
    assert f"report of version {pathlib.Path(result.pushed).name}" in page
    assert page.count("data:image/jpeg") > 10  # Of photos, small ones.
    explain = tf.saved_model.load(result.pushed).signatures["explain"]
    (problem,) = [
        line
        for path in place.glob("runs/planted/pipeline_root/ContentEncoder/report/*/problems.jsonl")
        for line in map(json.loads, path.read_text().splitlines())
        if line["modality"] == "photo"
    ]
    assert problem["source"].endswith("7.png") and problem["reason"].startswith("not an image")
    answer = ask(explain, problem["item_id"])
    names = [name.decode() for name in answer["modality_names"].numpy().ravel()]
    weights = answer["modality_weights"].numpy()[0]
    assert {"words", "photo", "sound"} <= set(names)
    assert (weights[:, names.index("photo")] == 0).all()
    other = ask(explain, "i00000")["modality_weights"].numpy()[0]
    assert (other[:, names.index("photo")] > 0).any()


def ask(explain, item_id):
    import tensorflow as tf

    from addrl_keras.signatures import make_neutral_inputs

    # Called as a function a signature has no defaults.
    num_chunks = explain.structured_input_signature[1]["attribute_weights"].shape[1]
    neutral = make_neutral_inputs(num_chunks, NUM_ITEMS, 1.0)["explain"]
    return explain(user_id=tf.constant(["u00000"]), item_id=tf.constant([item_id]), **neutral)


def test_a_second_run_takes_all_from_the_cache(go, place):
    result, _ = go()
    assert {each.name for each in result.components if not each.cached} <= {"LatestModel"}
    assert len(find_summaries(place)) == 1


def test_new_items_go_through_the_encoders_of_the_training(go, place, monkeypatch):
    from PIL import Image

    from tfx_pipeline.components import probing
    from tfx_pipeline.encoders.errors import EncoderError
    from tfx_pipeline.index.update import add_items

    verdict = {"problems": [], "latency_ms": 1.0, "num_requests": 1}
    monkeypatch.setattr(probing, "run_probe", lambda export: verdict)
    Image.new("RGB", (4, 4), "red").save(place / "photos" / "new.png")
    (place / "new.csv").write_text(
        "item_id,title,photo,sound\n"
        "n1,Robot Galaxy,photos/new.png,61 1\n"
        'n2,,photos/7.png,"[1, 2, 3]"\n'
        "n3,Saddle Desert,photos/3.png,\n"
    )
    folders = {"runs_dir": place / "runs", "cache_dir": place / "cache", "out": io.StringIO()}
    outcome = add_items(go.config, place / "new.csv", **folders)
    assert outcome.item_ids == ("n1", "n3")
    assert [each.item_id for each in outcome.left_out] == ["n2"]
    photo, sound = outcome.modalities["photo"], outcome.modalities["sound"]
    # What is left out is not counted, but why is told.
    assert (photo["encoded"], photo["from_cache"], photo["broken"]) == (1, 1, 0)
    assert (sound["given"], sound["broken"], sound["missing"]) == (1, 0, 1)
    assert "3 numbers where most vectors have 2" in " ".join(outcome.problems)
    import tensorflow as tf

    version = f"{outcome.serving}/{outcome.pushed}"
    explain = tf.saved_model.load(version).signatures["explain"]
    answer = ask(explain, "n1")
    names = [name.decode() for name in answer["modality_names"].numpy().ravel()]
    weights = answer["modality_weights"].numpy()[0]
    assert (weights[:, names.index("photo")] > 0).any()
    assert outcome.alike["n3"][0].item_id != "" and outcome.alike["n1"][0].similarity > 0

    class Other(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def __call__(self, texts):
            return tf.one_hot(tf.strings.length(texts) % 16, 16) + 0.5

    shutil.copytree(place / "text-encoder", place / "kept")
    tf.saved_model.save(Other(), str(place / "text-encoder"))
    (place / "new.csv").write_text("item_id,title\nn4,Robot\n")
    with pytest.raises(EncoderError, match="encoder of 'words' is not the one that the model was"):
        add_items(go.config, place / "new.csv", **folders)
    shutil.rmtree(place / "text-encoder")
    shutil.move(place / "kept", place / "text-encoder")


def test_broken_photos_are_noticed_and_stop_the_run_with_their_list(go, place):
    for number in range(10, 45):
        (place / "photos" / f"{number}.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(
        PipelineError, match="ContentEncoder failed: The modality 'photo'"
    ) as caught:
        go()
    text = str(caught.value)
    assert "missing or broken for 36 of 60 items, 60.0%; at most 50.0% may lack it" in text
    path = place / "runs" / "planted" / "refused" / "problems.jsonl"
    assert f"The whole list is {path}" in text
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert sum(line["modality"] == "photo" for line in lines) == 36
