"""Temperatures, and the epoch of the content side that is kept."""

import numpy as np
import pytest
import scipy.special

from addrl_keras.calibration import HeldOutValues, fit_temperature


def test_the_temperature_of_labels_drawn_from_a_model_is_found():
    generator = np.random.default_rng(0)
    logits = generator.normal(0.0, 2.0, (4000, 5))
    labels = np.stack([generator.multinomial(1, row) for row in scipy.special.softmax(logits, 1)])
    for scale in (0.2, 1.0, 5.0):
        temperature, loss = fit_temperature(scale * logits, labels)
        assert temperature == pytest.approx(scale, rel=0.1)
        log_probability = scipy.special.log_softmax(logits, axis=1)
        assert loss == pytest.approx(-(labels * log_probability).sum(axis=1).mean(), abs=0.01)


def test_items_without_a_label_count_for_nothing():
    generator = np.random.default_rng(0)
    logits, labels = generator.normal(size=(30, 2)), np.eye(2)[generator.integers(2, size=30)]
    unknown = np.concatenate([labels, np.zeros((9, 2))])
    more = np.concatenate([logits, 9.0 * generator.normal(size=(9, 2))])
    assert fit_temperature(more, unknown) == fit_temperature(logits, labels)
    assert fit_temperature(more, np.zeros((39, 2))) == (1.0, 0.0)


def test_few_labels_fit_no_temperature():
    assert fit_temperature(np.zeros((19, 2)), np.eye(2)[[0] * 19]) == (
        1.0,
        pytest.approx(np.log(2)),
    )


class _Tower:
    """Says what it is told to, an epoch at a time."""

    def __init__(self, epochs):
        self.epochs, self.epoch, self.stop_training, self.kept = epochs, 0, False, None
        self.temperatures = self

    def __call__(self, features):
        return {"logits": [self.epochs[self.epoch]]}

    def get_weights(self):
        return self.epoch

    def set_weights(self, weights):
        self.kept = weights

    def assign(self, temperatures):
        self.assigned = temperatures


def test_being_too_sure_costs_no_epoch_but_mistaking_values_does():
    labels = np.eye(3)[[0, 1, 2, 0] * 5]
    right = np.eye(3)[[0, 1, 2, 1] * 5]
    unclear = np.eye(3)[[0, 1, 1, 1] * 5]
    # Thirty times too sure, the second tells values apart better than the first.
    tower = _Tower([unclear, 30.0 * right, unclear, unclear, right])
    keeper = HeldOutValues([], [labels], patience=2)
    keeper.set_model(tower)
    for epoch in range(len(tower.epochs)):
        tower.epoch = epoch
        keeper.on_epoch_end(epoch)
        if tower.stop_training:
            break
    keeper.on_train_end()
    assert (epoch, tower.kept) == (3, 1)
    assert tower.assigned[0] > 1.0
    assert int(np.argmin(keeper.history["held_out"])) == 1
