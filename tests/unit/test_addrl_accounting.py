"""What residual and memory know of values goes to the attributes, and no score with it."""

import dataclasses

import numpy as np
import pytest
from addrl_data import make_config

from addrl_keras import fit, training
from addrl_keras.accounting import _embed_known_values, account_to_attributes
from addrl_keras.attach import attach_items
from addrl_keras.catalogue import AttributeValues
from addrl_keras.content import compute_distributions
from addrl_keras.metrics.disentanglement import compute_probe_accuracy
from addrl_keras.probing import get_chunks, get_labels
from addrl_keras.recommender import Recommender
from addrl_keras.start import make_started_model
from benchmarks.disentanglement import hide
from benchmarks.fitted import take_items

USERS = [f"user {number:02d}" for number in range(12)]
# So small that nothing is left by the ridge, and chunks as wide as there are values.
EXACT = {"start": {"affinity_ridge": 1e-6}, "model": {"value_dim": 12}}


def make_leaky_model(planted, distributions=None, **parts):
    """A started model whose residual and memory know the values, as steps might have taught it."""
    config = make_config(**{**EXACT, **parts})
    if distributions is None:
        distributions, _ = compute_distributions(config, planted.catalogue, None)
    train = planted.interactions.train
    model = make_started_model(config, planted.catalogue, train, distributions)
    residual, generator = model.item_tower.residual.numpy(), np.random.default_rng(0)
    for part in distributions:
        residual += part @ generator.standard_normal((part.shape[1], residual.shape[1]))
    model.item_tower.residual.assign(residual)
    if model.memory is not None:
        # An item's memory is large where its brand comes late.
        late = 1.0 + distributions[2] @ np.arange(distributions[2].shape[1])
        model.memory.weight.assign(model.memory.weight.numpy() + 0.1 * late[:, None])
    return model


def sum_by_value(model, catalogue):
    """The largest sum over the items of a known value, of residual and memory."""
    values = _embed_known_values(model, catalogue)
    attributes = np.asarray(model.item_tower.compute_attributes())
    memory = model.memory.compute_matrix().toarray().T
    memory -= attributes @ model.memory.accounted.numpy().T
    parts = model.item_tower.residual.numpy(), memory
    return [np.abs(values.T @ part).max() for part in parts]


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"model": {"value_dim": 12, "memory_size": 0}},
        {"model": {"value_dim": 6, "user_embedding": True}},
        {"start": {"kind": "factored", "blend": (("item_knn", 1.0),), "side_information": ()}},
    ],
    ids=["both", "no memory", "narrow, embeddings of users", "factored"],
)
def test_no_score_changes_and_parts_still_add_up(planted, parts):
    model = make_leaky_model(planted, **parts)
    known = planted.interactions.known
    users = np.arange(known.shape[0])
    if model.user_tower.embedding is not None:
        noise = np.random.default_rng(1).standard_normal(model.user_tower.embedding.shape)
        model.user_tower.embedding.assign(noise)
    before, split = model.compute_scores(known, users), model.split_scores(known, users)
    account_to_attributes(model, planted.catalogue)
    np.testing.assert_allclose(model.compute_scores(known, users), before, rtol=1e-4, atol=2e-4)
    after = model.split_scores(known, users)
    np.testing.assert_allclose(after.sum(axis=1), before, rtol=1e-4, atol=2e-4)
    # The attributes have what comes after them no longer has.
    attributes = len(model.config.attributes)
    moved = (after - split)[:, :attributes].sum(axis=1)
    left = (split - after)[:, attributes:].sum(axis=1)
    assert np.abs(moved).max() > 0.1
    np.testing.assert_allclose(moved, left, rtol=1e-3, atol=1e-3)


def test_what_is_left_is_alike_for_every_value(planted):
    """The means over the items of a value, of residual and memory, are nought."""
    model = make_leaky_model(planted)
    assert min(sum_by_value(model, planted.catalogue)) > 1
    account_to_attributes(model, planted.catalogue)
    np.testing.assert_allclose(sum_by_value(model, planted.catalogue), 0.0, atol=1e-3)


def test_items_of_guessed_values_leave_little(planted):
    """They are in the means of their other values, with a part of what is accounted."""
    names = make_config().attribute_names
    guesses = []
    for name in names:
        known = planted.catalogue.values[name].distribution().toarray()
        known[known.sum(axis=1) == 0] = 1.0 / known.shape[1]
        guesses.append(known)
    model = make_leaky_model(planted, guesses)
    before = sum_by_value(model, planted.catalogue)
    account_to_attributes(model, planted.catalogue)
    after = sum_by_value(model, planted.catalogue)
    assert max(np.divide(after, before)) < 0.1


def test_a_value_that_no_item_is_known_to_have_gets_nothing(planted):
    values = planted.catalogue.values
    brand = values["brand"].matrix.tolil()
    brand[:, 4] = 0.0
    changed = AttributeValues(values["brand"].names, brand.tocsr())
    without = dataclasses.replace(planted.catalogue, values={**values, "brand": changed})
    model = make_leaky_model(dataclasses.replace(planted, catalogue=without))
    query = model.user_tower.query.numpy()
    account_to_attributes(model, without)
    place = sum(model.chunk_dims[:2]) + 4
    np.testing.assert_array_equal(model.user_tower.query.numpy()[:, place], query[:, place])
    np.testing.assert_array_equal(model.memory.accounted.numpy()[:, place], 0.0)


@pytest.mark.parametrize("chunk", ["residual", "memory"])
def test_a_linear_probe_finds_no_more_of_items_that_were_not_accounted_by(planted, chunk):
    """What is accounted by half of the items, five a value, holds of the others by and large."""
    before, after, guessed = [], [], []
    for seed in range(16):
        model = make_leaky_model(planted)
        genre = model.item_tower.distributions[1].numpy()
        model.memory.source.assign(np.tile(np.arange(8), (len(genre), 1)))
        generator = np.random.default_rng(seed)
        said, noise = (generator.standard_normal((size, 8)) for size in (4, len(genre)))
        model.memory.weight.assign(2.0 * genre @ said + noise)
        first, unseen = hide(planted.catalogue, seed, share=0.5)
        labels = get_labels(model.config, planted.catalogue)["genre"]
        others = np.full(len(labels), -1)
        others[unseen] = labels[unseen]
        before.append(compute_probe_accuracy(get_chunks(model)[chunk], others, seed=seed)[0])
        account_to_attributes(model, first)
        told, guess = compute_probe_accuracy(get_chunks(model)[chunk], others, seed=seed)
        after.append(told)
        guessed.append(guess)
    # 14 items teach the probe and 6 judge it.
    known, left = (np.nanmean(part) - np.nanmean(guessed) for part in (before, after))
    assert known > 0.3
    assert left < known / 3


def test_a_ridge_leaves_what_few_items_say(planted):
    sums = []
    for ridge in (1e-6, 1.0, 100.0):
        model = make_leaky_model(planted, start={"affinity_ridge": ridge})
        account_to_attributes(model, planted.catalogue)
        sums.append(sum_by_value(model, planted.catalogue)[0])
    assert sums[0] < 1e-3 < sums[1] < sums[2]


def test_a_fit_ends_with_it(planted, monkeypatch):
    """Whatever the steps have moved; and the weights that hold a list are chosen on it."""
    seen = []

    def choose(model, *_):
        seen.append(model.memory.accounted.numpy())
        return np.ones((3, 5), np.float32)

    monkeypatch.setattr(training, "choose_hold_weights", choose)
    for start in ("closed_form", "random"):
        config = make_config(start={"kind": start}, training={"epochs": 2, "content_epochs": 1})
        model = fit(config, planted.catalogue, planted.interactions).model
        assert np.abs(seen.pop()).max() > 0
        with monkeypatch.context() as patch:
            patch.setattr(training, "account_to_attributes", lambda *_: None)
            raw = fit(config, planted.catalogue, planted.interactions).model
        seen.clear()
        accounted = sum_by_value(model, planted.catalogue)
        assert max(np.divide(accounted, sum_by_value(raw, planted.catalogue))) < 0.5, start
        known = planted.interactions.known
        np.testing.assert_allclose(
            model.compute_scores(known), raw.compute_scores(known), rtol=1e-3, atol=1e-3
        )


class TestServed:
    """The served split is the model's, under weights and wishes too."""

    @pytest.fixture(scope="class")
    def recommender(self, fitted):
        return Recommender(fitted)

    def test_the_memory_has_a_share(self, fitted):
        assert np.abs(fitted.model.memory.accounted.numpy()).max() > 0

    @pytest.mark.parametrize("memory", [0.0, 1.0, 3.0])
    def test_weights_multiply_the_parts(self, planted, fitted, recommender, memory):
        weights = np.array([2.0, 0.0, 1.0, 0.5, memory], np.float32)
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

    def test_equal_weights_are_the_score_without_any(self, fitted, recommender):
        items = [list(fitted.catalogue.item_ids)] * len(USERS)
        plain = np.asarray(recommender.score(USERS, items)["scores"])
        for weight in (1.0, 2.0):
            outputs = recommender.recommend(
                USERS,
                k=len(items[0]),
                exclude_seen=False,
                attribute_weights=np.full((len(USERS), 5), weight, np.float32),
            )
            best = weight * -np.sort(-plain, axis=1)
            np.testing.assert_array_equal(outputs["scores"], best)

    def test_past_items_add_up_to_every_chunk(self, planted, fitted, recommender):
        outputs = recommender.explain(["user 03"], item_id=["item 07"])
        past = np.asarray(outputs["evidence_contributions"])[0]
        np.testing.assert_allclose(past.sum(axis=0), outputs["contributions"][0], atol=1e-5)
        parts = fitted.model.split_scores(planted.interactions.known[3:4])[0, :, 7]
        np.testing.assert_allclose(outputs["contributions"][0], parts, atol=1e-5)

    def test_under_a_wish_past_items_and_the_wish_add_up(self, recommender):
        asked = {
            "attribute_weights": [[1.0, 2.0, 1.0, 1.0, 0.5]],
            "attribute_targets": [["genre=comedy"]],
            "hold_weights": [[2.0, 1.0, 1.5, 1.0, 0.5]],
        }
        found = recommender.recommend(["user 03"], k=40, exclude_seen=False, **asked)
        place = np.asarray(found["item_ids"])[0].tolist().index(b"item 07")
        outputs = recommender.explain(["user 03"], item_id=["item 07"], **asked)
        contributions = np.asarray(outputs["contributions"])[0]
        np.testing.assert_allclose(contributions, found["contributions"][0, place], atol=1e-5)
        past = np.asarray(outputs["evidence_contributions"])[0].sum(axis=0)
        wish = np.asarray(outputs["target_contributions"])[0]
        np.testing.assert_allclose(past + wish, contributions, atol=1e-5)

    def test_who_has_no_history_has_the_prior_alone(self, recommender):
        outputs = recommender.recommend(
            ["nobody"], k=3, attribute_weights=[[2.0, 2.0, 2.0, 1.0, 5.0]]
        )
        contributions = np.asarray(outputs["contributions"])[0]
        np.testing.assert_array_equal(contributions[:, [0, 1, 2, 4]], 0.0)
        np.testing.assert_allclose(contributions[:, 3], outputs["scores"][0], rtol=1e-6)


def test_items_that_are_added_add_up_too(planted, fitted):
    """Their memory is not accounted; nothing that was there changes."""
    new = take_items(planted.catalogue, np.array([1, 2]))
    larger = attach_items(fitted, dataclasses.replace(new, item_ids=("new a", "new b")))
    before, after = (each.model.memory.accounted.numpy() for each in (fitted, larger))
    np.testing.assert_array_equal(after[: len(before)], before)
    np.testing.assert_array_equal(after[len(before) :], 0.0)
    recommender = Recommender(larger)
    weights = [[2.0, 0.5, 1.0, 1.0, 3.0]]
    for history in (["item 03", "item 09"], ["item 03", "new b"]):
        outputs = recommender.explain(
            ["x"], item_id=["new a"], history_ids=[history], attribute_weights=weights
        )
        past = np.asarray(outputs["evidence_contributions"])[0].sum(axis=0)
        np.testing.assert_allclose(past, outputs["contributions"][0], atol=1e-5)
        best = recommender.recommend(
            ["x"], k=42, exclude_seen=False, history_ids=[history], attribute_weights=weights
        )
        place = np.asarray(best["item_ids"])[0].tolist().index(b"new a")
        np.testing.assert_allclose(best["scores"][0, place], past.sum(), atol=1e-4)
