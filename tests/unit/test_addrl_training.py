"""Fitting: what is learnt, what is held out, what is chosen where, and the same again."""

import dataclasses

import numpy as np
import pytest
import scipy.sparse
from addrl_data import NUM_ITEMS, NUM_USERS, make_config

from addrl_keras import fit
from addrl_keras.baselines import MostPopular
from addrl_keras.callbacks import ValidationNdcg
from addrl_keras.metrics.ranking import compute_ranking_metrics
from addrl_keras.training import UserBatches

# Without content losses and refit, a fit takes a second.
QUICK = {"losses": {"intra": 0.0, "inter": 0.0, "value": 0.0}}
RANDOM = {
    "start": {"kind": "random"},
    "training": {"epochs": 15, "learning_rate": 0.06, "patience": 15, "refit": False},
}


@pytest.fixture(scope="module")
def random_start(planted):
    return fit(make_config(**QUICK, **RANDOM), planted.catalogue, planted.interactions)


def _recall(score, planted, k=5):
    known, test = planted.interactions.known, planted.test
    return compute_ranking_metrics(score, known, test, k)[f"recall_at_{k}"]


def _popular(planted):
    return _recall(MostPopular().fit(planted.interactions.known).score, planted)


def test_the_planted_structure_is_learnt(planted, fitted):
    assert _recall(fitted.model.compute_scores, planted) > 2 * _popular(planted)


def test_attributes_alone_already_beat_popularity(planted, fitted):
    model = fitted.model
    user = np.asarray(model.user_tower(planted.interactions.known.toarray()))
    item = np.asarray(model.item_tower(None))
    width = sum(model.chunk_dims[:3])

    def score(history):
        return np.asarray(model.user_tower(history.toarray()))[:, :width] @ item[:, :width].T

    assert user.shape[1] == width + model.chunk_dims[3]
    assert _recall(score, planted) > 1.5 * _popular(planted)


def test_gradient_training_learns_it_from_a_random_start(planted, random_start):
    history = random_start.history["validation"]
    assert random_start.epochs > 0
    assert max(history["ndcg_at_20"]) > 1.3 * history["ndcg_at_20"][0]
    assert history["loss"][-1] < history["loss"][0]
    assert _recall(random_start.model.compute_scores, planted) > 1.5 * _popular(planted)


def test_training_leaves_the_attribute_side_of_the_items_alone(planted, random_start):
    tower = random_start.model.item_tower
    for name, weight in zip(("year", "genre", "brand"), tower.distributions, strict=True):
        expected = planted.catalogue.values[name].distribution().toarray()
        np.testing.assert_array_equal(weight.numpy(), expected)
    embedding = tower.value_embeddings[2].numpy()
    np.testing.assert_allclose(embedding.T @ embedding, np.eye(6), atol=1e-5)


def test_the_best_epoch_on_validation_is_kept(planted, random_start):
    history = random_start.history["validation"]
    assert random_start.epochs == int(np.argmax(history["ndcg_at_20"]))
    figures = compute_ranking_metrics(
        random_start.model.compute_scores,
        planted.interactions.train,
        planted.interactions.validation,
    )
    assert figures["ndcg_at_20"] == pytest.approx(max(history["ndcg_at_20"]))


def test_the_history_has_one_figure_per_epoch_and_the_start(fitted, random_start):
    for result in (fitted, random_start):
        figures = result.history["validation"]
        assert len(figures["ndcg_at_20"]) == len(figures["recall_at_20"])
        assert len(figures["ndcg_at_20"]) == len(figures["loss"]) + 1
        assert np.isfinite(figures["loss"]).all()
    assert set(fitted.history["content"]) == {"intra", "inter", "value", "loss"}
    assert random_start.history["content"] == {} == random_start.history["content_held_out"]


def test_the_same_seed_gives_the_same_scores_and_another_seed_others(planted):
    # A start that is far from an optimum, and epochs that are all kept.
    parts = {**QUICK, "start": {"kind": "random"}}

    def scores(seed):
        training = {"epochs": 2, "seed": seed, "refit": False, "learning_rate": 0.01}
        config = make_config(**parts, training=training)
        result = fit(config, planted.catalogue, planted.interactions)
        return result.model.compute_scores(planted.interactions.known)

    first = scores(3)
    np.testing.assert_array_equal(scores(3), first)
    assert np.abs(scores(4) - first).max() > 1e-3


def test_a_whole_fit_with_content_is_repeatable(planted, fitted):
    again = fit(make_config(), planted.catalogue, planted.interactions)
    np.testing.assert_array_equal(
        again.model.compute_scores(planted.interactions.known),
        fitted.model.compute_scores(planted.interactions.known),
    )
    np.testing.assert_array_equal(again.modality_weights, fitted.modality_weights)


def test_the_refit_uses_train_and_validation(planted):
    def scores(refit, interactions):
        config = make_config(**QUICK, training={"epochs": 0, "refit": refit})
        result = fit(config, planted.catalogue, interactions)
        return result.model.compute_scores(planted.interactions.train)

    known = dataclasses.replace(
        planted.interactions,
        train=planted.interactions.known,
        validation=scipy.sparse.csr_matrix((NUM_USERS, NUM_ITEMS), dtype=np.float32),
    )
    refitted = scores(True, planted.interactions)
    np.testing.assert_allclose(refitted, scores(True, known), rtol=1e-5, atol=1e-5)
    assert np.abs(refitted - scores(False, planted.interactions)).max() > 0.01


def test_without_epochs_the_start_is_measured_and_kept(planted):
    config = make_config(**QUICK, training={"epochs": 0, "refit": False})
    lines = []
    result = fit(config, planted.catalogue, planted.interactions, progress=lines.append)
    assert result.epochs == 0
    assert result.history["validation"]["loss"] == []
    assert result.history["validation"]["ndcg_at_20"][0] > 0.3
    assert any("start: validation NDCG@20" in line for line in lines)


def test_scores_that_are_not_finite_end_training_too(planted):
    """In a pass of one step there is no next loss that could tell."""
    lines = []
    training = {"learning_rate": 1e30, "epochs": 3, "batch_size": 256, "refit": False}
    config = make_config(**QUICK, training=training)
    result = fit(config, planted.catalogue, planted.interactions, progress=lines.append)
    assert result.epochs == 0
    (said,) = [line for line in lines if "The tower phase diverged" in line]
    assert "lower training.learning_rate, now 1e+30" in said
    assert np.isfinite(result.model.compute_scores(planted.interactions.known)).all()


def test_the_teacher_is_let_go_of_where_there_are_no_steps(planted):
    losses = {**QUICK["losses"], "preference_kind": "distillation"}
    for refit in (True, False):
        config = make_config(losses=losses, training={"epochs": 0, "refit": refit})
        assert fit(config, planted.catalogue, planted.interactions).model.teacher is None


def test_patience_ends_training_and_progress_tells_every_epoch(planted):
    config = make_config(
        **QUICK, training={"epochs": 30, "patience": 2, "learning_rate": 1e-7, "refit": False}
    )
    lines = []
    result = fit(config, planted.catalogue, planted.interactions, progress=lines.append)
    assert len(result.history["validation"]["loss"]) < 30
    assert sum(line.startswith("epoch ") for line in lines) == len(
        result.history["validation"]["loss"]
    )


def test_modality_weights_say_where_a_chunk_comes_from(fitted):
    weights = fitted.modality_weights
    assert weights.shape == (NUM_ITEMS, 5, 3)
    assert not weights[:, :3, 0].any(), "attribute chunks never see the id"
    np.testing.assert_array_equal(weights[:, 3:, 0], 1.0)
    assert not weights[:, 3:, 1:].any()
    assert weights[:, :3, 1:].any()


class TestUserEmbedding:
    @pytest.fixture(scope="class")
    def result(self, planted):
        config = make_config(
            **QUICK,
            start=RANDOM["start"],
            training=RANDOM["training"],
            model={"user_embedding": True},
        )
        return fit(config, planted.catalogue, planted.interactions)

    def test_validation_uses_it(self, planted, result):
        """The figure that chose the epoch is the one with the embedding."""
        model, data = result.model, planted.interactions

        def measure(score, **options):
            return compute_ranking_metrics(score, data.train, data.validation, **options)

        with_users = measure(lambda h, u: model.compute_scores(h, u), pass_users=True)
        without = measure(model.compute_scores)
        best = max(result.history["validation"]["ndcg_at_20"])
        assert with_users["ndcg_at_20"] == pytest.approx(best)
        assert without["ndcg_at_20"] != pytest.approx(best)

    def test_users_are_not_mixed_up(self, planted, result):
        """An embedding that names one item makes that item the first of its user alone."""
        data, model = planted.interactions, result.model
        wanted = data.validation.indices[data.validation.indptr[:-1]]
        item = np.asarray(model.item_tower(None))
        kept = model.user_tower.embedding.numpy()
        try:
            model.user_tower.embedding.assign(1e3 * np.linalg.pinv(item).T[wanted])
            callback = ValidationNdcg(data.train, data.validation, patience=1)
            callback.set_model(model)
            callback.on_train_begin()
            assert callback.history["recall_at_20"][0] >= 0.5
            assert callback.history["ndcg_at_20"][0] > 0.6
        finally:
            model.user_tower.embedding.assign(kept)


def test_batches_hold_every_trainable_user_once(planted):
    items = planted.interactions.train.copy()
    lonely = scipy.sparse.csr_matrix(([1.0], ([0], [3])), shape=(1, NUM_ITEMS), dtype=np.float32)
    items = scipy.sparse.vstack([lonely, items]).tocsr()
    batches = UserBatches(items, batch_size=16, seed=0)
    assert len(batches) == 4
    inputs = [batches[i][0] for i in range(4)]
    users = np.concatenate([part["users"] for part in inputs])
    assert sorted(users) == list(range(1, NUM_USERS + 1)), "nothing of user 0 can be held out"
    for part in inputs:
        lists = np.split(part["items"], np.cumsum(part["lengths"])[:-1])
        for user, taken in zip(part["users"], lists, strict=True):
            np.testing.assert_array_equal(taken, items[int(user)].indices)
    batches.on_epoch_end()
    again = np.concatenate([batches[i][0]["users"] for i in range(4)])
    assert sorted(again) == sorted(users)
    assert (again != users).any()


class TestBadData:
    def _fit(self, planted, config=None, **changes):
        interactions = dataclasses.replace(planted.interactions, **changes)
        return fit(config or make_config(**QUICK), planted.catalogue, interactions)

    def test_an_empty_validation_split(self, planted):
        empty = scipy.sparse.csr_matrix((NUM_USERS, NUM_ITEMS), dtype=np.float32)
        with pytest.raises(
            ValueError, match=r"chosen on validation.*set training\.epochs to 0.*: 0"
        ):
            self._fit(planted, validation=empty)
        config = make_config(**QUICK, training={"epochs": 0})
        assert self._fit(planted, config, validation=empty).epochs == 0

    def test_users_with_a_single_item(self, planted):
        train = scipy.sparse.csr_matrix(np.eye(NUM_USERS, NUM_ITEMS, dtype=np.float32))
        with pytest.raises(ValueError, match=r"two or more.*Received: at most 1 training"):
            self._fit(planted, train=train)

    def test_auxiliary_interactions_that_are_not_there(self, planted):
        config = make_config(**QUICK)
        start = dataclasses.replace(config.start, auxiliary_weight=0.5)
        config = dataclasses.replace(config, start=start)
        with pytest.raises(
            ValueError, match=r"there are none with.*Received: auxiliary_weight=0\.5"
        ):
            self._fit(planted, config)
        with pytest.raises(ValueError, match="there are none with items of the catalogue"):
            self._fit(planted, config, auxiliary=planted.test[:0])
        # Both fits read them, and nobody's history has them.
        result = self._fit(planted, config, auxiliary=planted.test)
        plain = self._fit(planted)
        known = planted.interactions.known
        assert (result.interactions.known != known).nnz == 0
        moved = result.model.compute_scores(known) - plain.model.compute_scores(known)
        assert np.abs(moved).max() > 1e-3

    def test_another_catalogue(self, planted):
        catalogue = dataclasses.replace(planted.catalogue, item_ids=("only",))
        with pytest.raises(ValueError, match="must have one row per item, 1"):
            fit(make_config(), catalogue, planted.interactions)

    def test_a_diverging_phase_names_term_and_step_and_keeps_the_best(self, planted):
        lines = []
        config = make_config(**QUICK, training={"learning_rate": 1e38, "epochs": 3})
        result = fit(config, planted.catalogue, planted.interactions, progress=lines.append)
        (said,) = [line for line in lines if line.startswith("The tower phase diverged")]
        assert "1e+38. Received: " in said and said.endswith("The best epoch before it is kept.")
        assert result.epochs == 0
        scores = result.model.compute_scores(planted.interactions.known)
        start = fit(
            make_config(**QUICK, training={"epochs": 0}), planted.catalogue, planted.interactions
        )
        np.testing.assert_allclose(
            scores, start.model.compute_scores(planted.interactions.known), rtol=1e-5, atol=1e-5
        )
