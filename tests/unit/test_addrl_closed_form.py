"""The closed-form start: each part against its definition, and no loss in the split."""

import dataclasses

import numpy as np
import pytest
import scipy.sparse
from addrl_data import CHUNK_DIM, NUM_ITEMS, make_config

from addrl_keras import closed_form
from addrl_keras.config import StartConfig
from addrl_keras.start import make_started_model, scale_to_logits
from addrl_keras.teacher import compute_gram, compute_teacher


@pytest.fixture(scope="module")
def distributions(planted):
    names = make_config().attribute_names
    return [planted.catalogue.values[name].distribution().toarray() for name in names]


@pytest.fixture(scope="module")
def teacher(planted):
    return compute_teacher(planted.interactions.train, planted.catalogue, make_config().start)


def test_the_gram_matrix_weighs_users_and_adds_side_information(planted):
    train = planted.interactions.train
    dense, lengths = train.toarray(), train.toarray().sum(axis=1)
    start = StartConfig(user_exponent=0.5, side_information=(("genre", 2.0), ("title", 3.0)))
    genre = planted.catalogue.values["genre"].matrix.toarray()
    genre /= np.maximum(np.linalg.norm(genre, axis=1, keepdims=True), 1e-9)
    title = planted.catalogue.features["title"].toarray()
    expected = (dense / lengths[:, None] ** 0.5).T @ dense
    expected += 2.0 * genre @ genre.T + 3.0 * title @ title.T
    gram = compute_gram(train, planted.catalogue, start)
    assert gram.dtype == np.float32
    np.testing.assert_allclose(gram, expected, rtol=1e-4, atol=1e-5)


def test_auxiliary_interactions_are_more_users_of_a_lower_weight(planted):
    train, further = planted.interactions.train, planted.interactions.validation
    start = StartConfig(auxiliary_weight=0.25)
    gram = compute_gram(train, planted.catalogue, start, further)
    together = scipy.sparse.vstack([train, 0.5 * further]).toarray()
    np.testing.assert_allclose(gram, together.T @ together, rtol=1e-5)
    # A user's auxiliary row weighs by its own length.
    start = dataclasses.replace(start, user_exponent=1.0)
    found = compute_gram(train, planted.catalogue, start, further)
    found -= compute_gram(train, planted.catalogue, StartConfig(user_exponent=1.0))
    assert np.trace(found) == pytest.approx(0.25 * (further.getnnz(axis=1) > 0).sum(), rel=1e-5)
    with pytest.raises(ValueError, match=r"there are none. Received: auxiliary=None with .* 0\.25"):
        compute_gram(train, planted.catalogue, start)
    # Without the weight they are not read.
    plain = compute_gram(train, planted.catalogue, StartConfig(), further)
    np.testing.assert_array_equal(plain, compute_gram(train, planted.catalogue, StartConfig()))


def test_a_user_without_items_does_not_divide_by_zero(planted):
    train = planted.interactions.train.copy()
    empty = scipy.sparse.vstack([train, scipy.sparse.csr_matrix((1, NUM_ITEMS))]).tocsr()
    start = StartConfig(user_exponent=0.5)
    np.testing.assert_allclose(
        compute_gram(empty, planted.catalogue, start),
        compute_gram(train, planted.catalogue, start),
        rtol=1e-5,
    )


def test_the_teacher_is_the_constrained_ridge_regression(planted, teacher):
    gram = compute_gram(planted.interactions.train, planted.catalogue, make_config().start).astype(
        np.float64
    )
    assert not np.diag(teacher).any()
    # Column by column: the ridge regression of an item on all the others.
    ridge = make_config().start.ease_lambda
    for item in (0, 13):
        others = np.delete(np.arange(NUM_ITEMS), item)
        system = gram[np.ix_(others, others)] + ridge * np.eye(len(others))
        expected = np.linalg.solve(system, gram[others, item])
        np.testing.assert_allclose(teacher[others, item], expected, atol=2e-5)


def test_the_affinity_is_the_joint_ridge_regression(teacher, distributions):
    parts = closed_form.compute_affinity(teacher, distributions, ridge=0.7)
    assert [part.shape for part in parts] == [part.shape for part in distributions]
    joint, values = np.concatenate(parts, axis=1), np.concatenate(distributions, axis=1)
    # The gradient of |W - A Y'|^2 + ridge |A|^2 vanishes.
    gradient = (joint @ values.T - teacher) @ values + 0.7 * joint
    np.testing.assert_allclose(gradient, 0.0, atol=1e-5)


def test_twins_among_the_attributes_share_what_they_explain(teacher, distributions):
    one = closed_form.compute_affinity(teacher, distributions[:1], ridge=0.1)[0]
    twins = closed_form.compute_affinity(teacher, [distributions[0]] * 2, ridge=0.1)
    np.testing.assert_allclose(twins[0], twins[1], atol=1e-4)
    np.testing.assert_allclose(twins[0] + twins[1], one, atol=2e-3)


def test_the_remainder_is_what_the_attributes_do_not_explain(teacher, distributions):
    parts = closed_form.compute_affinity(teacher, distributions, ridge=1.0)
    remainder = closed_form.compute_remainder(teacher, parts, distributions)
    explained = sum(a @ y.T for a, y in zip(parts, distributions, strict=True))
    off_diagonal = ~np.eye(NUM_ITEMS, dtype=bool)
    np.testing.assert_allclose(
        (remainder + explained)[off_diagonal], teacher[off_diagonal], atol=1e-6
    )
    assert not np.diag(remainder).any()
    assert np.abs(remainder).sum() < np.abs(teacher).sum()


@pytest.mark.parametrize("dim", [3, NUM_ITEMS, NUM_ITEMS + 5])
def test_the_residual_tower_is_the_best_of_its_rank(planted, teacher, dim):
    history, generator = planted.interactions.train, np.random.default_rng(0)
    query, item = closed_form.compute_residual_tower(history, teacher, dim, generator)
    assert query.shape == item.shape == (NUM_ITEMS, dim)
    lengths = np.asarray(history.sum(axis=1))
    seen = (history.toarray() / np.sqrt(lengths)) @ teacher
    lost = np.linalg.norm(seen - (history.toarray() / np.sqrt(lengths)) @ query @ item.T)
    singular = np.linalg.svd(seen, compute_uv=False)
    assert lost == pytest.approx(np.linalg.norm(singular[dim:]), abs=1e-4)
    rank = min(dim, NUM_ITEMS)
    np.testing.assert_allclose((item.T @ item)[:rank, :rank], np.eye(rank), atol=1e-4)


def test_the_memory_keeps_the_largest_entries_of_each_column():
    remainder = np.array([[0.0, 5, 1], [-7, 0, 2], [3, -6, 0]])
    source, weight = closed_form.compute_memory(remainder, 2)
    assert source.tolist() == [[1, 2], [0, 2], [0, 1]]
    assert weight.tolist() == [[-7, 3], [5, -6], [1, 2]]
    assert closed_form.compute_memory(remainder, 1)[0].tolist() == [[1], [2], [1]]


def test_values_that_fit_keep_their_identity_and_others_the_best_subspace(teacher, distributions):
    parts = closed_form.compute_affinity(teacher, distributions, ridge=1.0)
    assert np.array_equal(closed_form.compute_value_embedding(parts[0], CHUNK_DIM), np.eye(3))
    embedding = closed_form.compute_value_embedding(parts[2], CHUNK_DIM)
    np.testing.assert_allclose(embedding.T @ embedding, np.eye(CHUNK_DIM), atol=1e-5)
    lost = np.linalg.norm(parts[2] - parts[2] @ embedding @ embedding.T)
    singular = np.linalg.svd(parts[2], compute_uv=False)
    assert lost == pytest.approx(np.linalg.norm(singular[CHUNK_DIM:]), rel=1e-3)


class TestStartedModel:
    @pytest.mark.parametrize("residual_dim", [1, 16])
    def test_a_full_memory_reproduces_the_teacher(
        self, planted, teacher, distributions, residual_dim
    ):
        """Also for `brand`, which has more values than its chunk is wide."""
        train = planted.interactions.train
        config = make_config(model={"memory_size": NUM_ITEMS, "residual_dim": residual_dim})
        model = make_started_model(config, planted.catalogue, train, distributions)
        scores = model.compute_scores(train)
        expected = train.toarray() @ teacher / np.sqrt(train.sum(axis=1))
        unseen = train.toarray() == 0
        scale = np.linalg.norm(scores[unseen]) / np.linalg.norm(expected[unseen])
        np.testing.assert_allclose(
            scores[unseen], scale * np.asarray(expected)[unseen], atol=2e-5 * scale
        )

    def test_without_memory_a_full_residual_tower_reproduces_the_teacher(
        self, planted, teacher, distributions
    ):
        train = planted.interactions.train
        config = make_config(model={"memory_size": 0, "residual_dim": NUM_ITEMS})
        model = make_started_model(config, planted.catalogue, train, distributions)
        scores = model.compute_scores(train)
        expected = np.asarray(train.toarray() @ teacher / np.sqrt(train.sum(axis=1)))
        unseen = train.toarray() == 0
        scale = np.linalg.norm(scores[unseen]) / np.linalg.norm(expected[unseen])
        np.testing.assert_allclose(scores[unseen], scale * expected[unseen], atol=1e-4 * scale)

    def test_the_scale_makes_the_scores_the_best_logits(self, planted, distributions):
        train = planted.interactions.train
        model = make_started_model(make_config(), planted.catalogue, train, distributions)
        scores = model.compute_scores(train)
        # Once scaled, there is nothing to gain; and a wrong scale is found again.
        assert scale_to_logits(model, train) == pytest.approx(1.0, abs=0.02)
        model.user_tower.query.assign(0.1 * model.user_tower.query)
        model.memory.weight.assign(0.1 * model.memory.weight)
        assert scale_to_logits(model, train) == pytest.approx(10.0, rel=0.02)
        np.testing.assert_allclose(model.compute_scores(train), scores, rtol=0.05, atol=0.01)

    def test_a_chunk_of_an_item_is_a_function_of_its_own_attribute(self, planted, distributions):
        train = planted.interactions.train
        model = make_started_model(make_config(), planted.catalogue, train, distributions)
        borders = np.cumsum(model.chunk_dims)[:-1]
        chunks = np.split(np.asarray(model.item_tower(None)), borders, axis=1)
        for chunk, part in zip(chunks, distributions, strict=False):
            same = (part[:, None] == part[None]).all(axis=2)
            distance = np.abs(chunk[:, None] - chunk[None]).max(axis=2)
            assert distance[same].max() < 1e-6
            assert distance[~same].max() > 0.1

    def test_a_random_start_scores_all_items_differently_and_has_no_memory_yet(
        self, planted, distributions
    ):
        train = planted.interactions.train
        config = make_config(start={"kind": "random"})
        model = make_started_model(config, planted.catalogue, train, distributions)
        scores = model.compute_scores(train)
        assert np.isfinite(scores).all()
        assert np.ptp(scores, axis=1).min() > 0
        assert not model.memory.weight.numpy().any()
        own = np.arange(NUM_ITEMS)[:, None]
        assert not (model.memory.source.numpy() == own).any()
        # No value of the wide attribute is left without a vector.
        assert np.linalg.norm(model.item_tower.value_embeddings[2], axis=1).min() > 0.05
