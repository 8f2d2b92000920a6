"""Baselines against closed forms and plain numpy."""

import dataclasses
import json

import numpy as np
import pytest
import scipy.sparse

from addrl_keras import memory
from addrl_keras.baselines import (
    EASE,
    QUICK,
    Content,
    ItemKNN,
    KerasRsTwoTower,
    MacridVAE,
    MostPopular,
    TfrsTwoTower,
    choose_baseline,
    compute_ease_weights,
    evaluate_baselines,
    make_candidates,
    tune,
)
from addrl_keras.baselines.ease import compute_user_weighted_gram
from addrl_keras.baselines.item_knn import compute_similarity, keep_neighbours
from addrl_keras.baselines.learnt import LearntBaseline
from addrl_keras.baselines.tuning import AUXILIARY_WEIGHTS, LARGE_CATALOGUE
from addrl_keras.catalogue import Interactions, binarize
from addrl_keras.metrics.ranking import compute_ranking_metrics


def _csr(rows):
    return scipy.sparse.csr_matrix(np.asarray(rows, dtype=np.float32))


def _random(shape=(60, 25), share=0.2, seed=0):
    return binarize(_csr(np.random.default_rng(seed).random(shape) < share))


@pytest.fixture(scope="module")
def planted():
    """Two groups of users, each with ten items of its own; any item predicts its group."""
    generator = np.random.default_rng(3)
    taken = np.zeros((80, 20))
    for user in range(80):
        group = 10 * (user % 2)
        taken[user, group + generator.permutation(10)[:6]] = 1
    part = generator.choice(3, size=taken.shape, p=[0.5, 0.25, 0.25])
    train, validation, test = (binarize(_csr(taken * (part == i))) for i in range(3))
    return Interactions(tuple(f"u{i}" for i in range(80)), train, validation), test


def test_ease_of_two_items_in_closed_form():
    weights = compute_ease_weights(np.array([[2.0, 1.0], [1.0, 3.0]]), ridge=1.0)
    # The inverse of [[3, 1], [1, 4]] is [[4, -1], [-1, 3]] / 11.
    np.testing.assert_allclose(weights, [[0, 1 / 3], [1 / 4, 0]], rtol=1e-6)


def test_ease_equals_the_plain_inverse():
    known = _random()
    gram = (known.T @ known).toarray().astype(np.float64)
    inverse = np.linalg.inv(gram + 7.0 * np.eye(25))
    expected = -inverse / np.diag(inverse)
    np.fill_diagonal(expected, 0.0)
    before = gram.copy()
    weights = compute_ease_weights(gram, ridge=7.0)
    np.testing.assert_allclose(weights, expected, atol=1e-6)
    assert weights.dtype == np.float32
    np.testing.assert_array_equal(gram, before)  # not changed
    np.testing.assert_allclose(EASE(7.0).fit(known).score(known), known @ expected, atol=1e-5)


def test_ease_solves_the_regression_without_the_item_itself():
    known = _random()
    weights = EASE(ridge=2.0).fit(known)._weights
    for item in (0, 11):
        others = np.delete(np.arange(25), item)
        features = known[:, others].toarray()
        system = features.T @ features + 2.0 * np.eye(24)
        target = features.T @ known[:, item].toarray().ravel()
        np.testing.assert_allclose(
            weights[others, item], np.linalg.solve(system, target), atol=1e-5
        )


def test_ease_side_information_acts_like_more_users():
    known, features = _random(), _random((9, 25), seed=5)
    together = scipy.sparse.vstack([known, features]).tocsr()
    side = EASE(5.0, side_gram=(features.T @ features).toarray()).fit(known)
    np.testing.assert_allclose(side._weights, EASE(5.0).fit(together)._weights, atol=1e-5)


def test_auxiliary_interactions_act_like_more_users():
    known, further = _random(), _random((9, 25), seed=5)
    together = scipy.sparse.vstack([known, further]).tocsr()
    for alone, beside in (
        (EASE(5.0), EASE(5.0, auxiliary=further, auxiliary_weight=1.0)),
        (ItemKNN(), ItemKNN(auxiliary=further)),
    ):
        expected = dataclasses.replace(alone).fit(together).score(known)
        np.testing.assert_allclose(beside.fit(known).score(known), expected, atol=1e-5)
        assert json.dumps(beside.hyperparameters) != json.dumps(alone.hyperparameters)


def test_where_there_are_auxiliary_interactions_grids_try_them_too():
    further = _random((9, 25), seed=5)
    for name in ("item_knn", "ease"):
        plain = make_candidates(name, 25)
        both = make_candidates(name, 25, auxiliary=further)
        assert [each.hyperparameters for each in both[: len(plain)]] == [
            each.hyperparameters for each in plain
        ]
        assert all(each.auxiliary is further for each in both[len(plain) :])
        assert len(both) == len(plain) * (2 if name == "item_knn" else 1 + len(AUXILIARY_WEIGHTS))


def test_user_exponent_1_counts_every_user_alike():
    gram = compute_user_weighted_gram(_csr([[1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]), 1.0)
    np.testing.assert_allclose(np.diag(gram), [0.5, 0.5, 1.0, 0.0])
    assert gram[0, 1] == pytest.approx(0.5)


@pytest.mark.parametrize("ridge", [0.0, -1.0, float("nan")])
def test_ease_refuses_a_ridge_not_above_0(ridge):
    with pytest.raises(ValueError, match=rf"Received: {ridge}"):
        compute_ease_weights(np.eye(2), ridge)


def test_ease_refuses_what_has_no_inverse():
    with pytest.raises(ValueError, match="square"):
        compute_ease_weights(np.ones((2, 3)), 1.0)
    with pytest.raises(ValueError, match="not positive definite"):
        compute_ease_weights(np.array([[1.0, 9.0], [9.0, 1.0]]), 1.0)
    with pytest.raises(ValueError, match="NaN"):
        compute_ease_weights(np.array([[1.0, np.nan], [np.nan, 1.0]]), 1.0)


def test_most_popular_gives_all_the_counts():
    baseline = MostPopular().fit(_csr([[1, 0, 1], [0, 0, 1]]))
    assert baseline.score(_csr([[0, 1, 0], [0, 0, 0]])).tolist() == [[1, 0, 2], [1, 0, 2]]


def test_similarity_in_closed_form():
    known = _csr([[1, 1, 0], [1, 1, 1], [1, 0, 0], [1, 0, 0]])  # counts 4, 2, 1
    cosine = compute_similarity(known, shrink=0.0, exponent=0.5).toarray()
    np.testing.assert_allclose(cosine[0, 1], 2 / np.sqrt(8), rtol=1e-6)
    np.testing.assert_allclose(cosine, cosine.T, rtol=1e-6)
    assert np.diag(cosine).tolist() == [0, 0, 0]
    # Exponent 1 divides by the popularity of the item in the history (the row) alone.
    asymmetric = compute_similarity(known, shrink=1.0, exponent=1.0).toarray()
    np.testing.assert_allclose(asymmetric[0, 1], 2 / (4 + 1))
    np.testing.assert_allclose(asymmetric[1, 0], 2 / (2 + 1))


def test_neighbours_are_the_largest_of_each_column():
    thinned = keep_neighbours(scipy.sparse.csc_matrix([[0, 1.0, 5], [3, 0, 5], [4, 2, 0]]), 1)
    assert thinned.toarray().tolist() == [[0, 0, 5], [0, 0, 0], [4, 2, 0]]


def test_item_knn_sums_similarities_over_the_history():
    known = _random()
    baseline = ItemKNN(shrink=3.0, neighbours=25, exponent=0.5).fit(known)
    similarity = compute_similarity(known, 3.0, 0.5).toarray()
    expected = known.toarray() @ similarity
    np.testing.assert_allclose(baseline.score(known), expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("field", "value"), [("shrink", -1.0), ("neighbours", 0), ("exponent", 1.5)]
)
def test_item_knn_refuses_hyperparameters_out_of_range(field, value):
    with pytest.raises(ValueError, match=rf"ItemKNN\.{field}.*Received: {value}"):
        ItemKNN(**{field: value})


def test_tune_chooses_on_validation_and_fits_on_all_that_is_known(planted):
    interactions, _ = planted
    candidates = [MostPopular(), EASE(10.0)]
    for order in (candidates, candidates[::-1]):
        best = tune(order, interactions, k=5)
        assert best.name == "ease"
        expected = EASE(10.0).fit(interactions.known)._weights
        np.testing.assert_array_equal(best._weights, expected)
    assert not hasattr(candidates[1], "_weights")
    with pytest.raises(ValueError, match="at least one"):
        tune([], interactions)


def test_baselines_find_the_planted_groups(planted):
    interactions, test = planted
    groups = {"group": {"a": np.arange(20) < 10, "b": np.arange(20) >= 10}}
    results = evaluate_baselines(interactions, test, k=5, slices=groups)
    assert set(results) == {"most_popular", "item_knn", "ease"}
    for name in ("item_knn", "ease"):
        assert results[name]["recall_at_5"] > 1.3 * results["most_popular"]["recall_at_5"]
        # At most 10 items of the own group are left, so half of them in 5 places is chance there.
        assert results[name]["recall_at_5"] > 0.6
        sliced = results[name]["slices"]["group"]
        mean = (sliced["a"]["recall_at_5"] + sliced["b"]["recall_at_5"]) / 2
        assert mean == pytest.approx(results[name]["recall_at_5"], abs=0.02)
    assert results["ease"]["hyperparameters"]["ridge"] > 0
    assert json.loads(json.dumps(results)) == results


def test_what_the_machine_cannot_hold_is_left_out_by_name(planted, monkeypatch):
    interactions, test = planted
    monkeypatch.setattr(memory, "get_memory", lambda: 5_000)
    lines = []
    results = evaluate_baselines(interactions, test, k=5, progress=lines.append)
    assert set(results) == {"most_popular", "item_knn"}
    assert lines == [
        "ease is left out: it forms matrices of items by items, of 20 items about 0 GiB at once, "
        "and the machine has 0"
    ]


def test_large_catalogues_have_coarser_grids():
    for name in QUICK:
        fine, coarse = (
            [each.hyperparameters for each in make_candidates(name, size)]
            for size in (LARGE_CATALOGUE, LARGE_CATALOGUE + 1)
        )
        assert 1 <= len(coarse) <= len(fine) and all(one in fine for one in coarse)


def test_a_grid_that_cannot_be_made_says_why():
    with pytest.raises(ValueError, match="content_blend needs the content"):
        make_candidates("content_blend", 10)
    with pytest.raises(ValueError, match=r"one of most_popular, .*Received: 'svd'"):
        make_candidates("svd", 10)


def test_the_content_blend_is_our_teacher_undivided():
    from addrl_data import make_planted

    from addrl_keras.config import StartConfig
    from addrl_keras.teacher import compute_teacher

    data = make_planted()
    start = StartConfig(blend=(("ease", 1.0), ("title", 0.2)), side_information=(("genre", 2.0),))
    content = Content(data.catalogue, start)
    baseline = tune(make_candidates("content_blend", 40, content), data.interactions)
    known = data.interactions.known
    expected = known @ compute_teacher(known, data.catalogue, start)
    np.testing.assert_allclose(baseline.score(known), expected, rtol=1e-5)
    assert baseline.hyperparameters["ease_lambda"] == start.ease_lambda


@pytest.mark.parametrize("two_tower", [TfrsTwoTower, KerasRsTwoTower])
def test_a_two_tower_learns_and_repeats_itself(planted, two_tower):
    interactions, test = planted
    candidate = two_tower(dim=8, learning_rate=0.5, batch_size=64, seed=1)
    lines = []
    figure, chosen = candidate.validate(interactions, 5, lines.append)
    assert (
        f"{chosen.epochs} passes of at most 60, validation NDCG@5 {figure:.4f}"
        in (lines[chosen.epochs // candidate.STEP - 1])
    )
    assert figure > 0.4 and chosen.epochs % candidate.STEP == 0
    assert not hasattr(chosen, "_items")
    first, again = (
        chosen.fit(interactions.known) for chosen in (chosen, dataclasses.replace(chosen))
    )
    users = np.arange(80)
    scores = first.score(interactions.known, users)
    np.testing.assert_allclose(again.score(interactions.known, users), scores, rtol=1e-5)
    found = compute_ranking_metrics(first.score, interactions.known, test, 5, pass_users=True)
    popular = compute_ranking_metrics(
        MostPopular().fit(interactions.known).score, interactions.known, test, 5
    )
    assert found["recall_at_5"] > 1.3 * popular["recall_at_5"]
    with pytest.raises(ValueError, match="needs users"):
        first.score(interactions.known)


def test_the_loss_of_the_keras_rs_two_tower_in_closed_form():
    from addrl_keras.baselines.keras_rs_two_tower import make_model

    model = make_model((3, 7), dim=4, seed=0, k=2)
    model.build((None,))
    users, items = np.array([0, 2]), np.array([5, 1])
    embeddings = np.asarray(model.candidate_embedding.embeddings)
    queries = np.asarray(model.user_embedding.embeddings)[users]
    scores = queries @ embeddings.T
    expected = np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(2), items]
    found = model(users)
    loss = model.compute_loss(users, items, found)
    # A sum over the batch, against all items and not those of the batch alone.
    np.testing.assert_allclose(float(loss), expected.sum(), rtol=1e-5)
    best = np.argsort(-scores, axis=1)[:, :2]
    np.testing.assert_array_equal(np.asarray(found["predictions"]), best)
    assert set(model(users, training=True)) == {"user_embeddings"}


def test_the_keras_rs_two_tower_scores_what_its_own_layer_retrieves(planted):
    interactions, _ = planted
    baseline = KerasRsTwoTower(dim=8, learning_rate=0.5, batch_size=64, epochs=3)
    model, batches = baseline._make(interactions.train)
    model.fit(batches, epochs=3, verbose=0, shuffle=False)
    scores = baseline.fit(interactions.train).score(interactions.train, np.arange(80))
    retrieved = np.asarray(model(np.arange(80))["predictions"])
    best = -np.sort(-scores, axis=1)[:, :10]
    np.testing.assert_allclose(np.take_along_axis(scores, retrieved, 1), best, rtol=1e-4, atol=1e-5)


def test_macrid_vae_learns_repeats_itself_and_needs_no_users(planted):
    interactions, test = planted
    candidate = MacridVAE(concepts=3, dim=16, learning_rate=0.01, batch_size=16, epochs=30, seed=1)
    known = interactions.known
    first = candidate.fit(known).score(known)
    again = dataclasses.replace(candidate).fit(known).score(known)
    np.testing.assert_allclose(again, first, rtol=1e-4, atol=1e-5)
    found = compute_ranking_metrics(candidate.score, known, test, 5)
    popular = compute_ranking_metrics(MostPopular().fit(known).score, known, test, 5)
    assert found["recall_at_5"] > popular["recall_at_5"]
    # An item is shared out among the concepts.
    chunks = candidate.get_chunks()
    assert [part.shape for part in chunks] == [(20, 16)] * 3
    np.testing.assert_allclose(np.linalg.norm(sum(chunks), axis=1), 1.0, rtol=1e-4)
    assert candidate.score(known[:0]).shape == (0, 20)


def test_the_probabilities_of_macrid_vae_in_closed_form():
    from addrl_keras.baselines.macrid_vae import make_model

    options = MacridVAE(concepts=2, dim=3, temperature=0.5)
    model = make_model(options, 4)
    items, assigned = (np.asarray(part) for part in model.compute_items())
    unit = np.asarray(model.prototypes)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    logits = items @ unit.T / 0.5
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(assigned, expected, rtol=1e-5)
    history = np.array([[1.0, 0, 1, 0]], np.float32)
    total, divergence = np.zeros(4), 0.0
    for k in range(2):
        row = history[0] * assigned[:, k]
        row /= np.linalg.norm(row)
        middle = np.tanh(row @ np.asarray(model.input_kernel))
        mean, negative = np.split(middle @ np.asarray(model.head.kernel), 2)
        divergence += 0.5 * (np.exp(-negative) + negative - 1).sum()
        total += assigned[:, k] * np.exp(items @ (mean / np.linalg.norm(mean)) / 0.5)
    found = model(history)
    np.testing.assert_allclose(np.asarray(found["logits"])[0], np.log(total), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(np.asarray(found["divergence"]), [divergence], rtol=1e-3, atol=1e-6)
    bound = -np.log(total[[0, 2]] / total.sum()).sum() + 0.7 * divergence
    assert float(model.compute_bound(history, found, 0.7)) == pytest.approx(bound, rel=1e-4)


@pytest.mark.parametrize("name", ["tfrs_two_tower", "keras_rs_two_tower"])
def test_the_options_of_what_is_learnt_are_chosen_one_after_the_other(planted, name, monkeypatch):
    interactions, _ = planted
    tried = []

    def validate(self, interactions, k, progress):
        tried.append(self)
        figure = self.dim / 1000 - abs(self.learning_rate - 0.1) - self.batch_size / 1e6
        return figure, dataclasses.replace(self, epochs=1)

    monkeypatch.setattr(LearntBaseline, "validate", validate)
    monkeypatch.setattr(LearntBaseline, "fit", lambda self, known: self)
    chosen = choose_baseline(name, interactions, seed=7)
    assert {each.seed for each in tried} == {7}
    assert len({tuple(each.hyperparameters.items()) for each in tried}) == len(tried)
    widest = max(each.dim for each in tried)
    assert (chosen.dim, chosen.learning_rate, chosen.epochs) == (widest, 0.1, 1)
    # A grid of all against all would have tried the narrow ones with the other rate too.
    assert {each.dim for each in tried if each.learning_rate != 0.1} == {widest}
