"""Modules as tensorflow-hub loads them: what fits, and what the error says where nothing does."""

import numpy as np
import pytest
import tiny_encoders
from tiny_encoders import make_photo

from tfx_pipeline.encoders.errors import EncoderError
from tfx_pipeline.encoders.handles import resolve_handle
from tfx_pipeline.encoders.hub_module import HubEncoder, compute_encoder_hash

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "red", "dress", "##es", "sh", "##oe", "!"]


@pytest.fixture(scope="module")
def modules(tmp_path_factory):
    """Handles of a module for each preprocessing."""
    folder = tmp_path_factory.mktemp("modules")
    return {
        "none": tiny_encoders.write_text_module(folder / "text"),
        "image": tiny_encoders.write_image_module(folder / "photo"),
        "wordpiece": tiny_encoders.write_bert_module(folder / "bert", PIECES),
    }


def load(handle, preprocessing):
    return HubEncoder(resolve_handle(handle, "unused"), preprocessing)


def test_strings(modules):
    encoder = load(modules["none"], "none")
    vectors = encoder.encode([encoder.preprocessing.prepare(text) for text in ("abc", "é")])
    assert vectors.shape == (2, encoder.dim) == (2, 8)
    assert vectors[:, 0].tolist() == [3.0, 2.0]


def test_photos_are_resized_to_what_the_module_asks_for(modules):
    encoder = load(modules["image"], "image")
    photo = encoder.preprocessing.prepare(make_photo((255, 0, 0), kind="PNG"))
    assert photo.shape == (8, 8, 3)
    np.testing.assert_allclose(encoder.encode([photo]), [[2.0, 1.0, 1.0]], atol=1e-6)


def test_pieces_come_from_the_modules_own_vocabulary(modules):
    encoder = load(modules["wordpiece"], "wordpiece")
    prepared = [encoder.preprocessing.prepare(text) for text in ("RED dresses", "shoe!", "Réd")]
    assert prepared == [[2, 5, 6, 7, 3], [2, 8, 9, 10, 3], [2, 5, 3]]
    inputs = encoder.preprocessing.collate(prepared)
    assert inputs["input_mask"].sum(axis=1).tolist() == [5, 5, 3]
    np.testing.assert_allclose(encoder.encode(prepared), [[4.6, 5], [6.4, 5], [10 / 3, 3]], 1e-6)


def test_long_texts_are_cut_to_256_pieces(modules):
    encoder = load(modules["wordpiece"], "wordpiece")
    ids = encoder.preprocessing.prepare("red " * 1000)
    assert len(ids) == 256 and ids[0] == 2 and ids[-1] == 3


@pytest.mark.parametrize(
    ("module", "preprocessing", "message"),
    [
        ("none", "image", "does not take what the preprocessing 'image' makes"),
        ("image", "none", "does not take what the preprocessing 'none' makes"),
        ("none", "wordpiece", "needs a module with a vocabulary"),
        ("wordpiece", "none", "does not take what the preprocessing 'none' makes"),
    ],
)
def test_the_wrong_kind_of_input_is_named(modules, module, preprocessing, message):
    with pytest.raises(EncoderError, match=message):
        load(modules[module], preprocessing)


def test_outputs_that_are_not_one_vector_each_are_refused(tmp_path):
    import tensorflow as tf

    shapes = {
        "three": lambda count: tf.ones([count, 2, 3]),
        "one": lambda count: tf.ones([count]),
        "single": lambda count: tf.ones([1, 4]) * tf.cast(count, tf.float32),
    }
    for name, make in shapes.items():
        handle = tiny_encoders.write_constant_module(tmp_path / name, make)
        with pytest.raises(EncoderError, match=r"one vector for each content, \[batch, dim\]"):
            load(handle, "none")
    several = tiny_encoders.write_constant_module(
        tmp_path / "several", lambda count: {"a": tf.ones([count, 2]), "b": tf.ones([count, 3])}
    )
    with pytest.raises(EncoderError, match=r"must call one 'default'. Received: a, b"):
        load(several, "none")


def test_a_damaged_module_is_refused(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"damaged")
    with pytest.raises(EncoderError, match=r"cannot be loaded: .*Received: "):
        load(str(tmp_path), "none")


def test_a_module_that_only_has_a_signature_is_called_by_it(tmp_path):
    import tensorflow as tf

    class Signature(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "texts")])
        def run(self, texts):
            return {"default": tf.cast(tf.strings.length(texts), tf.float32)[:, tf.newaxis]}

    module = Signature()
    tf.saved_model.save(module, str(tmp_path), signatures=module.run)
    encoder = load(str(tmp_path), "none")
    assert encoder.encode(["ab"]).tolist() == [[2.0]]


def test_vectors_are_kept_under_module_and_preprocessing():
    assert compute_encoder_hash("a", "none") == compute_encoder_hash("a", "none")
    hashes = {
        compute_encoder_hash(*pair) for pair in [("a", "none"), ("a", "image"), ("b", "none")]
    }
    assert len(hashes) == 3
