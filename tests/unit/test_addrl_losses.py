"""Losses against numpy, what they must be blind to, extreme inputs and finite gradients."""

import numpy as np
import pytest
import tensorflow as tf

from addrl_keras.losses.disentangle import attribute_value, inter_modality, intra_modality
from addrl_keras.losses.preference import bpr_hardest, history_softmax


def _log_softmax(x):
    x = x - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


def _normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def _gradient(loss, x):
    x = tf.Variable(x)
    with tf.GradientTape() as tape:
        value = loss(x)
    return float(value), tape.gradient(value, x).numpy()


class TestHistorySoftmax:
    scores = _normal(3, 6)
    history = np.array([[1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 1, 1]], np.float32)
    targets = np.array([[0, 0, 1, 0, 1, 0], [0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0]], np.float32)

    def test_against_numpy(self):
        first = _log_softmax(self.scores[0, 2:])
        third = _log_softmax(self.scores[2, :4])
        expected = (-(first[0] + first[2]) / 2 - third[0]) / 2
        assert float(history_softmax(self.scores, self.history, self.targets)) == pytest.approx(
            expected, rel=1e-5
        )

    def test_scores_of_the_history_and_users_without_targets_take_no_part(self):
        other = np.where(self.history > 0, 50.0, self.scores).astype(np.float32)
        other[1] = 7.0
        loss = history_softmax(self.scores, self.history, self.targets)
        assert float(history_softmax(other, self.history, self.targets)) == pytest.approx(
            float(loss), rel=1e-6
        )
        _, gradient = _gradient(
            lambda x: history_softmax(x, self.history, self.targets), self.scores
        )
        assert not gradient[self.history > 0].any()
        assert not gradient[1].any()
        assert (gradient[self.targets > 0] < 0).all()

    def test_a_constant_added_to_the_scores_changes_nothing(self):
        loss = float(history_softmax(self.scores, self.history, self.targets))
        moved = float(history_softmax(self.scores + 3.0, self.history, self.targets))
        assert moved == pytest.approx(loss, rel=1e-5)

    def test_no_targets_at_all_is_zero(self):
        loss, gradient = _gradient(
            lambda x: history_softmax(x, self.history, 0 * self.targets), self.scores
        )
        assert loss == 0.0
        assert not gradient.any()

    def test_a_whole_catalogue_in_the_history_is_zero(self):
        everything = np.ones_like(self.history)
        loss, gradient = _gradient(
            lambda x: history_softmax(x, everything, 0 * self.targets), self.scores
        )
        assert loss == 0.0
        assert np.isfinite(gradient).all()

    @pytest.mark.parametrize("scale", [0.0, 1e4, -1e4])
    def test_huge_scores_have_a_finite_loss_and_gradient(self, scale):
        loss, gradient = _gradient(
            lambda x: history_softmax(x, self.history, self.targets),
            np.float32(scale) * self.scores,
        )
        assert np.isfinite(loss)
        assert np.isfinite(gradient).all()
        assert np.abs(gradient).max() <= 1.0


class TestIntraModality:
    logits = _normal(4, 3, 3)
    present = np.array([True, True, False, True])

    def test_against_numpy(self):
        per_item = -_log_softmax(self.logits)[:, range(3), range(3)].sum(axis=1)
        expected = per_item[self.present].mean()
        assert float(intra_modality(self.logits, self.present)) == pytest.approx(expected, rel=1e-5)

    def test_chunks_that_are_told_apart_cost_nothing(self):
        logits = np.tile(40.0 * np.eye(3, dtype=np.float32), (2, 1, 1))
        assert float(intra_modality(logits, np.array([True, True]))) == pytest.approx(0.0, abs=1e-6)
        assert float(intra_modality(-logits, np.array([True, True]))) > 40.0

    def test_absent_items_give_no_gradient(self):
        _, gradient = _gradient(lambda x: intra_modality(x, self.present), self.logits)
        assert not gradient[2].any()
        assert gradient[0].any()

    def test_nobody_present_is_zero(self):
        loss, gradient = _gradient(lambda x: intra_modality(x, np.zeros(4, bool)), self.logits)
        assert loss == 0.0
        assert not gradient.any()

    def test_huge_logits_have_finite_gradients(self):
        loss, gradient = _gradient(
            lambda x: intra_modality(x, self.present), np.float32(1e6) * self.logits
        )
        assert np.isfinite(loss)
        assert np.isfinite(gradient).all()


class TestInterModality:
    chunks = _normal(3, 3, 4, 5)
    present = np.array([[True, True, True], [True, False, True], [True, True, False]])

    def _expect_pair(self, a, b, temperature):
        similarity = self.chunks[:, a] @ self.chunks[:, b].transpose(0, 2, 1) / temperature
        one_way = -_log_softmax(similarity)[:, range(4), range(4)].sum(axis=1)
        back = -_log_softmax(similarity.transpose(0, 2, 1))[:, range(4), range(4)].sum(axis=1)
        return one_way + back

    def test_against_numpy(self):
        count = np.array([1.0, 4.0, 2.0], np.float32)
        expected = sum(
            np.average(self._expect_pair(a, b, 0.5), weights=count * both)
            for a, b in ((0, 1), (0, 2), (1, 2))
            for both in [self.present[:, a] & self.present[:, b]]
        )
        loss = inter_modality(self.chunks, self.present, count, temperature=0.5)
        assert float(loss) == pytest.approx(expected, rel=1e-5)

    def test_it_is_symmetric_in_the_modalities(self):
        loss = float(inter_modality(self.chunks, self.present))
        turned = inter_modality(self.chunks[:, ::-1], self.present[:, ::-1])
        assert float(turned) == pytest.approx(loss, rel=1e-6)

    def test_matching_chunks_cost_less_than_exchanged_ones(self):
        chunks = 6.0 * np.eye(4, dtype=np.float32)
        yes = np.ones((1, 2), bool)
        matching = np.stack([chunks, chunks])[None]
        exchanged = np.stack([chunks, chunks[::-1]])[None]
        assert float(inter_modality(matching, yes)) == pytest.approx(0.0, abs=1e-4)
        assert float(inter_modality(exchanged, yes)) > 100.0

    def test_a_missing_modality_gives_no_gradient(self):
        _, gradient = _gradient(lambda x: inter_modality(x, self.present), self.chunks)
        assert not gradient[1, 1].any()
        assert not gradient[2, 2].any()
        assert gradient[1, 0].any()

    def test_one_chunk_or_one_modality_has_nothing_to_contrast(self):
        assert float(inter_modality(self.chunks[:, :, :1], self.present)) == pytest.approx(
            0.0, abs=1e-6
        )
        assert float(inter_modality(self.chunks[:, :1], self.present[:, :1])) == 0.0


class TestAttributeValue:
    logits = _normal(4, 5)
    labels = np.array(
        [[1, 0, 0, 0, 0], [0, 0.5, 0.5, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 1]], np.float32
    )

    def test_against_numpy(self):
        per_item = -(self.labels * _log_softmax(self.logits)).sum(axis=1)
        assert float(attribute_value(self.logits, self.labels)) == pytest.approx(
            per_item[[0, 1, 3]].mean(), rel=1e-5
        )

    def test_a_missing_value_gives_no_gradient(self):
        _, gradient = _gradient(lambda x: attribute_value(x, self.labels), self.logits)
        assert not gradient[2].any()
        assert gradient[[0, 1, 3]].any(axis=1).all()

    def test_the_best_prediction_of_several_values_is_uniform_over_them(self):
        labels = self.labels[1:2]
        even = np.array([[-30, 5, 5, -30, -30]], np.float32)
        uneven = np.array([[-30, 7, 5, -30, -30]], np.float32)
        assert float(attribute_value(even, labels)) == pytest.approx(np.log(2), rel=1e-5)
        assert float(attribute_value(uneven, labels)) > np.log(2)

    def test_no_known_value_is_zero(self):
        loss, gradient = _gradient(lambda x: attribute_value(x, 0 * self.labels), self.logits)
        assert loss == 0.0
        assert not gradient.any()

    def test_huge_logits_have_finite_gradients(self):
        loss, gradient = _gradient(
            lambda x: attribute_value(x, self.labels), np.float32(1e6) * self.logits
        )
        assert np.isfinite(loss)
        assert np.isfinite(gradient).all()


class TestBprHardest:
    positive = np.array([1.0, -2.0], np.float32)
    negatives = np.array([[0.5, 3.0, -1.0], [-4.0, -2.5, -9.0]], np.float32)

    def test_is_the_sum_over_the_batch_against_the_hardest_alone(self):
        expected = np.log1p(np.exp(-(1.0 - 3.0))) + np.log1p(np.exp(-(-2.0 + 2.5)))
        assert float(bpr_hardest(self.positive, self.negatives)) == pytest.approx(expected)
        _, gradient = _gradient(lambda x: bpr_hardest(self.positive, x), self.negatives)
        assert (np.argmax(gradient, axis=1) == [1, 1]).all()
        assert np.count_nonzero(gradient) == 2

    def test_large_scores_stay_finite_and_an_absent_negative_counts_for_nothing(self):
        far = np.array([[1e4, -np.inf]], np.float32)
        loss, gradient = _gradient(lambda x: bpr_hardest(x, far), np.zeros(1, np.float32))
        assert loss == pytest.approx(1e4)
        assert gradient == pytest.approx([-1.0])
        none = np.full((1, 2), -np.inf, np.float32)
        loss, gradient = _gradient(lambda x: bpr_hardest(x, none), np.zeros(1, np.float32))
        assert loss == 0.0 and gradient == pytest.approx([0.0])
