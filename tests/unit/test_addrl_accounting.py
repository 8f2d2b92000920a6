"""What residual and memory know of values goes to the attributes, and no score with it."""

import numpy as np
import pytest
from addrl_data import make_config

from addrl_keras import fit
from addrl_keras.accounting import account_to_attributes, embed_known_values
from addrl_keras.attach import attach_items
from addrl_keras.probing import get_chunks, get_labels, probe_all
from addrl_keras.recommender import Recommender
from addrl_keras.start import make_started_model
from benchmarks.fitted import take_items

USERS = [f"user {number:02d}" for number in range(12)]
# So small that nothing is left by the ridge, and chunks as wide as there are values.
EXACT = {"start": {"affinity_ridge": 1e-6}, "model": {"value_dim": 12}}


def make_leaky_model(planted, **parts):
    """A started model whose residual and memory know the values, as steps might have taught it."""
    config = make_config(**{**EXACT, **parts})
    values = planted.catalogue.values
    known = [values[name].distribution().toarray() for name in config.attribute_names]
    train = planted.interactions.train
    model = make_started_model(config, planted.catalogue, train, known)
    residual, generator = model.item_tower.residual.numpy(), np.random.default_rng(0)
    for part in known:
        residual += part @ generator.standard_normal((part.shape[1], residual.shape[1]))
    model.item_tower.residual.assign(residual)
    if model.memory is not None:
        # An item's memory is large where its brand comes late.
        late = 1.0 + known[2] @ np.arange(known[2].shape[1])
        model.memory.weight.assign(model.memory.weight.numpy() + 0.1 * late[:, None])
        model.memory.affinity.assign(np.zeros(model.memory.affinity.shape))
    return model


@pytest.mark.parametrize("memory_size", [0, 8])
def test_no_score_changes_and_parts_still_add_up(planted, memory_size):
    model = make_leaky_model(planted, model={**EXACT["model"], "memory_size": memory_size})
    known = planted.interactions.known
    before, parts = model.compute_scores(known), model.split_scores(known)
    account_to_attributes(model, planted.catalogue)
    np.testing.assert_allclose(model.compute_scores(known), before, rtol=1e-4, atol=1e-4)
    after = model.split_scores(known)
    np.testing.assert_allclose(after.sum(axis=1), before, rtol=1e-4, atol=1e-4)
    # The attributes say more than before, what comes after them less.
    assert np.abs(after - parts).max() > 0.1
    attributes = len(model.config.attributes)
    moved = (after - parts)[:, :attributes].sum(axis=1)
    left = (parts - after)[:, attributes:].sum(axis=1)
    np.testing.assert_allclose(moved, left, rtol=1e-3, atol=1e-3)


def test_what_is_left_is_alike_for_every_value(planted):
    """The means of the items of a value, of residual and memory, are nought."""
    model = make_leaky_model(planted)
    values = embed_known_values(model, planted.catalogue)

    attributes = np.asarray(model.item_tower.compute_attributes())

    def sum_up():
        memory = model.memory.compute_matrix().toarray().T
        memory -= attributes @ model.memory.affinity.numpy().T
        parts = model.item_tower.residual.numpy(), memory
        return [np.abs(values.T @ part).max() for part in parts]

    before = sum_up()
    account_to_attributes(model, planted.catalogue)
    assert min(before) > 1
    np.testing.assert_allclose(sum_up(), 0.0, atol=1e-3)


def test_a_linear_probe_finds_nothing_where_it_found_the_value(planted):
    """Of genre, which has enough items a value to be judged on."""
    model = make_leaky_model(planted)
    labels = {"genre": get_labels(model.config, planted.catalogue)["genre"]}
    before = [probe_all(get_chunks(model)["residual"], labels, seed)["genre"] for seed in range(5)]
    account_to_attributes(model, planted.catalogue)
    after = [probe_all(get_chunks(model)["residual"], labels, seed)["genre"] for seed in range(5)]
    assert np.mean(before) > 0.6
    assert np.mean(after) < 0.25  # One of four, and no item is on both sides of the split.


def test_a_ridge_leaves_what_few_items_say(planted):
    sums = []
    for ridge in (1e-6, 1.0, 100.0):
        model = make_leaky_model(planted, start={"affinity_ridge": ridge})
        account_to_attributes(model, planted.catalogue)
        known = embed_known_values(model, planted.catalogue)
        sums.append(float(np.abs(known.T @ model.item_tower.residual.numpy()).mean()))
    assert sums[0] < 1e-3 < sums[1] < sums[2]


def test_done_again_nothing_changes(planted):
    model = make_leaky_model(planted)
    account_to_attributes(model, planted.catalogue)
    once = [weight.numpy() for weight in model.weights]
    account_to_attributes(model, planted.catalogue)
    for weight, before in zip(model.weights, once, strict=True):
        np.testing.assert_allclose(weight.numpy(), before, atol=1e-3)


def test_training_ends_with_it(planted, monkeypatch):
    """Also where every epoch moves residual and memory, and the start is random."""
    for start in ("closed_form", "random"):
        config = make_config(start={"kind": start}, training={"epochs": 2, "content_epochs": 1})
        model = fit(config, planted.catalogue, planted.interactions).model
        residual, affinity = model.item_tower.residual.numpy(), model.memory.affinity.numpy()
        account_to_attributes(model, planted.catalogue)
        assert np.abs(affinity).max() > 0
        np.testing.assert_allclose(model.memory.affinity.numpy(), affinity, atol=1e-5)
        moved = np.abs(model.item_tower.residual.numpy() - residual).max()
        assert moved < 0.2 * np.abs(residual).max(), start


class TestServed:
    """The served split is the model's, under weights and wishes too."""

    @pytest.fixture(scope="class")
    def recommender(self, fitted):
        return Recommender(fitted)

    def test_the_memory_has_a_share(self, fitted):
        assert np.abs(fitted.model.memory.affinity.numpy()).max() > 0

    def test_weights_multiply_the_parts(self, planted, fitted, recommender):
        weights = np.array([2.0, 0.0, 1.0, 0.5, 3.0], np.float32)
        parts = fitted.model.split_scores(planted.interactions.known)[: len(USERS)]
        outputs = recommender.recommend(
            USERS,
            k=fitted.catalogue.num_items,
            exclude_seen=False,
            attribute_weights=np.tile(weights, (len(USERS), 1)),
        )
        expected = (parts * weights[:, None]).sum(axis=1)
        best = -np.sort(-expected, axis=1)
        np.testing.assert_allclose(outputs["scores"], best, atol=1e-4)
        total = np.sum(outputs["contributions"], axis=-1)
        np.testing.assert_allclose(total, outputs["scores"], atol=1e-5)
        mean = (parts * weights[:, None]).mean(axis=2)
        np.testing.assert_allclose(outputs["average_contributions"], mean, atol=1e-4)

    def test_equal_weights_change_no_bit(self, recommender):
        plain = recommender.recommend(USERS, k=10)
        ones = np.ones((len(USERS), 5), np.float32)
        weighed = recommender.recommend(USERS, k=10, attribute_weights=ones)
        np.testing.assert_array_equal(plain["scores"], weighed["scores"])
        np.testing.assert_array_equal(plain["item_ids"], weighed["item_ids"])

    def test_past_items_add_up_to_every_chunk(self, planted, fitted, recommender):
        outputs = recommender.explain(["user 03"], item_id=["item 07"])
        past = np.asarray(outputs["evidence_contributions"])[0]
        np.testing.assert_allclose(past.sum(axis=0), outputs["contributions"][0], atol=1e-5)
        parts = fitted.model.split_scores(planted.interactions.known[3:4])[0, :, 7]
        np.testing.assert_allclose(outputs["contributions"][0], parts, atol=1e-5)


def test_items_that_are_added_leave_it_as_it_is(planted, fitted):
    rows = np.array([1, 2])
    new = take_items(planted.catalogue, rows)
    new = type(new)(("new a", "new b"), new.values, new.features)
    larger = attach_items(fitted, new).model
    before = fitted.model.memory.affinity.numpy()
    np.testing.assert_array_equal(larger.memory.affinity.numpy()[: len(before)], before)
    np.testing.assert_array_equal(larger.memory.affinity.numpy()[len(before) :], 0.0)
