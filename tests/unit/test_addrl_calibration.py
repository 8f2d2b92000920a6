"""Temperatures, and the epochs of the content side that are kept."""

import numpy as np
import pytest
import scipy.special

from addrl_keras.calibration import ChosenEpochs, HeldOutValues, fit_temperature


def _draw(num_items=4000, num_values=5):
    generator = np.random.default_rng(0)
    logits = generator.normal(0.0, 2.0, (num_items, num_values))
    labels = [generator.multinomial(1, row) for row in scipy.special.softmax(logits, axis=1)]
    return logits, np.stack(labels).astype(np.float32)


@pytest.mark.parametrize("scale", [0.2, 1.0, 5.0])
def test_the_temperature_of_labels_drawn_from_a_model_is_found(scale):
    logits, labels = _draw()
    temperature, loss = fit_temperature(scale * logits, labels)
    assert temperature == pytest.approx(scale, rel=0.1)
    log_probability = scipy.special.log_softmax(logits, axis=1)
    assert loss == pytest.approx(-(labels * log_probability).sum(axis=1).mean(), abs=0.01)


def test_a_temperature_stays_finite_where_all_labels_are_told_right():
    labels = np.eye(3)[np.arange(30) % 3]
    temperature, loss = fit_temperature(4.0 * labels, labels)
    assert 0.3 < temperature < 1.0
    assert loss < 0.01
    # Of a single value nothing can be wrong.
    assert fit_temperature(np.ones((30, 1)), np.ones((30, 1)))[0] == pytest.approx(1.0, abs=1e-3)


def test_what_is_no_logit_is_refused():
    with pytest.raises(ValueError, match=r"Received: shapes \(3, 2\) and \(3, 1\)"):
        fit_temperature(np.zeros((3, 2)), np.zeros((3, 1)))
    with pytest.raises(ValueError, match=r"one item or more\. Received: shapes \(0, 2\)"):
        fit_temperature(np.zeros((0, 2)), np.zeros((0, 2)))
    with pytest.raises(FloatingPointError, match="not finite, which no temperature fits"):
        fit_temperature(np.full((3, 2), np.nan), np.eye(2)[[0, 1, 0]])


class _Tower:
    """Says what it is told to, an epoch at a time."""

    def __init__(self, epochs):
        self.epochs, self.epoch, self.stop_training, self.kept = epochs, 0, False, {}
        self.temperatures = self

    def predict(self):
        return self.epochs[self.epoch]

    def get_weights(self):
        return self.epoch + 1

    def set_weights(self, epoch):
        self.kept["whole"] = epoch

    def get_attribute_weights(self, attribute):
        return self.epoch + 1

    def set_attribute_weights(self, attribute, epoch):
        self.kept[attribute] = epoch

    def assign(self, temperatures):
        self.assigned = list(temperatures)


def _train(epochs, labels, patience=2):
    keeper = HeldOutValues(_Tower.predict, labels, patience)
    return _run(_Tower(epochs), keeper), keeper


def _run(tower, keeper):
    keeper.set_model(tower)
    keeper.on_train_begin()
    for epoch in range(len(tower.epochs)):
        tower.epoch = epoch
        keeper.on_epoch_end(epoch)
        if tower.stop_training:
            break
    keeper.on_train_end()
    return tower


LABELS = np.eye(3)[[0, 1, 2, 0] * 5]
RIGHT = np.eye(3)[[0, 1, 2, 1] * 5]
UNCLEAR = np.eye(3)[[0, 1, 1, 1] * 5]


def test_being_too_sure_costs_no_epoch_but_mistaking_values_does():
    # Thirty times too sure, the second tells values apart better than the first.
    epochs = [[part] for part in (UNCLEAR, 30.0 * RIGHT, UNCLEAR, UNCLEAR, RIGHT)]
    tower, keeper = _train(epochs, [LABELS])
    assert (tower.epoch, tower.kept, keeper.epochs) == (3, {"whole": 2, 0: 2}, [2])
    assert tower.assigned[0] > 1.0
    assert int(np.argmin(keeper.losses[0])) == 1


def test_each_attribute_keeps_an_epoch_of_its_own():
    quick, slow = (UNCLEAR, RIGHT, UNCLEAR, UNCLEAR), (-RIGHT, UNCLEAR, RIGHT, UNCLEAR)
    tower, keeper = _train(list(zip(quick, slow, strict=True)), [LABELS, LABELS], patience=1)
    assert tower.epoch == 3, "one attribute that gets better is enough to go on"
    assert tower.kept == {"whole": 3, 0: 2, 1: 3}
    assert keeper.epochs == [2, 3]
    assert tower.assigned == [fit_temperature(RIGHT, LABELS)[0]] * 2
    np.testing.assert_allclose(keeper.history["held_out"], np.sum(keeper.losses, axis=0))


def test_an_attribute_with_few_labels_keeps_the_epoch_that_is_best_for_the_others():
    few = np.concatenate([LABELS[:3], np.zeros((17, 3))])
    epochs = [[UNCLEAR, 9.0 * few], [RIGHT, few], [UNCLEAR, 9.0 * few]]
    tower, keeper = _train(epochs, [LABELS, few])
    assert (tower.kept, tower.assigned[1], keeper.losses[1]) == ({"whole": 2, 0: 2, 1: 2}, 1.0, [])
    assert keeper.history["held_out"][1] == fit_temperature(RIGHT, LABELS)[1]


def test_what_gets_better_for_the_others_together_is_no_reason_to_go_on():
    few = np.zeros((20, 3))
    together = [[RIGHT, -RIGHT, few], [-RIGHT, RIGHT, few], [UNCLEAR, RIGHT, few]]
    tower, keeper = _train([*together, *together], [LABELS, LABELS, few], patience=1)
    assert keeper.epochs == [1, 2, 3]
    assert tower.epoch == 2


def test_somebody_must_have_a_say():
    with pytest.raises(ValueError, match=r"needs 20 held-out items .*Received: \[19\]"):
        HeldOutValues(_Tower.predict, [LABELS[:19]], 1)


def test_what_was_kept_before_training_diverged_is_gone_back_to():
    tower = _Tower([[RIGHT, UNCLEAR], [np.nan * RIGHT, RIGHT], [RIGHT, RIGHT]])
    for keeper in (HeldOutValues(_Tower.predict, [LABELS] * 2, 2), ChosenEpochs([1, 2])):
        keeper.set_model(tower)
        keeper.on_train_begin()
        tower.epoch = 0
        assert not keeper.has_kept
        keeper.on_epoch_end(0)
        assert keeper.has_kept == isinstance(keeper, HeldOutValues)
        keeper.diverged = True
        tower.epoch = 1
        keeper.on_epoch_end(1)
        keeper.on_train_end()
        assert tower.kept[0] == 1
    assert tower.kept == {"whole": 1, 0: 1, 1: 1}


def test_given_epochs_are_kept_and_training_is_not_stopped():
    tower = _run(_Tower([[RIGHT, RIGHT]] * 4), ChosenEpochs([3, 1]))
    assert (tower.epoch, tower.kept) == (3, {"whole": 3, 0: 3, 1: 1})


def test_logits_that_are_not_finite_end_the_phase_by_name():
    named = r"epoch 1; lower training\.content_learning_rate\. Received: logits that are not finite"
    with pytest.raises(FloatingPointError, match=named):
        _train([[np.nan * RIGHT]], [LABELS])
    lines = []
    keeper = HeldOutValues(_Tower.predict, [LABELS], 2, lines.append)
    tower = _run(_Tower([[RIGHT], [np.full((20, 3), np.inf)], [RIGHT]]), keeper)
    assert (tower.epoch, tower.kept) == (1, {"whole": 1, 0: 1})
    assert "in epoch 2; lower" in lines[0] and lines[0].endswith("best epoch before it is kept.")
