"""The kinds of preference loss: closed forms, what they agree on, and that each one trains."""

import dataclasses

import keras
import numpy as np
import pytest
import scipy.sparse
import tensorflow as tf
import tensorflow_recommenders as tfrs
from addrl_data import NUM_ITEMS, make_config

from addrl_keras import fit
from addrl_keras.content import compute_distributions
from addrl_keras.losses.distillation import distillation
from addrl_keras.losses.preference import history_softmax, history_softmax_of_pairs
from addrl_keras.losses.sampled import in_batch_softmax, sampled_softmax
from addrl_keras.model import AdDrl, ModelShape
from addrl_keras.optimizers import TableAdam
from addrl_keras.pairs import MemoryIndex, MemoryMatrix, Pairs
from addrl_keras.preferences import get_kind, list_kinds
from addrl_keras.start import make_started_model
from addrl_keras.training import UserBatches
from addrl_keras.training_step import Step, make_frozen

QUICK = {"intra": 0.0, "inter": 0.0, "value": 0.0}


def _make_pairs(dense):
    rows, items = np.nonzero(dense)
    return Pairs(tf.constant(rows, tf.int32), tf.constant(items, tf.int32), tf.constant(len(dense)))


@pytest.fixture
def split():
    generator = np.random.default_rng(3)
    items = (generator.random((6, NUM_ITEMS)) < 0.3).astype(np.float32)
    history = items * (generator.random(items.shape) < 0.5)
    # One user without a target, one without a history.
    history[1], history[2] = items[1], 0.0
    return history, items - history


def _make_step(split, **losses):
    config = make_config(losses=losses)
    model = AdDrl(config, ModelShape(NUM_ITEMS, 6, (3, 4, 12)))
    generator = np.random.default_rng(0)
    for weight in model.weights:
        if weight.dtype == "float32":
            weight.assign(generator.standard_normal(weight.shape))
    draws = [generator.permutation(NUM_ITEMS)[:8] for _ in range(NUM_ITEMS)]
    model.memory.source.assign(np.sort(draws, axis=1))
    frozen = make_frozen(model, scipy.sparse.csr_matrix(split[0] + split[1]), np.eye(NUM_ITEMS))
    history, targets = (_make_pairs(part) for part in split)
    return Step(model, frozen, history, targets, model.user_tower.encode(history))


class TestScores:
    def test_every_way_of_scoring_agrees_with_the_call_of_the_model(self, split):
        step = _make_step(split)
        expected = step.model({"history": split[0]}).numpy()
        items = np.array([5, 0, 5, 39], np.int32)
        rows, own = np.nonzero(split[1])
        np.testing.assert_allclose(step.score_catalogue(), expected, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(
            step.score_candidates(items), expected[:, items], rtol=1e-4, atol=1e-4
        )
        pairs = step.score_pairs(tf.constant(rows, tf.int32), tf.constant(own, tf.int32))
        np.testing.assert_allclose(pairs, expected[rows, own], rtol=1e-4, atol=1e-4)

    @pytest.mark.parametrize("make_memory", [MemoryIndex, MemoryMatrix])
    def test_the_memory_scores_and_learns_alike_by_look_ups_and_by_a_product(
        self, split, make_memory
    ):
        step = _make_step(split)
        memory, upstream = step.model.memory, np.random.default_rng(2).random((6, NUM_ITEMS))
        with tf.GradientTape(persistent=True) as tape:
            weight = tf.convert_to_tensor(memory.weight)
            tape.watch(weight)
            found = make_memory(memory.source.numpy()).compute_scores(weight, step.history)
            source, target = memory.source.numpy().ravel(), np.repeat(np.arange(NUM_ITEMS), 8)
            places = np.stack([source, target], axis=1)
            matrix = tf.scatter_nd(places, tf.reshape(weight, [-1]), (NUM_ITEMS, NUM_ITEMS))
            length = np.sqrt(np.maximum(split[0].sum(axis=1, keepdims=True), 1.0))
            expected = tf.constant(split[0] / length, tf.float32) @ matrix
            one, other = (tf.reduce_sum(part * upstream) for part in (found, expected))
        np.testing.assert_allclose(found, expected, atol=1e-5)
        gradients = [tf.convert_to_tensor(tape.gradient(part, weight)) for part in (one, other)]
        np.testing.assert_allclose(*gradients, atol=1e-5)

    def test_histories_are_encoded_alike_by_gathers_and_by_a_product(self, split):
        step = _make_step(split)
        tower, users = step.model.user_tower, []
        gradients = []
        for dense in (False, True):
            with tf.GradientTape() as tape:
                users.append(tower.encode(step.history, dense=dense))
                loss = tf.reduce_sum(users[-1] ** 2)
            gradients.append(tf.convert_to_tensor(tape.gradient(loss, tower.query.value)))
        np.testing.assert_allclose(*users, atol=1e-5)
        np.testing.assert_allclose(*gradients, atol=1e-4)

    def test_a_step_is_the_same_whichever_way_is_taken(self, planted):
        train = planted.interactions.train
        batch = UserBatches(train, 16, 0)[0][0]
        weights = []
        for changes in ({}, {"has_long_histories": False}):
            model = make_started_model(
                make_config(),
                planted.catalogue,
                train,
                compute_distributions(make_config(), planted.catalogue, None)[0],
            )
            model.prepare_training(train)
            model._frozen = dataclasses.replace(model._frozen, **changes)
            model.compile(optimizer=TableAdam(0.01))
            for _ in range(2):
                model.train_step(batch)
            weights.append(model.get_weights())
        for one, other in zip(*weights, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-4)

    def test_the_way_that_is_shorter_is_taken(self):
        model = AdDrl(make_config(), ModelShape(NUM_ITEMS, 6, (3, 4, 12)))
        full = scipy.sparse.csr_matrix(np.ones((6, NUM_ITEMS), np.float32))
        long = make_frozen(model, full)
        assert long.has_long_histories and isinstance(long.memory, MemoryMatrix)
        model = AdDrl(make_config(), ModelShape(9_000, 6, (3, 4, 12)))
        few = scipy.sparse.random(6, 9_000, density=3 / 9_000, format="csr", rng=0)
        short = make_frozen(model, few)
        assert not short.has_long_histories and isinstance(short.memory, MemoryIndex)

    def test_targets_and_candidates_are_drawn_as_said(self, split):
        step = _make_step(split)
        rows, items = (part.numpy() for part in step.draw_targets())
        assert rows.tolist() == [u for u in range(6) if split[1][u].any()]
        assert split[1][rows, items].all()
        drawn, log_expected = step.draw_candidates(20)
        probability = step.frozen.probability.numpy()
        assert probability.sum() == pytest.approx(1.0)
        np.testing.assert_allclose(np.exp(log_expected), 20 * probability[drawn], rtol=1e-5)
        assert len(np.unique(step.draw_uniform(tf.constant([500])))) == NUM_ITEMS

    def test_histories_that_are_all_empty_score_zero(self, split):
        step = _make_step((np.zeros_like(split[0]), split[1]))
        zero = tf.zeros(1, tf.int32)
        assert not step.score_catalogue().numpy().any()
        assert not step.score_candidates(zero).numpy().any()
        assert not step.score_pairs(zero, zero).numpy().any()


class TestSoftmax:
    def test_pairs_give_what_rows_of_zeros_and_ones_give(self, split):
        scores = tf.Variable(np.random.default_rng(1).standard_normal(split[0].shape, np.float32))
        history, targets = (_make_pairs(part) for part in split)
        with tf.GradientTape(persistent=True) as tape:
            dense = history_softmax(scores, *split)
            pairs = history_softmax_of_pairs(scores, history, targets)
        assert float(pairs) == pytest.approx(float(dense), rel=1e-5)
        np.testing.assert_allclose(
            tape.gradient(pairs, scores), tape.gradient(dense, scores), atol=1e-6
        )

    def test_sampled_softmax_with_all_items_is_the_full_softmax(self, split):
        sampled = _make_step(split, preference_kind="sampled_softmax", num_negatives=NUM_ITEMS)
        weights = sampled.model.trainable_variables
        losses, gradients = [], []
        for kind in ("softmax", "sampled_softmax"):
            with tf.GradientTape() as tape:
                users = sampled.model.user_tower.encode(sampled.history)
                step = dataclasses.replace(sampled, users=users)
                dense = _make_step(split).frozen.memory
                step = dataclasses.replace(
                    step, frozen=dataclasses.replace(step.frozen, memory=dense)
                )
                losses.append(get_kind(kind).compute_loss(step))
            gradients.append(
                [tf.convert_to_tensor(g).numpy() for g in tape.gradient(losses[-1], weights)]
            )
        assert float(losses[0]) == pytest.approx(float(losses[1]), rel=1e-5)
        for full, drawn in zip(*gradients, strict=True):
            np.testing.assert_allclose(full, drawn, atol=2e-5)

    def test_the_denominator_is_right_on_average(self):
        generator = np.random.default_rng(0)
        scores = generator.standard_normal(50).astype(np.float32)
        probability = generator.dirichlet(np.ones(50)).astype(np.float32)
        drawn = generator.choice(50, 20_000, p=probability / probability.sum())
        hit = (drawn == 7)[None]
        loss = sampled_softmax(
            scores[7:8],
            scores[drawn][None],
            np.log(20_000 * probability[drawn]),
            hit,
            np.ones(1, np.float32),
        )
        assert float(loss) == pytest.approx(np.log(np.exp(scores).sum()) - scores[7], abs=0.05)

    def test_what_is_excluded_takes_no_part_and_no_weight_is_zero(self):
        scores = np.array([[1.0, 1e4]], np.float32)
        excluded, none = np.array([[False, True]]), np.zeros(2, np.float32)
        loss = sampled_softmax(np.ones(1, "float32"), scores, none, excluded, np.ones(1, "float32"))
        assert float(loss) == pytest.approx(np.log(2))
        zero = np.zeros(1, np.float32)
        assert float(sampled_softmax(zero, scores, none, excluded, zero)) == 0.0


class TestInBatch:
    def test_is_the_task_of_tensorflow_recommenders(self):
        generator = np.random.default_rng(0)
        users, items = generator.standard_normal((2, 6, 4)).astype(np.float32)
        ids = np.array([3, 1, 3, 2, 9, 1])
        probability = generator.random(6).astype(np.float32)
        items[[2, 5]] = items[[0, 1]]
        task = tfrs.tasks.Retrieval(remove_accidental_hits=True)
        expected = task(
            users,
            items,
            candidate_sampling_probability=probability,
            candidate_ids=tf.constant(ids),
            compute_metrics=False,
        )
        ours = in_batch_softmax(users @ items.T, ids, probability, np.zeros((6, 6), bool))
        assert float(ours) == pytest.approx(float(expected) / 6, rel=1e-5)


class TestDistillation:
    teacher = np.array([[5.0, 2.0, 1.0, -3.0], [-1.0, -1.0, -1.0, -1.0]], np.float32)
    history = np.array([[1, 0, 0, 0], [0, 0, 0, 0]], np.float32)

    def test_against_numpy(self):
        scores = np.array([[9.0, 1.0, 0.0, 2.0], [1.0, 2.0, 3.0, 4.0]], np.float32)
        wanted = np.array([2.0, 1.0, 0.0]) ** 3
        log_probability = scores[0, 1:] - np.log(np.exp(scores[0, 1:]).sum())
        expected = -(wanted / wanted.sum()) @ log_probability
        assert float(distillation(scores, self.teacher, self.history)) == pytest.approx(
            expected, rel=1e-5
        )

    def test_the_scale_of_the_teacher_means_nothing_and_its_size_cannot_overflow(self):
        scores = np.zeros((2, 4), np.float32)
        large = distillation(scores, self.teacher * np.float32(1e30), self.history, 5.0)
        plain = distillation(scores, self.teacher, self.history, 5.0)
        assert float(large) == pytest.approx(float(plain), rel=1e-5)

    def test_a_teacher_that_says_nothing_is_zero(self):
        assert float(distillation(np.ones((1, 4)), self.teacher[1:], self.history[1:])) == 0.0

    def test_it_needs_a_teacher(self):
        config = make_config(losses={"preference_kind": "distillation"})
        model = AdDrl(config, ModelShape(NUM_ITEMS, 6, (3, 4, 12)))
        with pytest.raises(ValueError, match=r"needs the teacher .*Received: start.kind"):
            model.prepare_training(scipy.sparse.csr_matrix((6, NUM_ITEMS), dtype=np.float32))


class TestTableAdam:
    def test_a_dense_gradient_takes_the_step_of_keras(self):
        ours, theirs = TableAdam(0.1), keras.optimizers.Adam(0.1)
        variables = [keras.Variable(np.ones((3, 2), np.float32)) for _ in range(2)]
        for step in range(4):
            gradient = tf.constant(np.random.default_rng(step).standard_normal((3, 2)), tf.float32)
            for optimizer, variable in zip((ours, theirs), variables, strict=True):
                optimizer.apply([gradient], [variable])
        np.testing.assert_allclose(*(variable.numpy() for variable in variables), rtol=1e-5)

    def test_rows_without_a_gradient_stay_and_repeated_ones_add_up(self):
        sparse, dense = (keras.Variable(np.ones((4, 2), np.float32)) for _ in range(2))
        values = tf.constant([[1.0, 2.0], [3.0, -4.0], [2.0, 1.0]])
        ours, theirs = TableAdam(0.1), keras.optimizers.Adam(0.1)
        for _ in range(2):
            ours.apply([tf.IndexedSlices(values, [1, 3, 1], [4, 2])], [sparse])
            summed = tf.tensor_scatter_nd_add(tf.zeros((4, 2)), [[1], [3], [1]], values)
            theirs.apply([summed], [dense])
        np.testing.assert_allclose(sparse.numpy(), dense.numpy(), rtol=1e-5)
        assert (sparse.numpy()[[0, 2]] == 1.0).all()


NEGATIVES = {"bpr": 4, "sampled_softmax": 15}


@pytest.mark.parametrize("kind", list_kinds())
def test_each_kind_learns_the_planted_data_and_the_same_again(planted, kind):
    config = make_config(
        start={"kind": "random"},
        losses={"preference_kind": kind, "num_negatives": NEGATIVES.get(kind, 16), **QUICK},
        training={"epochs": 12, "learning_rate": 0.03, "patience": 12, "refit": False},
    )
    histories = [
        fit(config, planted.catalogue, planted.interactions).history["validation"] for _ in "ab"
    ]
    figures = histories[0]["ndcg_at_20"]
    assert max(figures) > 1.25 * figures[0]
    assert histories[0] == histories[1]


def test_an_unknown_kind_is_refused_by_name():
    with pytest.raises(
        ValueError, match=r"preference_kind must be one of bpr, .*Received: 'sofmax'"
    ):
        make_config(losses={"preference_kind": "sofmax"}).validate()
