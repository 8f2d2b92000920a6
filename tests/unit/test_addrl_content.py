"""The content side: masks, what it fills in, and each loss switched off alone."""

import dataclasses

import numpy as np
import pytest
from addrl_data import NO_CONTENT, NO_PEOPLE, NO_TITLE, NUM_ITEMS, make_config

from addrl_keras.catalogue import AttributeValues
from addrl_keras.content import (
    ContentTower,
    ItemBatches,
    compute_distributions,
    fit_content_tower,
)

NUM_VALUES = (3, 4, 12)


@pytest.fixture(scope="module")
def features(planted):
    return [planted.catalogue.features[name].toarray() for name in ("title", "people")]


@pytest.fixture(scope="module")
def labels(planted):
    names = make_config().attribute_names
    return [planted.catalogue.values[name].distribution().toarray() for name in names]


@pytest.fixture(scope="module")
def trained(planted):
    return fit_content_tower(make_config(training={"content_epochs": 40}), planted.catalogue)


def test_outputs_have_the_documented_shapes(features):
    outputs = ContentTower(make_config(), NUM_VALUES)(features)
    assert [x.shape for x in outputs["logits"]] == [(NUM_ITEMS, size) for size in NUM_VALUES]
    assert outputs["weights"].shape == (NUM_ITEMS, 4, 2)
    assert outputs["chunks"].shape == (NUM_ITEMS, 2, 4, 6)
    assert outputs["present"].shape == (NUM_ITEMS, 2)


def test_a_missing_modality_has_no_weight(trained, features):
    weights = np.asarray(trained[0](features)["weights"])
    assert not weights[list(NO_TITLE), :, 0].any()
    assert not weights[list(NO_PEOPLE), :, 1].any()
    assert not weights[NO_CONTENT].any()
    np.testing.assert_allclose(np.delete(weights, NO_CONTENT, axis=0).sum(axis=2), 1.0, atol=1e-5)


def test_a_modality_weighs_as_its_chunk_is_long(planted, features):
    tower = ContentTower(make_config(model={"fusion": "uniform"}), NUM_VALUES)
    title, people = features
    tower(features)
    tower.projections[0].kernel.assign(2.0 * tower.projections[0].kernel)
    both = [0, 1]
    lengths = [
        np.linalg.norm(projection(part[both]), axis=-1)
        for projection, part in zip(tower.projections, (title, people), strict=True)
    ]
    weights = np.asarray(tower([title[both], people[both]])["weights"])
    np.testing.assert_allclose(weights, np.stack(lengths, -1) / sum(lengths)[..., None], rtol=1e-4)


def test_the_temperatures_divide_the_logits(features):
    tower = ContentTower(make_config(), NUM_VALUES)
    before = tower(features)["logits"]
    tower.temperatures.assign([2.0, 0.5, 3.0])
    for one, other, temperature in zip(
        before, tower(features)["logits"], (2.0, 0.5, 3.0), strict=True
    ):
        np.testing.assert_allclose(np.asarray(one) / temperature, other, rtol=1e-5)


def test_the_weights_learn_which_modality_tells_an_attribute(trained, features):
    both = np.delete(np.arange(NUM_ITEMS), [*NO_TITLE, *NO_PEOPLE])
    title = np.asarray(trained[0](features)["weights"])[both, :, 0].mean(axis=0)
    genre, brand = 1, 2
    assert title[genre] > title[brand]


def test_losses_fall_and_are_recorded_for_every_epoch(trained):
    history = trained[1]["content"]
    assert set(history) == {"intra", "inter", "value", "loss"}
    for values in history.values():
        assert len(values) == 40
    assert history["loss"][-1] < 0.5 * history["loss"][0]


def test_a_pass_over_a_small_catalogue_has_several_steps(planted):
    config = make_config(training={"item_batch_size": 10 * NUM_ITEMS, "content_epochs": 3})
    tower, _ = fit_content_tower(config, planted.catalogue)
    assert int(tower.optimizer.iterations) == 3 * 4


@pytest.fixture
def few_are_enough(monkeypatch):
    monkeypatch.setattr("addrl_keras.content._FEWEST_HELD_OUT", 10)
    monkeypatch.setattr("addrl_keras.calibration.FEWEST_LABELS", 5)
    monkeypatch.setattr("addrl_keras.content.FEWEST_LABELS", 5)


@pytest.mark.parametrize("fusion", ["attention", "uniform"])
def test_an_attributes_weights_are_set_and_no_other_moves(features, fusion):
    tower, other = (
        ContentTower(make_config(model={"fusion": fusion}, training={"seed": seed}), NUM_VALUES)
        for seed in (0, 1)
    )
    before, wanted = tower(features)["logits"], other(features)["logits"]
    tower.set_attribute_weights(1, other.get_attribute_weights(1))
    for k, logits in enumerate(tower(features)["logits"]):
        np.testing.assert_allclose(logits, (wanted if k == 1 else before)[k], atol=1e-5)
    with pytest.raises(ValueError, match=r"attribute 2 have the shapes .*Received: \[\("):
        tower.set_attribute_weights(2, other.get_attribute_weights(1))


def test_an_attribute_learns_as_if_it_were_alone(planted):
    """With `value` alone no weight belongs to two attributes, and nothing else ties them."""

    def learn(name):
        losses = {"intra": 0.0, "inter": 0.0, "value": 1.0}
        config = make_config(losses=losses, training={"content_epochs": 4})
        catalogue = dataclasses.replace(
            planted.catalogue,
            values={
                each: values if name in (None, each) else _forget(values)
                for each, values in planted.catalogue.values.items()
            },
        )
        return fit_content_tower(config, catalogue)[0]

    together, alone = learn(None), learn("genre")
    _assert_same_attribute(together, alone, 1)


def _forget(values):
    return AttributeValues(values.names, 0 * values.matrix)


def _assert_same_attribute(one, other, attribute):
    pairs = (tower.get_attribute_weights(attribute) for tower in (one, other))
    for weight, same in zip(*pairs, strict=True):
        np.testing.assert_allclose(weight, same, atol=1e-5)


def test_each_attribute_goes_back_to_the_epoch_that_told_its_held_out_values_best(
    planted, few_are_enough
):
    losses = {"intra": 0.0, "inter": 0.0, "value": 1.0}
    training = {"content_held_out": 0.4, "content_epochs": 12, "refit": False}
    config = make_config(losses=losses, training=training)
    tower, history = fit_content_tower(config, planted.catalogue)
    held_out = history["content_held_out"]
    best = {name: int(np.argmin(values)) + 1 for name, values in held_out.items()}
    assert list(best) == ["year", "genre", "brand"]
    assert len(set(best.values())) > 1
    np.testing.assert_allclose(
        history["content"]["held_out"], np.sum(list(held_out.values()), axis=0), rtol=1e-6
    )
    quickest = min(best, key=best.get)
    shorter = {**training, "content_epochs": best[quickest]}
    again, _ = fit_content_tower(make_config(losses=losses, training=shorter), planted.catalogue)
    _assert_same_attribute(tower, again, list(best).index(quickest))


def test_the_refit_trains_on_all_items_for_the_chosen_numbers_of_epochs(planted, few_are_enough):
    lines = []
    training = {"content_held_out": 0.4, "content_patience": 1}
    tower, history = fit_content_tower(
        make_config(training=training), planted.catalogue, lines.append
    )
    best = {
        name: int(np.argmin(values)) + 1 for name, values in history["content_held_out"].items()
    }
    most = max(best.values())
    assert lines[-1].startswith(f"content refit: epoch {most} of {most}, ")
    assert f"epochs kept: year {best['year']}, genre {best['genre']}, " in "".join(lines)
    assert "held_out" in lines[0]
    chosen, _ = fit_content_tower(
        make_config(training={**training, "refit": False}), planted.catalogue
    )
    temperatures = np.asarray(tower.temperatures)
    np.testing.assert_allclose(temperatures, np.asarray(chosen.temperatures), rtol=1e-5)
    assert (temperatures != 1.0).any()
    for k, epochs in enumerate(best.values()):
        without = {"content_held_out": 0.0, "content_epochs": epochs}
        whole, _ = fit_content_tower(make_config(training=without), planted.catalogue)
        _assert_same_attribute(tower, whole, k)


def test_nothing_is_held_out_where_nothing_is_asked_for_or_values_are_not_learnt(
    planted, few_are_enough
):
    for changes in (
        {"training": {"content_held_out": 0.0}},
        {"training": {"content_epochs": 0}},
        {"losses": {"value": 0.0}},
    ):
        config = make_config(**changes)
        tower, history = fit_content_tower(config, planted.catalogue)
        assert history["content_held_out"] == {}
        if not config.training.content_epochs:
            assert history["content"] == {}
            continue
        terms = {"intra", "inter", "value", "loss"} - ({"value"} if "losses" in changes else set())
        assert set(history["content"]) == terms
        assert len(history["content"]["loss"]) == config.training.content_epochs
        np.testing.assert_array_equal(np.asarray(tower.temperatures), 1.0)


def test_known_values_stay_and_missing_ones_are_predicted(planted, trained, labels):
    distributions, weights = compute_distributions(make_config(), planted.catalogue, trained[0])
    for name, part, label in zip(("year", "genre", "brand"), distributions, labels, strict=True):
        known = planted.catalogue.values[name].known
        np.testing.assert_array_equal(part[known], label[known])
        filled = np.delete(np.flatnonzero(~known), np.flatnonzero(np.flatnonzero(~known) == 39))
        np.testing.assert_allclose(part[filled].sum(axis=1), 1.0, atol=1e-5)
        assert (part[filled] > 0).all()
    assert weights.shape == (NUM_ITEMS, 3, 2)
    # Item 6 says its genre in its title alone: the prediction is right.
    assert distributions[1][6].argmax() in np.flatnonzero(planted.genres[6])


def test_an_item_without_content_and_value_stays_unknown(planted, trained):
    distributions, weights = compute_distributions(make_config(), planted.catalogue, trained[0])
    assert not planted.catalogue.values["genre"].known[NO_CONTENT]
    assert not distributions[1][NO_CONTENT].any()
    assert not weights[NO_CONTENT].any()


def test_brands_are_predicted_better_than_by_chance(planted, trained):
    distributions, _ = compute_distributions(make_config(), planted.catalogue, trained[0])
    missing = np.flatnonzero(~planted.catalogue.values["brand"].known)
    assert len(missing) == 10
    right = distributions[2][missing].argmax(axis=1) == planted.brand[missing]
    assert right.mean() >= 0.5


def test_terms_are_blind_to_what_is_missing(features, labels):
    tower = ContentTower(make_config(), NUM_VALUES)
    terms = tower.compute_terms(features, labels, training=False)
    without = [np.delete(part, NO_CONTENT, axis=0) for part in features]
    known = [np.delete(part, NO_CONTENT, axis=0) for part in labels]
    again = tower.compute_terms(without, known, training=False)
    for name in ("intra", "inter"):
        assert float(terms[name]) == pytest.approx(float(again[name]), rel=1e-5)


@pytest.mark.parametrize("kept", ["intra", "inter", "value"])
def test_a_weight_of_zero_switches_a_term_off(features, labels, kept):
    """With one term left, only the weights that this term depends on may move."""
    import keras

    weights = {"intra": 0.0, "inter": 0.0, "value": 0.0, kept: 1.0}
    tower = ContentTower(make_config(losses=weights), NUM_VALUES)
    tower(features)
    tower.compile(optimizer=keras.optimizers.SGD(1.0))
    before = {weight.path: weight.numpy() for weight in tower.trainable_variables}
    figures = tower.train_step((features, labels))
    assert float(figures["loss"]) == pytest.approx(float(figures[kept]), rel=1e-6)
    moved = {
        weight.path.split("/")[1]
        for weight in tower.trainable_variables
        if np.any(weight.numpy() != before[weight.path])
    }
    expected = {
        "intra": {"title_chunks", "people_chunks", "title_classifier", "people_classifier"},
        "inter": {"title_chunks", "people_chunks"},
        "value": {"title_chunks", "people_chunks", "fusion", "value_heads"},
    }
    assert moved == expected[kept]


def test_no_losses_or_no_content_need_no_tower(planted):
    off = {"intra": 0.0, "inter": 0.0, "value": 0.0}
    assert fit_content_tower(make_config(losses=off), planted.catalogue) == (
        None,
        {"content": {}, "content_held_out": {}},
    )
    with pytest.raises(ValueError, match="at least one modality beside `id`"):
        ContentTower(_without_content(), NUM_VALUES)


def _without_content():
    config = make_config(start={"side_information": ()})
    return dataclasses.replace(config, modalities=config.modalities[:1])


def test_without_a_tower_missing_values_stay_unknown(planted, labels):
    distributions, weights = compute_distributions(make_config(), planted.catalogue, None)
    for part, label in zip(distributions, labels, strict=True):
        np.testing.assert_array_equal(part, label)
    assert not weights.any()


def test_heads_that_were_not_trained_fill_nothing_in(planted, trained, labels):
    config = make_config(losses={"value": 0.0})
    distributions, _ = compute_distributions(config, planted.catalogue, trained[0])
    for part, label in zip(distributions, labels, strict=True):
        np.testing.assert_array_equal(part, label)


def test_a_single_modality_has_no_inter_term(planted, labels):
    config = make_config()
    config = dataclasses.replace(config, modalities=config.modalities[:2])
    tower = ContentTower(config, NUM_VALUES)
    terms = tower.compute_terms(
        [planted.catalogue.features["title"].toarray()], labels, training=False
    )
    assert float(terms["inter"]) == 0.0
    assert float(terms["value"]) > 0.0


def test_what_was_kept_before_the_phase_diverged_is_used(planted, few_are_enough, monkeypatch):
    lines = []

    def diverge(self, epoch, logs=None):
        if epoch == 1:
            self.model.projections[0].kernel.assign(np.nan * self.model.projections[0].kernel)

    monkeypatch.setattr("addrl_keras.callbacks.Lines.on_epoch_begin", diverge)
    config = make_config(training={"content_held_out": 0.4, "content_epochs": 4, "refit": False})
    tower, history = fit_content_tower(config, planted.catalogue, lines.append)
    assert any("The content phase diverged" in line for line in lines)
    assert all(np.isfinite(weight).all() for weight in tower.get_weights())
    assert {len(losses) for losses in history["content_held_out"].values()} == {1}


def test_a_diverging_phase_stops_with_its_name(planted):
    config = make_config(training={"content_learning_rate": 1e30, "content_epochs": 5})
    with pytest.raises(FloatingPointError, match=r"content phase .*lower training\.content_learn"):
        fit_content_tower(config, planted.catalogue)


def test_batches_hold_every_item_once_and_are_reshuffled(planted, labels):
    features = [planted.catalogue.features["title"]]
    rows = [np.eye(NUM_ITEMS, dtype=np.float32)]
    batches = ItemBatches(features, rows, np.arange(NUM_ITEMS), batch_size=16, seed=0)
    assert len(batches) == 3

    def order():
        return np.concatenate([batches[i][1][0].argmax(axis=1) for i in range(3)])

    first = order()
    assert sorted(first) == list(range(NUM_ITEMS))
    batches.on_epoch_end()
    assert sorted(order()) == list(range(NUM_ITEMS))
    assert (order() != first).any()
    again = ItemBatches(features, rows, np.arange(NUM_ITEMS), batch_size=16, seed=0)
    np.testing.assert_array_equal(again[0][0][0], features[0][first[:16]].toarray())
