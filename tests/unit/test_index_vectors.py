"""Vectors of new items: by the encoder of the training or not at all; what is broken is masked."""

import pathlib
import shutil
import types

import numpy as np
import pytest
import tiny_encoders
from tiny_encoders import make_photo

from addrl_keras.catalogue import Catalogue
from addrl_keras.config import Config, Modality
from tfx_pipeline.encoders import items as encoding
from tfx_pipeline.encoders.errors import EncoderError
from tfx_pipeline.encoders.report import MissingModalityError
from tfx_pipeline.index.about import About

DIMS = {"words": 8, "photo": 3, "sound": 2}


@pytest.fixture(scope="module")
def modalities(tmp_path_factory):
    folder = tmp_path_factory.mktemp("modules")
    text = tiny_encoders.write_text_module(folder / "text")
    photo = tiny_encoders.write_image_module(folder / "photo")
    return (
        Modality("words", "title", "hub", handle=text, max_missing_share=0.0),
        Modality("photo", "image", "hub", handle=photo, preprocessing="image"),
        Modality("sound", "sound", "precomputed", max_missing_share=0.0),
    )


def compute_hashes(modalities, tmp_path):
    return encoding.get_encoder_hashes(encoding.make_groups(modalities, tmp_path / "cache", {}))


@pytest.fixture
def encode(tmp_path, modalities):
    from tfx_pipeline.examples import make_example
    from tfx_pipeline.index.extras import Extras
    from tfx_pipeline.index.vectors import encode_items

    def run(rows, encoders=None, **settings):
        config = Config(attributes=(), modalities=(Modality("id", encoder="id"), *modalities))
        known = {name: np.zeros((5, dim), np.float32) for name, dim in DIMS.items()}
        result = types.SimpleNamespace(
            model=types.SimpleNamespace(config=config), catalogue=Catalogue((), {}, known)
        )
        about = About("p", "d", {}, {}, encoders or compute_hashes(modalities, tmp_path))
        rows = [{"title": None, "image": None, "sound": None, **row} for row in rows]
        records = [make_example(row).SerializeToString() for row in rows]
        work = tmp_path / "work"
        work.mkdir(exist_ok=True)
        for left in work.iterdir():
            left.unlink()
        ids = [row["item_id"] for row in rows]
        extras = Extras(result, about, tmp_path, {})
        folders = (work, tmp_path / "report", tmp_path / "cache")
        return encode_items(extras, records, ids, *folders, **settings)

    return run


@pytest.fixture
def photos(tmp_path):
    (tmp_path / "1.jpg").write_bytes(make_photo("red"))
    (tmp_path / "2.jpg").write_text("a text")
    return [str(tmp_path / name) for name in ("1.jpg", "2.jpg", "3.jpg")]


def test_what_is_broken_costs_one_item_one_modality(encode, photos):
    rows = [
        {"item_id": "a", "title": "one", "image": photos[0], "sound": [1.0, 2.0]},
        {"item_id": "b", "title": "two", "image": photos[1], "sound": [1.0, 2.0, 3.0]},
        {"item_id": "c", "image": photos[2], "sound": [float("nan"), 1.0]},
    ]
    found = encode(rows)
    shapes = {name: features.shape for name, features in found.features.items()}
    assert shapes == {name: (3, dim) for name, dim in DIMS.items()}
    present = {name: f.any(axis=1).tolist() for name, f in found.features.items()}
    assert present["words"] == [True, True, False]
    assert present["photo"] == present["sound"] == [True, False, False]
    reasons = {(each.item_id, each.modality): each.reason for each in found.problems}
    assert reasons["b", "photo"].startswith("not an image")
    assert reasons["c", "photo"] == "no such file"
    assert reasons["b", "sound"] == "3 numbers where most vectors have 2"
    assert found.summary["photo"]["encoded"] == 1 and found.path.endswith("problems.jsonl")
    again = encode(rows)
    assert (again.summary["words"]["encoded"], again.summary["words"]["from_cache"]) == (0, 2)
    np.testing.assert_array_equal(again.features["photo"], found.features["photo"])


def test_problems_name_the_columns_of_the_file(encode, photos):
    rows = [
        {"item_id": "a", "title": "one", "image": photos[0], "sound": [1.0, 2.0]},
        {"item_id": "b", "sound": [1.0, 2.0, 3.0]},
    ]
    found = encode(rows, names={"title": "Titel", "image": "Bild", "sound": "Klang"})
    assert [str(each) for each in found.problems] == [
        "item 'b', column 'Bild': no file is named",
        "item 'b', column 'Klang': 3 numbers where most vectors have 2",
        "item 'b', column 'Titel': an empty text",
    ]
    assert "'Klang'" in pathlib.Path(found.path).read_text()


def test_items_that_are_left_out_are_not_counted(encode, photos):
    rows = [
        {"item_id": "a", "title": "one", "image": photos[0]},
        {"item_id": "b", "image": photos[1]},
        {"item_id": "c"},
    ]
    found = encode(rows).leave_out({"b", "c"})
    assert {each.item_id for each in found.problems} == {"a", "b", "c"}  # They say why.
    counts = [(n["items"], n["missing"], n["broken"]) for n in found.summary.values()]
    assert counts == [(1, 0, 0), (1, 0, 0), (1, 1, 0)]


def test_a_project_that_was_moved_says_where_its_encoders_are(encode, tmp_path, modalities):
    hashes = compute_hashes(modalities, tmp_path)
    folder, moved = modalities[0].handle, str(tmp_path / "moved")
    shutil.move(folder, moved)
    try:
        row = {"item_id": "a", "title": "one"}
        with pytest.raises(EncoderError, match="no such directory"):
            encode([row], hashes)
        assert encode([row], hashes, handles={"words": moved}).features["words"].any()
    finally:
        shutil.move(moved, folder)


def test_the_length_is_the_models_also_where_most_new_vectors_have_another(encode):
    rows = [
        {"item_id": name, "sound": [1.0] * size}
        for name, size in zip("abc", (3, 2, 3), strict=True)
    ]
    sound = encode(rows).features["sound"]
    assert sound.tolist() == [[0, 0], [1, 1], [0, 0]]


def test_a_modality_that_no_new_item_has_keeps_its_width(encode):
    found = encode([{"item_id": "a", "title": "one"}])
    assert found.features["photo"].tolist() == [[0, 0, 0]]
    assert found.summary["photo"]["missing"] == 1


def test_one_item_may_have_a_broken_photo_and_all_of_several_may_not(encode, photos):
    one = encode([{"item_id": "a", "title": "one", "image": photos[2]}])
    assert not one.features["photo"].any()
    rows = [{"item_id": name, "image": path} for name, path in zip("ab", photos[1:], strict=True)]
    with pytest.raises(MissingModalityError) as caught:
        encode(rows)
    text = str(caught.value)
    assert "None of the 2 contents that the items name in the column 'image' can be used" in text
    assert f"item 'b', {photos[2]}: no such file" in text and "leave it out" in text


def test_another_encoder_than_the_trained_is_refused(encode, modalities):
    with pytest.raises(
        EncoderError, match="'words' is not the one that the model was trained"
    ) as c:
        encode([{"item_id": "a", "title": "one"}], {"words": "0" * 32, "photo": "1" * 32})
    assert "trained with 000000000000" in str(c.value) and modalities[0].handle in str(c.value)
