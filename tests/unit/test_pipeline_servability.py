"""The servability gate on exports of one model: the right way, the broken way, and not at all."""

import shutil

import numpy as np
import pytest


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    """The same Keras 3 model with one signature, exported in both ways, with warm-up requests."""
    import keras
    import tensorflow as tf

    from tfx_pipeline.modules.addrl_warmup import write_warmup

    class Scorer(keras.Model):
        def __init__(self):
            super().__init__()
            self.bias = self.add_weight(shape=(), name="bias", initializer="ones")

        def call(self, lengths):
            return tf.cast(lengths, tf.float32) + self.bias

    model = Scorer()
    model(tf.zeros((1, 2)))

    def score(user_id, item_ids):
        return {"scores": model(tf.strings.length(item_ids)) + 0.0 * _as_column(user_id)}

    def _as_column(user_id):
        return tf.cast(tf.strings.length(user_id), tf.float32)[:, None]

    inputs = [
        tf.TensorSpec([None], tf.string, name="user_id"),
        tf.TensorSpec([None, None], tf.string, name="item_ids"),
    ]
    function = tf.function(score, input_signature=inputs)
    root = tmp_path_factory.mktemp("exports")
    tf.saved_model.save(model, str(root / "broken"), signatures={"score": function})
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("score", score, input_signature=inputs)
    archive.write_out(str(root / "right"), verbose=False)
    requests = [("score", {"user_id": ["u"], "item_ids": [["a", "bb"]]})]
    for name in ("broken", "right"):
        write_warmup(root / name, requests)
    return root


def _problems_of_score(report):
    """The contract's other signatures are missing by construction."""
    return [line for line in report["problems"] if line.startswith("signature 'score'")]


def test_the_broken_way_loads_in_python_and_is_refused(exports):
    import tensorflow as tf

    from tfx_pipeline.components.probing import find_problems, run_probe

    loaded = tf.saved_model.load(str(exports / "broken")).signatures["score"]
    answer = loaded(user_id=tf.constant(["u"]), item_ids=tf.constant([["a", "bb"]]))
    np.testing.assert_allclose(answer["scores"], [[2.0, 3.0]])

    report = run_probe(exports / "broken")
    (line,) = _problems_of_score(report)
    assert "signature 'score' fails" in line and "variable" in line
    assert line in find_problems(report, 1000.0, 1e-4)


def test_the_right_way_answers_and_lacks_only_the_other_signatures(exports):
    from tfx_pipeline.components.probing import run_probe

    report = run_probe(exports / "right")
    assert _problems_of_score(report) == []
    assert report["num_requests"] == 1
    assert "signature 'recommend' is missing" in report["problems"]


def test_no_warmup_and_no_model_are_verdicts_not_errors(exports, tmp_path):
    from tfx_pipeline.components.probing import run_probe

    bare = tmp_path / "bare"
    shutil.copytree(exports / "right", bare, ignore=shutil.ignore_patterns("assets.extra"))
    assert any("no warm-up requests" in line for line in run_probe(bare)["problems"])
    (tmp_path / "empty").mkdir()
    assert any("cannot load" in line for line in run_probe(tmp_path / "empty")["problems"])


def test_a_warmup_file_without_requests_is_a_problem(exports, tmp_path):
    from tfx_pipeline.components.probing import run_probe
    from tfx_pipeline.modules.addrl_warmup import write_warmup

    shutil.copytree(exports / "right", tmp_path / "export")
    write_warmup(tmp_path / "export", [])
    assert any("requests is empty" in line for line in run_probe(tmp_path / "export")["problems"])


def test_warmup_comes_back_as_it_was_written(tmp_path):
    from tfx_pipeline.modules.addrl_warmup import load_warmup, write_warmup

    write_warmup(tmp_path, [("recommend", {"user_id": ["u"], "k": np.int32(3)})])
    ((signature, inputs),) = load_warmup(tmp_path)
    assert signature == "recommend"
    assert inputs["user_id"].tolist() == [b"u"] and inputs["k"] == 3 and inputs["k"].shape == ()


def _recommendation(scores, contributions, items=((b"a", b"b"),)):
    return {
        "item_ids": np.array(items, object),
        "scores": np.array(scores, np.float32),
        "contributions": np.array(contributions, np.float32),
        "average_contributions": np.zeros((1, 2), np.float32),
        "contribution_names": np.array([b"genre", b"residual"], object),
        "attribute_values": np.full((1, 2, 1), b"x", object),
        "source": np.array([b"user"], object),
    }


def test_sums_sizes_and_numbers_of_an_answer_are_checked():
    from tfx_pipeline.components.servability_probe import compute_sum_error, find_bad_outputs

    asked = {"user_id": np.array([b"u"], object)}
    good = _recommendation([[3.0, 1.0]], [[[1.0, 2.0], [0.5, 0.5]]])
    assert find_bad_outputs("recommend", asked, good) == []
    assert compute_sum_error(good) == 0.0
    off = _recommendation([[3.0, 1.0]], [[[1.0, 2.0], [0.5, 0.25]]])
    assert compute_sum_error(off) == pytest.approx(0.25)

    padded = _recommendation([[3.0, -np.inf]], [[[1.0, 2.0], [0.0, 0.0]]], ((b"a", b""),))
    assert find_bad_outputs("recommend", asked, padded) == []
    broken = _recommendation([[3.0, np.nan]], [[[1.0, 2.0], [0.0, 0.0]]])
    assert find_bad_outputs("recommend", asked, broken) == [
        "output 'scores' has numbers that are not finite"
    ]
    lacking = {name: value for name, value in good.items() if name != "source"}
    assert find_bad_outputs("recommend", asked, lacking) == ["output 'source' is missing"]
    short = {**good, "contribution_names": good["contribution_names"][:1]}
    assert any("dimension K" in line for line in find_bad_outputs("recommend", asked, short))


def test_slow_and_inexact_models_are_refused():
    from tfx_pipeline.components.probing import find_problems

    report = {"problems": [], "latency_ms": 20.0, "max_sum_error": 1e-6}
    assert find_problems(report, 100.0, 1e-4) == []
    assert "20 ms" in find_problems(report, 10.0, 1e-4)[0]
    assert "1e-06" in find_problems(report, 100.0, 1e-7)[0]
