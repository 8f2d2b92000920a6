"""The SavedModel in the loader that TensorFlow Serving uses, against the eager recommender."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from addrl_keras.export import write_defaults
from serving.contract import compare_signatures, spec_from_signature_def


@pytest.fixture(scope="module")
def signature_defs(saved_model):
    message = saved_model_pb2.SavedModel.FromString((saved_model / "saved_model.pb").read_bytes())
    return message.meta_graphs[0].signature_def


@pytest.fixture(scope="module")
def ask(saved_model):
    """Asks a signature as the server does: V1 loader, missing inputs from the defaults."""
    graph = tf.Graph()
    with graph.as_default():
        session = tf.compat.v1.Session()
        meta = tf.compat.v1.saved_model.loader.load(session, ["serve"], str(saved_model))

    def call(signature, **inputs):
        definition = meta.signature_def[signature]
        defaults = {k: tf.make_ndarray(v) for k, v in definition.defaults.items()}
        feed = {definition.inputs[k].name: v for k, v in {**defaults, **inputs}.items()}
        names = {name: info.name for name, info in definition.outputs.items()}
        return session.run(names, feed)

    yield call
    session.close()


def _assert_equal(served, eager):
    assert set(served) == set(eager)
    for name, value in eager.items():
        value = np.asarray(value)
        if value.dtype == np.float32:
            np.testing.assert_allclose(served[name], value, rtol=1e-4, atol=1e-5, err_msg=name)
        else:
            np.testing.assert_array_equal(served[name], value, err_msg=name)


def test_the_signatures_honour_the_contract(signature_defs):
    actual = {
        name: spec_from_signature_def(definition)
        for name, definition in signature_defs.items()
        if not name.startswith("__")
    }
    assert compare_signatures(actual) == []


def test_every_optional_input_has_its_neutral_value(signature_defs, recommender):
    for signature, inputs in recommender.neutral_inputs().items():
        defaults = signature_defs[signature].defaults
        assert set(defaults) == set(inputs)
        for name, value in inputs.items():
            np.testing.assert_array_equal(tf.make_ndarray(defaults[name]), value)
    assert set(signature_defs["recommend"].inputs) - set(signature_defs["recommend"].defaults) == {
        "user_id"
    }


def test_a_user_id_alone_is_enough(ask, recommender):
    users = ["user 00", "user 33", "nobody"]
    _assert_equal(ask("recommend", user_id=users), recommender.recommend(users))


def test_every_control_acts_as_in_the_notebook(ask, recommender):
    inputs = {
        "user_id": np.array(["user 01", "nobody"]),
        "k": np.int32(7),
        "history_ids": np.array([["", ""], ["item 03", "zz"]]),
        "exclude_ids": np.array([["item 01"], [""]]),
        "exclude_seen": np.bool_(False),
        "attribute_weights": np.array([[2, 1, 1, 0.5, 1], [1, 1, 3, 1, 0]], np.float32),
        "attribute_targets": np.array([["genre=comedy"], [""]]),
        "attribute_filters": np.array([["", ""], ["year=<1980", "year=>=2000"]]),
    }
    _assert_equal(ask("recommend", **inputs), recommender.recommend(**inputs))


def test_the_other_signatures_answer_as_in_the_notebook(ask, recommender):
    users, items = np.array(["user 01", "nobody"]), np.array(["item 05", "item 39"])
    _assert_equal(
        ask("explain", user_id=users, item_id=items), recommender.explain(users, item_id=items)
    )
    _assert_equal(ask("similar_items", item_id=items), recommender.similar_items(items))
    candidates = np.array([["item 05", "zz"], ["item 01", "item 02"]])
    _assert_equal(
        ask("score", user_id=users, item_ids=candidates), recommender.score(users, candidates)
    )


def test_examples_are_read_by_the_three_batch_signatures(ask, recommender):
    example = tf.train.Example()
    example.features.feature["user_id"].bytes_list.value.append(b"user 07")
    example.features.feature["item_id"].bytes_list.value.append(b"item 00")
    example.features.feature["relevant_count"].int64_list.value.append(2)
    rows = np.array([example.SerializeToString()] * 2, dtype=object)
    for signature in ("serving_default", "evaluate", "evaluate_slices"):
        eager = getattr(recommender, signature)(tf.constant(rows))
        _assert_equal(ask(signature, examples=rows), eager)


@pytest.mark.parametrize(
    ("inputs", "quoted"),
    [
        ({"k": np.int32(0)}, "k must be between 1 and 40"),
        ({"k": np.int32(41)}, "k must be between 1 and 40"),
        ({"attribute_targets": [["genre=western"]]}, "genre=western"),
        ({"attribute_filters": [["colour=red"]]}, "colour=red"),
    ],
)
def test_bad_requests_are_refused_in_the_graph(ask, inputs, quoted):
    with pytest.raises(tf.errors.InvalidArgumentError, match=quoted):
        ask("recommend", user_id=["user 00"], **inputs)


def test_an_unknown_item_is_refused_in_the_graph(ask):
    with pytest.raises(tf.errors.InvalidArgumentError, match="item 99"):
        ask("explain", user_id=["user 00"], item_id=["item 99"])


def test_nothing_of_the_export_before_is_left(saved_model):
    """The fixture wrote over a file that was no model."""
    assert {path.name for path in saved_model.glob("saved_model*")} == {"saved_model.pb"}


def test_defaults_of_what_is_not_there_are_refused(saved_model):
    with pytest.raises(ValueError, match=r"no signature 'recomend'. It has: .*'recommend'"):
        write_defaults(str(saved_model), {"recomend": {}})
    with pytest.raises(ValueError, match=r"'recommend' has no input 'n'. It has: .*'user_id'"):
        write_defaults(str(saved_model), {"recommend": {"n": tf.constant(1)}})
