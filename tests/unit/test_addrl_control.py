"""Control: its measures in closed form, its properties on any model, and the weights that hold."""

import dataclasses

import numpy as np
import pytest
import scipy.sparse
import tensorflow as tf
from addrl_data import NUM_ITEMS, NUM_USERS, make_config
from hypothesis import given, settings
from hypothesis import strategies as st

from addrl_keras import Recommender, hold
from addrl_keras.hold import WEIGHTS, Wish, choose_hold_weights, make_wishes, measure
from addrl_keras.layers.retrieval import AttributeTopK
from addrl_keras.metrics import control


def _csr(rows):
    return scipy.sparse.csr_matrix(np.asarray(rows, np.float32))


class TestMeasures:
    def test_short_lists_and_items_without_a_value_do_not_count(self):
        labels = _csr([[1, 0], [0, 1], [1, 1], [0, 0]])
        ranked = np.array([[0, 2, 3], [1, -1, -1], [3, -1, -1]])
        found = control.compute_value_distribution(ranked, labels)
        np.testing.assert_allclose(found, [[2 / 3, 1 / 3], [0, 1], [0, 0]])

    def test_a_wish_implies_what_goes_with_it(self):
        # Of five items LEGO makes three: two to build with and one to drive.
        makers = _csr([[1, 0], [1, 0], [1, 0], [0, 1], [0, 1]])
        kinds = _csr([[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1]])
        before = np.array([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])
        wanted = np.array([0, 0])

        def imply(*shares):
            return control.compute_implied_distribution(
                before, wanted, makers, kinds, np.array(shares)
            )

        # P(LEGO | kind) is 1, 1/2 and 0; of a list that has none of it, what LEGO makes.
        np.testing.assert_allclose(imply(1, 1), [[2 / 3, 1 / 3, 0], [2 / 3, 1 / 3, 0]])
        # What is not of LEGO stays as it was, less the kinds that LEGO makes.
        np.testing.assert_allclose(imply(0, 0), [[0, 1, 0], [0, 0, 1]])
        np.testing.assert_allclose(imply(0.5, 0.5).sum(axis=1), 1)

    def test_a_wanted_value_is_one_of_an_item_to_be_found(self):
        labels = _csr([[1, 0, 1], [0, 1, 0], [0, 0, 0]])
        relevant = _csr([[1, 0, 0], [0, 1, 1], [0, 0, 1]])
        chosen = [control.choose_wanted(labels, relevant, seed).tolist() for seed in range(20)]
        assert {row[0] for row in chosen} == {0, 2}
        assert {tuple(row[1:]) for row in chosen} == {(1, -1)}


@st.composite
def _scored(draw):
    """A batch of one user, a few items, and chunks of one or two numbers."""
    dims = draw(st.lists(st.integers(1, 2), min_size=2, max_size=4))
    count = draw(st.integers(2, 12))
    # Quarters add up without rounding, so that equal scores are equal.
    numbers = st.integers(-8, 8).map(lambda number: number / 4)

    def array(*shape):
        size = int(np.prod(shape))
        values = draw(st.lists(numbers, min_size=size, max_size=size))
        return np.array(values, np.float32).reshape(shape)

    return tuple(dims), array(1, sum(dims)), array(count, sum(dims)), draw(st.integers(0, 9))


class TestProperties:
    @settings(max_examples=60, deadline=None)
    @given(_scored(), st.sampled_from(["dot", "softplus"]))
    def test_weights_of_one_are_the_identity_bit_for_bit(self, scored, kind):
        dims, query, items, _ = scored
        index = AttributeTopK(dims, kind=kind).index(items)
        ones = tf.ones((1, len(dims)))
        np.testing.assert_array_equal(
            index.compute_scores(query, ones), index.compute_scores(query)
        )

    @settings(max_examples=60, deadline=None)
    @given(_scored(), st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([0.25, 1.0, 4.0]))
    def test_who_leads_on_an_attribute_never_falls_when_its_weight_rises(self, scored, low, more):
        """The leader gains `more * c` and nobody gains more, so nobody can pass it."""
        dims, query, items, number = scored
        index = AttributeTopK(dims).index(items)
        chunk = number % len(dims)
        all_items = tf.range(len(items))[None]
        leader = int(np.argmax(index.compute_contributions(query, all_items)[0, :, chunk]))

        def rank(weight):
            weights = np.ones((1, len(dims)), np.float32)
            weights[0, chunk] = weight
            scores = index.compute_scores(query, tf.constant(weights)).numpy()[0]
            return (scores > scores[leader]).sum()

        assert rank(low + more) <= rank(low)

    @settings(max_examples=60, deadline=None)
    @given(_scored())
    def test_a_weight_of_zero_leaves_a_chunk_without_influence(self, scored):
        dims, query, items, number = scored
        chunk = number % len(dims)
        columns = slice(sum(dims[:chunk]), sum(dims[: chunk + 1]))
        weights = np.ones((1, len(dims)), np.float32)
        weights[0, chunk] = 0.0
        changed = items.copy()
        changed[:, columns] = -3 * items[::-1, columns]
        first, second = (
            AttributeTopK(dims).index(part).compute_scores(query, tf.constant(weights))
            for part in (items, changed)
        )
        np.testing.assert_array_equal(first, second)

    @settings(max_examples=20, deadline=None)
    @given(user=st.integers(0, NUM_USERS - 1), item=st.integers(0, NUM_ITEMS - 1))
    def test_reasons_add_up_both_ways(self, recommender, user, item):
        """Over chunks to the score, over past items to each chunk, over both to the score."""
        outputs = recommender.explain([f"user {user:02d}"], item_id=[f"item {item:02d}"])
        score, parts = float(outputs["score"][0]), np.asarray(outputs["contributions"])[0]
        past = np.asarray(outputs["evidence_contributions"])[0]
        assert parts.sum() == pytest.approx(score, abs=1e-5)
        np.testing.assert_allclose(past.sum(axis=0), parts, atol=1e-5)
        assert past.sum(axis=1).sum() == pytest.approx(score, abs=1e-5)
        scored = recommender.score([f"user {user:02d}"], [[f"item {item:02d}"]])["scores"]
        assert float(scored[0, 0]) == pytest.approx(score, abs=1e-5)

    @settings(max_examples=15, deadline=None)
    @given(user=st.integers(0, NUM_USERS - 1), low=st.floats(0, 3), more=st.floats(0.1, 3))
    def test_more_strength_never_takes_a_wanted_value_out_of_a_list(
        self, planted, recommender, user, low, more
    ):
        """Items of the value all gain the same, and those without it nothing."""
        shares = []
        for strength in (low, low + more):
            outputs = recommender.recommend(
                [f"user {user:02d}"],
                k=10,
                exclude_seen=False,
                attribute_targets=[["year=<1980"]],
                target_strength=[strength],
            )
            values = np.asarray(outputs["attribute_values"])[0, :, 0]
            shares.append((values == b"<1980").sum())
        assert shares[1] >= shares[0]


class TestHold:
    def test_it_lifts_what_should_be_found_and_never_pays_with_drift(self, planted, fitted):
        interactions = planted.interactions
        users = np.arange(NUM_USERS)
        weights = choose_hold_weights(
            fitted.model, planted.catalogue, interactions, print, length=5
        )
        assert weights.shape == (3, 5) and set(np.unique(weights)) <= set(np.float32(WEIGHTS))
        np.testing.assert_array_equal(np.diag(weights[:, :3]), 1.0)
        everybody = make_wishes(fitted.model, planted.catalogue, interactions, users, 5)
        for k, wishes in enumerate(everybody):
            assert len(wishes) > 20 or k == 2, "brands of a few items leave no choice"
            rows = (np.ones(5, np.float32), weights[k])
            if wishes:
                before, after = (measure(wishes, row, 5) for row in rows)
                assert after[0] >= before[0] and after[1] <= before[1]
        assert (weights != 1).any()

    def test_a_chunk_that_misleads_is_weighed_down(self, monkeypatch):
        generator = np.random.default_rng(0)
        wishes = []
        for _ in range(40):
            taste, noise = generator.standard_normal((2, 60))
            is_relevant = taste >= np.sort(taste)[-5]
            parts = np.stack([np.zeros(60), taste, 2 * noise]).astype(np.float32)
            wishes.append(Wish(parts, is_relevant, []))
        weights, before, after = hold._search(wishes, 0, 3, 10)
        assert after[0] > before[0]
        assert weights[0] == 1.0 and weights[1] / weights[2] == pytest.approx(6.0)

    def test_drift_is_counted_over_all_values_of_an_item(self):
        # Three candidates of which two are taken: values 0 and 2, and none that is known.
        values = np.array([[0, 2], [-1, -1], [1, -1]])
        wish = Wish(
            np.array([[3.0, 2.0, 1.0]]),
            np.array([True, False, True]),
            [(values, np.array([0.5, 0.25, 0.25]))],
        )
        recall, drift = measure([wish], np.ones(1), length=2)
        assert recall == 0.5
        assert drift == pytest.approx(0.5 * (0 + 0.25 + 0.25))

    def test_there_are_none_where_nobody_wishes(self, planted, fitted):
        interactions = planted.interactions
        nothing = dataclasses.replace(
            interactions, validation=scipy.sparse.csr_matrix(interactions.validation.shape)
        )
        weights = choose_hold_weights(fitted.model, planted.catalogue, nothing)
        np.testing.assert_array_equal(weights, 1.0)

    def test_parts_are_what_the_served_model_contributes(self, planted, fitted):
        known = planted.interactions.known
        parts = fitted.model.split_scores(known)
        np.testing.assert_allclose(
            parts.sum(axis=1), fitted.model.compute_scores(known), rtol=1e-4, atol=1e-4
        )
        outputs = Recommender(fitted).explain(["user 03"], item_id=["item 07"])
        np.testing.assert_allclose(parts[3, :, 7], outputs["contributions"][0], atol=1e-5)

    def test_training_chooses_them_unless_told_not_to(self, planted, monkeypatch):
        from addrl_keras import fit, training

        lines = []
        chosen = np.full((3, 5), 2.0, np.float32)
        monkeypatch.setattr(training, "choose_hold_weights", lambda *_: chosen)
        config = make_config(training={"epochs": 0, "content_epochs": 1})
        result = fit(config, planted.catalogue, planted.interactions)
        np.testing.assert_array_equal(result.hold_weights, chosen)
        monkeypatch.undo()
        config = make_config(training={"epochs": 0, "content_epochs": 1, "hold_users": 0})
        result = fit(config, planted.catalogue, planted.interactions, lines.append)
        np.testing.assert_array_equal(result.hold_weights, 1.0)
        assert not any(line.startswith("hold while") for line in lines)
