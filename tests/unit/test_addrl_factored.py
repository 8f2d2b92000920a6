"""A teacher that is never formed: equal to the dense one, and what is built from it."""

import dataclasses

import numpy as np
import pytest
import scipy.sparse
from addrl_data import NUM_ITEMS, make_config

from addrl_keras import closed_form, fit, memory, new_items
from addrl_keras.callbacks import _choose_users
from addrl_keras.config import StartConfig
from addrl_keras.content import compute_distributions
from addrl_keras.factored import FactoredWeights, compute_factored_teacher
from addrl_keras.metrics.ranking import compute_ranking_metrics
from addrl_keras.new_items import _choose_landmarks, place_new_items
from addrl_keras.start import make_started_model, scale_to_logits, validate_memory
from addrl_keras.teacher import compute_smooth_vectors, compute_teacher

BLEND = (("item_knn", 1.0), ("spectral", 0.5))
SETTINGS = {"blend": BLEND, "knn_neighbours": 7, "spectral_rank": 5}


def densify(weights: FactoredWeights) -> np.ndarray:
    return weights @ np.eye(weights.shape[1], dtype=np.float32)


@pytest.fixture(scope="module")
def factored(planted):
    return compute_factored_teacher(planted.interactions.train, StartConfig(**SETTINGS))


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"popularity_exponent": 0.3},
        {"blend": (("spectral", 1.0),)},
        {"blend": (("item_knn", 2.0), ("spectral", 0.0))},
    ],
)
def test_it_is_the_dense_teacher(planted, change):
    settings = StartConfig(**{**SETTINGS, **change})
    history = planted.interactions.train
    expected = compute_teacher(history, planted.catalogue, settings)
    found = compute_factored_teacher(history, settings)
    np.testing.assert_allclose(densify(found), expected, atol=1e-5)
    np.testing.assert_allclose(densify(found.T), expected.T, atol=1e-5)


def test_single_entries_are_those_of_the_product(factored):
    rows, columns = np.divmod(np.arange(NUM_ITEMS**2), NUM_ITEMS)
    entries = factored.get_entries(rows, columns, numbers=100)
    np.testing.assert_allclose(entries, densify(factored).ravel(), atol=1e-6)
    assert factored.get_entries(rows[:0], columns[:0]).shape == (0,)


def test_the_split_into_chunks_is_that_of_the_dense_teacher(planted, factored):
    distributions, _ = compute_distributions(make_config(), planted.catalogue, None)
    dense = densify(factored)
    parts = closed_form.compute_affinity(factored, distributions, ridge=1.0)
    for part, expected in zip(
        parts, closed_form.compute_affinity(dense, distributions, ridge=1.0), strict=True
    ):
        np.testing.assert_allclose(part, expected, atol=1e-5)
    remainder = closed_form.compute_remainder(factored, parts, distributions)
    expected = closed_form.compute_remainder(dense, parts, distributions)
    np.testing.assert_allclose(densify(remainder), expected, atol=1e-5)
    history = planted.interactions.train
    query, item = closed_form.compute_residual_tower(
        history, remainder, 4, np.random.default_rng(0)
    )
    other = closed_form.compute_residual_tower(history, expected, 4, np.random.default_rng(0))
    np.testing.assert_allclose(query @ item.T, other[0] @ other[1].T, atol=1e-3)


def test_the_memory_has_the_largest_of_what_was_taken_together(factored):
    source, weight = closed_form.compute_memory(factored, 4)
    dense, together = densify(factored), factored.sparse.toarray() != 0
    np.fill_diagonal(together, False)
    for item in range(NUM_ITEMS):
        rows = np.flatnonzero(together[:, item])
        largest = rows[np.argsort(-np.abs(dense[rows, item]), kind="stable")[:4]]
        kept = source[item][weight[item] != 0]
        assert set(kept) == set(largest)
        np.testing.assert_allclose(weight[item][weight[item] != 0], dense[kept, item], atol=1e-6)
        assert (np.diff(source[item]) >= 0).all()


def test_a_column_with_too_few_entries_is_filled_with_the_item_itself():
    weights = FactoredWeights(
        scipy.sparse.csr_matrix(np.float32([[0, 2, 0], [0, 0, 0], [0, -3, 0]])),
        np.zeros((3, 0), np.float32),
        np.zeros((3, 0), np.float32),
    )
    source, weight = weights.compute_memory(2)
    np.testing.assert_array_equal(source, [[0, 0], [0, 2], [2, 2]])
    np.testing.assert_array_equal(weight, [[0, 0], [2, -3], [0, 0]])


@pytest.mark.parametrize("kind", ["factored", "random"])
def test_it_starts_and_trains_by_a_sampled_loss(planted, kind):
    config = make_config(
        start={**SETTINGS, "kind": kind, "side_information": ()},
        losses={"preference_kind": "sampled_softmax", "num_negatives": 16},
        training={"learning_rate": 0.01},
    )
    result = fit(config, planted.catalogue, planted.interactions)
    figures = compute_ranking_metrics(
        result.model.compute_scores, planted.interactions.known, planted.test, 5
    )
    assert figures["recall_at_5"] > 0.2
    sources = result.model.memory.source.numpy()
    assert sources.min() >= 0 and sources.max() < NUM_ITEMS


def test_with_everything_kept_it_scores_as_its_teacher(planted, factored):
    config = make_config(
        start={**SETTINGS, "kind": "factored", "side_information": ()},
        model={"value_dim": 12, "residual_dim": NUM_ITEMS, "memory_size": NUM_ITEMS},
    )
    history = planted.interactions.train
    distributions, _ = compute_distributions(config, planted.catalogue, None)
    model = make_started_model(config, planted.catalogue, history, distributions)
    dense = densify(factored)
    np.fill_diagonal(dense, 0.0)
    lengths = np.asarray(history.sum(axis=1))
    expected = (history @ dense) / np.sqrt(lengths)
    scores = model.compute_scores(history)
    unknown = history.toarray() == 0
    scale = (scores[unknown] * expected[unknown]).sum() / (expected[unknown] ** 2).sum()
    error = np.abs(scores[unknown] - scale * expected[unknown]).max()
    assert error < 1e-3 * np.abs(scores[unknown]).max()


def test_what_a_factored_start_cannot_blend_is_refused():
    with pytest.raises(ValueError, match=r"start\.kind='closed_form' takes the others.*'ease'"):
        make_config(start={"kind": "factored"}).validate()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"start": {"blend": (("spectral", 1.0),)}}, r"item_knn a weight.*Received: 'spectral'"),
        ({"losses": {"preference_kind": "distillation"}}, r"dense teacher.*'closed_form'"),
    ],
)
def test_what_contradicts_a_factored_start_is_refused(change, message):
    settings = {**SETTINGS, "kind": "factored", "side_information": (), **change.pop("start", {})}
    with pytest.raises(ValueError, match=message):
        make_config(start=settings, **change).validate()


DISTILS = {"losses": {"preference_kind": "distillation"}}


@pytest.mark.parametrize(
    ("change", "remedy"),
    [
        ({}, r"Set start\.kind to 'factored'"),
        ({"start": {"kind": "random"}, **DISTILS}, r"Set losses\.preference_kind to 'sampled"),
        (DISTILS, r"start\.kind to 'factored'.* and losses\.preference_kind to"),
    ],
)
def test_a_teacher_that_does_not_fit_is_refused_before_anything_is_fitted(
    planted, monkeypatch, change, remedy
):
    with pytest.raises(ValueError, match=rf"GiB at once.*{remedy}.*Received: 3,000,000 items"):
        validate_memory(make_config(**change), 3_000_000)
    validate_memory(make_config(**change), 1_000)
    validate_memory(make_config(start={"kind": "random"}), 3_000_000)
    monkeypatch.setattr(memory, "get_memory", lambda: 1_000)
    lines = []
    with pytest.raises(ValueError, match=remedy):
        fit(make_config(**change), planted.catalogue, planted.interactions, lines.append)
    assert not lines


def test_only_the_most_taken_are_learnt_from(planted):
    counts = np.array([0.0, 3, 1, 3, 2, 3])
    assert _choose_landmarks(counts, 9).tolist() == [1, 2, 3, 4, 5]
    assert _choose_landmarks(counts, 2).tolist() == [1, 3]
    assert _choose_landmarks(counts, 4).tolist() == [1, 3, 4, 5]
    with pytest.raises(ValueError, match=r"landmarks.*Received: 0"):
        dataclasses.replace(make_config().new_items, landmarks=0).validate()


def test_new_items_in_blocks_get_the_place_that_they_get_at_once(planted, monkeypatch):
    known = planted.interactions.known.tolil()
    new = np.array([4, 8, 21])
    known[:, new] = 0
    known, config = known.tocsr(), make_config(training={"epochs": 0})
    distributions, _ = compute_distributions(config, planted.catalogue, None)
    models = []
    for block in (20_000, 1):
        monkeypatch.setattr(new_items, "_BLOCK", block)
        model = make_started_model(config, planted.catalogue, known, distributions)
        place_new_items(model, planted.catalogue, known, new)
        models.append(model)
    for one, other in zip(*(model.weights for model in models), strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), atol=2e-4)


def test_nobody_with_two_items_leaves_the_scale_as_it_is(planted):
    config = make_config(start={"kind": "random"}, training={"epochs": 0})
    alone = scipy.sparse.csr_matrix(np.eye(60, NUM_ITEMS, dtype=np.float32))
    distributions, _ = compute_distributions(config, planted.catalogue, None)
    model = make_started_model(config, planted.catalogue, alone, distributions)
    assert scale_to_logits(model, alone) == 1.0


def test_without_interactions_there_are_no_smooth_vectors():
    empty = scipy.sparse.csr_matrix((5, 7), dtype=np.float32)
    assert compute_smooth_vectors(empty, 3).shape == (7, 0)
    one = scipy.sparse.csr_matrix(np.ones((1, 7), np.float32))
    assert compute_smooth_vectors(one, 3).shape == (7, 0)


def test_validation_asks_the_users_that_it_is_to_ask(planted):
    data = planted.interactions
    assert len(_choose_users(data.train, data.validation, None)) == 60
    some = _choose_users(data.train, data.validation, 7)
    assert len(set(some)) == 7 and some[0] == 0 and some[-1] == 59
    config = make_config(training={"epochs": 1, "validation_users": 7})
    result = fit(config, planted.catalogue, planted.interactions)
    # Recall of seven users with two items each is a multiple of a fourteenth.
    first = result.history["validation"]["recall_at_20"][0] * 14
    assert first == pytest.approx(round(first))
