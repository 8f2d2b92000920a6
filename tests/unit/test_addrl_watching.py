"""What is watched while a model is trained: terms, time left, TensorBoard, probes, collapse."""

import keras
import numpy as np
import pytest
import scipy.sparse
import tensorflow as tf
from addrl_data import make_config

from addrl_keras import fit
from addrl_keras.callbacks import FiniteLosses, word_time_left
from addrl_keras.metrics.disentanglement import compute_effective_rank, compute_probe_accuracy
from addrl_keras.watching import Watch, get_single_labels


def test_a_probe_reads_what_is_there_and_nothing_else():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 600)
    holds = np.eye(3)[labels] + 0.1 * rng.standard_normal((600, 3))
    accuracy, guess = compute_probe_accuracy(holds, labels)
    assert accuracy > 0.95 and 0.25 < guess < 0.45
    accuracy, guess = compute_probe_accuracy(rng.standard_normal((600, 3)), labels)
    assert abs(accuracy - guess) < 0.1
    # Unknown values count for nothing, and constant dimensions do no harm.
    labels[:300] = -1
    accuracy, _ = compute_probe_accuracy(np.pad(holds, ((0, 0), (0, 2))), labels)
    assert accuracy > 0.95
    assert np.isnan(compute_probe_accuracy(holds[:9], labels[-9:])[0])


@pytest.mark.parametrize("rank", [1, 3, 8])
def test_the_effective_rank_of_equal_directions_is_their_number(rank):
    basis = np.linalg.qr(np.random.default_rng(0).standard_normal((10, 10)))[0][:rank]
    vectors = np.concatenate([basis, -basis])
    assert compute_effective_rank(vectors) == pytest.approx(rank)
    assert compute_effective_rank(np.ones((5, 4))) == 0.0


def test_labels_are_of_items_with_one_value():
    matrix = scipy.sparse.csr_matrix([[0, 1, 0], [1, 1, 0], [0, 0, 0], [0, 0, 1]])
    assert get_single_labels(matrix).tolist() == [1, -1, -1, 2]


def make_model(terms):
    """A model whose step returns the terms of each step in turn."""

    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.step = self.add_weight(shape=(), initializer="zeros", name="step")
            self.built = True

        def train_step(self, data):
            now = {
                n: tf.gather(tf.constant(v), tf.cast(self.step, tf.int32)) for n, v in terms.items()
            }
            self.step.assign_add(1.0)
            return now

    model = Model()
    model.compile()
    return model


def test_the_guard_names_term_epoch_and_step():
    model = make_model({"value": [1.0, 1.0, 1.0, np.nan], "loss": [1.0, 1.0, 1.0, np.nan]})
    guard = FiniteLosses("content", "lower it")
    with pytest.raises(FloatingPointError, match=r"content phase .*value nan in epoch 2, step 2"):
        model.fit(np.zeros((2, 1)), batch_size=1, epochs=3, verbose=0, callbacks=[guard])


def test_lines_have_terms_figures_and_time_left(planted):
    lines = []
    config = make_config(training={"epochs": 3, "content_epochs": 2, "patience": 3})
    result = fit(config, planted.catalogue, planted.interactions, progress=lines.append)
    content = [line for line in lines if line.startswith("content: ")]
    assert len(content) == 2 and content[0].startswith("content: epoch 1 of 2, loss ")
    assert all(word in content[0] for word in ("inter", "intra", "value", " s left"))
    towers = [line for line in lines if line.startswith("epoch ")]
    assert len(towers) == 3 and towers[0].startswith("epoch 1 of 3: loss ")
    assert all(word in towers[0] for word in ("validation NDCG@20", "Recall@20", " s left"))
    watched = result.history["watch"]
    assert set(watched) == {
        *(f"residual_probe_{name}" for name in ("year", "genre", "brand")),
        *("user_rank", "item_rank"),
    }
    assert all(len(values) == 3 for values in watched.values())
    assert word_time_left(0.0, 1, 1) == "0 s left"


def test_tensorboard_gets_every_figure(planted, tmp_path):
    config = make_config(training={"epochs": 2, "content_epochs": 2, "patience": 3})
    fit(config, planted.catalogue, planted.interactions, log_dir=str(tmp_path))
    tags = {}
    for file in tmp_path.rglob("events.*"):
        for event in tf.compat.v1.train.summary_iterator(str(file)):
            for value in event.summary.value:
                tags.setdefault((file.parent.name, value.tag), []).append(event.step)
    assert tags["content", "value"] == [1, 2] and tags["content", "learning_rate"] == [1, 2]
    for name in ("loss", "ndcg_at_20", "recall_at_20", "user_rank", "residual_probe_genre"):
        assert tags["towers", name] == [1, 2], name


def test_collapse_and_entanglement_are_said_in_words_once(planted, fitted):
    lines = []
    watch = Watch(planted.catalogue, planted.interactions.train, lines.append)
    watch.set_model(fitted.model)
    kept = fitted.model.get_weights()
    try:
        genre = planted.catalogue.values["genre"].distribution().toarray()
        fitted.model.item_tower.residual.assign(genre)
        fitted.model.user_tower.query.assign(np.ones(fitted.model.user_tower.query.shape))
        watch.on_epoch_end(0)
        watch.on_epoch_end(1)
    finally:
        fitted.model.set_weights(kept)
    (entangled,) = [line for line in lines if "residual tells genre" in line]
    assert "guessing" in entangled and entangled.startswith("watch: ")
    (collapsed,) = [line for line in lines if "user vectors have collapsed" in line]
    assert "dimensions" in collapsed
