"""The paper's recipe: its loss, its batches, what it learns, and how it is served."""

import dataclasses

import numpy as np
import pytest
import scipy.sparse
import tensorflow as tf
from addrl_data import CHUNK_DIM, NUM_ITEMS, NUM_USERS, make_config

from addrl_keras import Recommender, fit
from addrl_keras.attach import attach_items
from addrl_keras.layers.retrieval import SOFTPLUS, AttributeTopK, score_chunks
from addrl_keras.metrics.ranking import compute_ranking_metrics
from addrl_keras.paper.batches import TripleBatches, draw_negatives
from addrl_keras.paper.rows import Rows
from addrl_keras.paper.towers import PaperTowers, compute_scores
from addrl_keras.saving import load_fit_result, write_fit_result

USERS = [f"user {i:02d}" for i in range(4)]


def make_paper_config(**training):
    return make_config(
        recipe="paper",
        model={"memory_size": 0, "residual_dim": CHUNK_DIM},
        losses={"intra": 1.0, "inter": 0.01, "value": 1.0, "l2": 0.01},
        training={
            "epochs": 40,
            "batch_size": 128,
            "learning_rate": 0.02,
            "negatives": 4,
            "patience": 15,
            **training,
        },
    )


@pytest.fixture(scope="module")
def paper(planted):
    return fit(make_paper_config(), planted.catalogue, planted.interactions)


def test_negatives_are_never_what_the_user_took(planted):
    known = planted.interactions.train
    users = np.repeat(np.arange(NUM_USERS), 20)
    drawn = draw_negatives(users, known, 5, np.random.default_rng(0))
    assert drawn.shape == (len(users), 5)
    assert not np.asarray(known[np.repeat(users, 5), drawn.ravel()]).any()
    assert len(np.unique(drawn)) == NUM_ITEMS


def test_a_pass_has_every_interaction_once_with_fresh_negatives(planted):
    known = planted.interactions.train
    batches = TripleBatches(known, 64, 3, seed=0)

    def take():
        rows = [batches[i][0] for i in range(len(batches))]
        return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}

    first = take()
    pairs = set(zip(first["users"], first["positives"], strict=True))
    assert len(first["users"]) == known.nnz == len(pairs)
    batches.on_epoch_end()
    second = take()
    assert set(zip(second["users"], second["positives"], strict=True)) == pairs
    assert (first["negatives"] != second["negatives"]).any()


def test_terms_do_not_hang_on_a_modality_that_items_lack(planted):
    towers = PaperTowers(make_paper_config(), planted.catalogue, NUM_USERS)
    _, fused, weights = towers.compute_items()
    names = ["id", "title", "people"]
    lacks = planted.catalogue.features["title"].getnnz(axis=1) == 0
    assert (weights.numpy()[lacks][:, :, names.index("title")] == 0).all()
    np.testing.assert_allclose(weights.numpy().sum(axis=-1), 1.0, rtol=1e-5)
    before = fused.numpy()[lacks]
    towers.projections[0].assign(5.0 * towers.projections[0])
    np.testing.assert_allclose(towers.compute_items()[1].numpy()[lacks], before, atol=1e-6)


def test_rows_are_projected_alike_sparse_and_dense():
    generator = np.random.default_rng(0)
    dense = generator.random((7, 5)) * (generator.random((7, 5)) < 0.5)
    dense[3] = 0.0
    sparse = scipy.sparse.csc_matrix(dense).tocsr()
    kernel = tf.Variable(generator.standard_normal((5, 4)), dtype=tf.float32)
    found = []
    for features in (dense, sparse):
        with tf.GradientTape() as tape:
            projected = Rows(features).project(kernel)
            loss = tf.reduce_sum(projected**3)
        found.append((projected.numpy(), tape.gradient(loss, kernel).numpy()))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    assert not found[1][0][3].any()


def test_the_score_is_a_sum_of_softplus_over_chunks():
    generator = np.random.default_rng(0)
    users, items = (generator.standard_normal((n, 3, 4)).astype("float32") for n in (2, 5))
    unit = users / np.linalg.norm(users, axis=-1, keepdims=True)
    expected = np.log1p(np.exp(np.einsum("ukd,ikd->uik", unit, items))).sum(axis=-1)
    found = compute_scores(users[:, None], items[None])
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    flat = score_chunks(unit.reshape(2, -1), items.reshape(5, -1), (4, 4, 4), SOFTPLUS)
    np.testing.assert_allclose(flat, expected, rtol=1e-5)


def test_weights_multiply_contributions_not_what_is_inside_them():
    generator = np.random.default_rng(1)
    queries, items = (generator.standard_normal((n, 6)).astype("float32") for n in (2, 5))
    index = AttributeTopK((2, 4), kind=SOFTPLUS).index(tf.constant(items))
    weights = tf.constant([[0.0, 2.0], [1.0, 1.0]])
    scores = index.compute_scores(queries, weights)
    rows = tf.tile(tf.range(5)[None], [2, 1])
    parts = index.compute_contributions(queries, rows, weights)
    np.testing.assert_allclose(tf.reduce_sum(parts, -1), scores, rtol=1e-5)
    assert not parts.numpy()[0, :, 0].any()
    with pytest.raises(ValueError, match="Received: 'cosine'"):
        AttributeTopK((2,), kind="cosine")


def test_it_learns_and_says_each_term(planted, paper):
    history = paper.history["validation"]
    assert history["preference"][-1] < history["preference"][0]
    assert history["value"][-1] < history["value"][0]
    assert paper.epochs % 5 == 0 and paper.epochs > 0
    known = planted.interactions.known
    own = compute_ranking_metrics(
        paper.model.compute_scores, known, planted.test, 5, pass_users=True
    )
    counts = np.asarray(known.sum(axis=0)).ravel()
    popular = compute_ranking_metrics(
        lambda history: np.tile(counts, (history.shape[0], 1)), known, planted.test, 5
    )
    assert own["recall_at_5"] > popular["recall_at_5"]


def test_the_last_of_few_passes_is_looked_at(planted):
    config = make_paper_config(epochs=2)
    result = fit(config, planted.catalogue, planted.interactions)
    assert result.epochs == 2
    assert len(result.history["validation"]["ndcg_at_20"]) == 1


def test_training_ends_after_looks_that_find_nothing_better(planted):
    config = make_paper_config(learning_rate=1e-9, patience=1, refit=False)
    result = fit(config, planted.catalogue, planted.interactions)
    assert len(result.history["validation"]["ndcg_at_20"]) == 2
    assert result.epochs == 5


def test_to_diverge_before_the_first_look_leaves_nothing_to_serve(planted):
    config = make_paper_config(learning_rate=1e38, epochs=4)
    with pytest.raises(
        FloatingPointError, match=r"paper phase diverged; lower .*1e\+38\. Received"
    ):
        fit(config, planted.catalogue, planted.interactions)


def test_the_same_seed_gives_the_same_model(planted):
    config = make_paper_config(epochs=5, refit=False)
    first, second = (
        fit(config, planted.catalogue, planted.interactions).model.compute_scores(
            planted.interactions.known, np.arange(NUM_USERS)
        )
        for _ in range(2)
    )
    np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-5)


def test_it_is_served_like_any_other(planted, paper):
    recommender = Recommender(paper)
    outputs = recommender.recommend(USERS, k=10)
    names = [name.decode() for name in outputs["contribution_names"].numpy()]
    assert names == ["year", "genre", "brand", "residual"]
    total = np.sum(outputs["contributions"], axis=-1)
    np.testing.assert_allclose(total, outputs["scores"], atol=1e-5)
    muted = recommender.recommend(USERS, k=10, attribute_weights={"genre": 0.0})
    assert not muted["contributions"].numpy()[..., 1].any()
    scores = paper.model.compute_scores(planted.interactions.known[:4], np.arange(4))
    best = outputs["item_ids"].numpy()[:, 0]
    position = [paper.catalogue.item_ids.index(item.decode()) for item in best]
    np.testing.assert_allclose(outputs["scores"][:, 0], scores[np.arange(4), position], rtol=1e-4)
    # Somebody unknown with a known user's history has a place, if not that user's own.
    given = recommender.recommend(["nobody"], k=10, history_ids=[["item 00", "item 04"]])
    assert np.unique(given["scores"].numpy()).size == 10
    wanted = recommender.recommend(USERS, k=5, attribute_targets=[["genre=horror"]])
    assert b"horror" in wanted["attribute_values"].numpy()[0, 0, 1]


def test_it_is_saved_and_has_no_place_for_new_items(planted, paper, tmp_path):
    write_fit_result(paper, tmp_path)
    again = load_fit_result(tmp_path)
    known, users = planted.interactions.known, np.arange(NUM_USERS)
    np.testing.assert_array_equal(
        again.model.compute_scores(known, users), paper.model.compute_scores(known, users)
    )
    new = dataclasses.replace(
        planted.catalogue, item_ids=tuple(f"new {i}" for i in range(NUM_ITEMS))
    )
    with pytest.raises(ValueError, match=r"train again\. Received: recipe 'paper'"):
        attach_items(paper, new)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": {"memory_size": 8, "residual_dim": CHUNK_DIM}}, "no memory.*Received: 8"),
        ({"model": {"memory_size": 0, "residual_dim": 5}}, "all of one width.*Received: 5"),
    ],
)
def test_what_the_recipe_has_not_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        make_config(recipe="paper", **change).validate()
    with pytest.raises(ValueError, match=r"recipe must be one of.*Received: 'ours'"):
        make_config(recipe="ours").validate()
