"""Items without interactions: their place by content, attached without training, kept on disk."""

import dataclasses

import numpy as np
import pytest
import scipy.sparse
from addrl_data import NUM_ITEMS, make_config

from addrl_keras import Recommender, fit
from addrl_keras.attach import attach_items
from addrl_keras.catalogue import AttributeValues, Catalogue, Interactions
from addrl_keras.config import NewItemsConfig
from addrl_keras.fit_state import FORMAT
from addrl_keras.new_items import compute_kernel, get_evidence_weights, iterate_coefficients
from addrl_keras.saving import load_fit_result, write_fit_result

# Held out of training; one without words, one of which only the genre is known.
COLD = np.array([2, 5, 9, 14, 22, 27, 33, 38])


def take_items(catalogue, rows):
    return Catalogue(
        tuple(catalogue.item_ids[row] for row in rows),
        {
            name: AttributeValues(values.names, values.matrix[rows])
            for name, values in catalogue.values.items()
        },
        {name: features[rows] for name, features in catalogue.features.items()},
    )


def take_columns(interactions, rows):
    return Interactions(
        interactions.user_ids, interactions.train[:, rows], interactions.validation[:, rows]
    )


@pytest.fixture(scope="module")
def warm_fit(planted):
    """A model that has never heard of the cold items."""
    rows = np.setdiff1d(np.arange(NUM_ITEMS), COLD)
    catalogue = take_items(planted.catalogue, rows)
    return fit(make_config(), catalogue, take_columns(planted.interactions, rows))


@pytest.fixture(scope="module")
def attached(planted, warm_fit):
    return attach_items(warm_fit, take_items(planted.catalogue, COLD))


def compute_scores(result):
    return result.model.compute_scores(result.interactions.known)


class TestKernel:
    def test_it_is_the_mean_cosine_to_a_power(self):
        a = np.array([[1.0, 0.0], [0.0, 0.0]], np.float32)
        b = scipy.sparse.csr_matrix(np.array([[1.0, 1.0], [1.0, 0.0]], np.float32))
        kernel = compute_kernel([(3.0, a, a), (1.0, b, b)], power=1.0)
        half = np.sqrt(0.5)
        # Item 1 lacks the first kind of evidence.
        np.testing.assert_allclose(kernel, [[1.0, half / 4], [half / 4, 0.25]], rtol=1e-6)
        np.testing.assert_allclose(
            compute_kernel([(3.0, a, a), (1.0, b, b)], 2.0), kernel**2, rtol=1e-6
        )

    def test_gaps_leave_it_positive_semi_definite(self):
        """Else the regression blows up where half of the items lack something."""
        generator = np.random.default_rng(0)
        evidence = []
        for weight in (1.0, 2.0, 0.5):
            rows = np.abs(generator.standard_normal((60, 8))).astype(np.float32)
            rows[generator.random(60) < 0.5] = 0.0
            evidence.append((weight, rows, rows))
        assert np.linalg.eigvalsh(compute_kernel(evidence, 2.0)).min() > -1e-5

    def test_opposite_vectors_are_not_alike(self):
        a = np.array([[1.0], [-1.0]], np.float32)
        assert compute_kernel([(1.0, a, a)], 1.0)[0, 1] == 0.0

    def test_evidence_is_every_content_and_the_categorical_attributes_together(self):
        weights = dict(get_evidence_weights(make_config()))
        assert weights == {"title": 1.0, "people": 1.0, "genre": 0.5, "brand": 0.5}
        config = make_config(new_items=NewItemsConfig(evidence=(("title", 2.0),)))
        assert get_evidence_weights(config) == (("title", 2.0),)


def compute_coefficients(catalogue, new, block=100):
    alpha = np.full((NUM_ITEMS, len(new)), np.nan, np.float32)
    for part, columns in iterate_coefficients(
        make_config(), catalogue, np.arange(NUM_ITEMS), new, block
    ):
        assert len(part) <= block
        alpha[:, part] = columns
    return alpha


def test_blocks_change_no_coefficient_and_leave_no_item_out(planted):
    catalogue, again = planted.catalogue, np.arange(9)
    catalogue = dataclasses.replace(
        catalogue,
        values={
            name: AttributeValues(part.names, scipy.sparse.csr_matrix(part.matrix.shape))
            for name, part in catalogue.values.items()
        },
        features={
            name: scipy.sparse.vstack([rows[:5], scipy.sparse.csr_matrix(rows[5:].shape)]).tocsr()
            for name, rows in catalogue.features.items()
        },
    )
    whole = compute_coefficients(catalogue, again)
    assert np.abs(whole[:, :5]).max(axis=0).min() > 0 and not whole[:, 5:].any()
    np.testing.assert_allclose(compute_coefficients(catalogue, again, 2), whole, atol=1e-5)


def test_a_twin_counts_more_than_any_other_item(planted):
    catalogue = planted.catalogue
    twins = take_items(catalogue, [*range(NUM_ITEMS), 8])
    twins = dataclasses.replace(twins, item_ids=(*catalogue.item_ids, "twin"))
    alpha = compute_coefficients(twins, np.array([NUM_ITEMS]))
    assert alpha.shape == (NUM_ITEMS, 1)
    assert alpha[:, 0].argmax() == 8


def test_an_item_of_which_little_is_known_is_a_mean_of_its_like_and_no_more(planted):
    """Many items of one genre do not add up: known by its genre alone, it is one of them."""
    catalogue = take_items(planted.catalogue, [*range(NUM_ITEMS), 8])
    genre = catalogue.values["genre"]

    def only_old(matrix):
        kept = np.ones(NUM_ITEMS + 1, np.float32)
        kept[-1] = 0.0
        part = scipy.sparse.csr_matrix(scipy.sparse.diags(kept) @ matrix)
        part.eliminate_zeros()
        return part

    catalogue = Catalogue(
        (*planted.catalogue.item_ids, "new"),
        {
            name: values
            if name == "genre"
            else AttributeValues(values.names, only_old(values.matrix))
            for name, values in catalogue.values.items()
        },
        {name: only_old(features) for name, features in catalogue.features.items()},
    )
    alpha = compute_coefficients(catalogue, np.array([NUM_ITEMS]))[:, 0]
    assert 0.3 < alpha.sum() < 1.5
    alike = (genre.matrix[:NUM_ITEMS] @ genre.matrix[8].T).toarray().ravel() > 0
    assert alpha[alike].sum() > np.abs(alpha[~alike]).sum()


class TestAttach:
    def test_old_items_keep_their_scores_bit_for_bit(self, warm_fit, attached):
        before, after = compute_scores(warm_fit), compute_scores(attached)
        assert after.shape[1] == before.shape[1] + len(COLD)
        np.testing.assert_array_equal(
            attached.model.item_tower.residual.numpy()[: before.shape[1]],
            warm_fit.model.item_tower.residual.numpy(),
        )
        np.testing.assert_allclose(after[:, : before.shape[1]], before, rtol=1e-5, atol=1e-6)

    def test_the_fitted_model_is_not_changed(self, planted, warm_fit):
        before = compute_scores(warm_fit)
        attach_items(warm_fit, take_items(planted.catalogue, COLD))
        np.testing.assert_array_equal(compute_scores(warm_fit), before)

    def test_users_find_new_items_that_they_would_take(self, planted, attached):
        """Against chance: held-out purchases of items that training has never seen."""
        scores = compute_scores(attached)[:, -len(COLD) :]
        taken = (planted.interactions.known + planted.test)[:, COLD].toarray() > 0
        users = taken.any(axis=1) & ~taken.all(axis=1)
        # Of a pair of cold items, one taken and one not, the taken one must come first.
        wins = [
            (scores[u][taken[u]][:, None] > scores[u][~taken[u]][None]).mean()
            for u in np.flatnonzero(users)
        ]
        assert np.mean(wins) > 0.65

    def test_the_scale_is_that_of_other_items(self, attached):
        scores = compute_scores(attached)
        ratio = scores[:, -len(COLD) :].std() / scores[:, : -len(COLD)].std()
        assert 0.2 < ratio < 5

    def test_contributions_add_up_for_new_items(self, attached):
        recommender = Recommender(attached)
        outputs = recommender.explain(["user 00"], item_id=[attached.catalogue.item_ids[-1]])
        index = attached.catalogue.num_items - 1
        expected = compute_scores(attached)[0, index]
        assert outputs["score"].numpy()[0] == pytest.approx(expected, abs=1e-5)
        assert outputs["contributions"].numpy().sum() == pytest.approx(expected, abs=1e-5)

    def test_an_item_of_which_nothing_is_known_scores_nothing(self, planted, warm_fit):
        blank = take_items(planted.catalogue, [0])
        empty = Catalogue(
            ("blank",),
            {n: AttributeValues(v.names, v.matrix * 0) for n, v in blank.values.items()},
            {n: f * 0 for n, f in blank.features.items()},
        )
        for part in (*(v.matrix for v in empty.values.values()), *empty.features.values()):
            part.eliminate_zeros()
        scores = compute_scores(attach_items(warm_fit, empty))
        np.testing.assert_allclose(scores[:, -1], 0.0, atol=1e-6)

    def test_again_and_again(self, planted, warm_fit, attached):
        first = attach_items(warm_fit, take_items(planted.catalogue, COLD[:3]))
        both = attach_items(first, take_items(planted.catalogue, COLD[3:]))
        # Items without interactions teach nothing, so the order of attaching does not matter.
        np.testing.assert_allclose(
            compute_scores(both), compute_scores(attached), rtol=1e-4, atol=1e-5
        )

    def test_an_item_that_is_there_is_refused(self, planted, attached):
        with pytest.raises(ValueError, match=r"must not be in the catalogue yet.*'item 02'"):
            attach_items(attached, take_items(planted.catalogue, COLD[:1]))

    def test_unknown_values_are_refused(self, planted, warm_fit):
        new = take_items(planted.catalogue, COLD[:1])
        genre = new.values["genre"]
        values = {**new.values, "genre": AttributeValues(("x", *genre.names[1:]), genre.matrix)}
        with pytest.raises(ValueError, match=r"values of 'genre' .*unknown: \['x'\]"):
            attach_items(warm_fit, dataclasses.replace(new, values=values))

    def test_features_of_another_encoder_are_refused(self, planted, warm_fit):
        new = take_items(planted.catalogue, COLD[:1])
        features = {**new.features, "title": new.features["title"][:, :3]}
        with pytest.raises(ValueError, match=r"features of 'title' .* Received: 3"):
            attach_items(warm_fit, dataclasses.replace(new, features=features))


def silence(interactions):
    """Takes the cold items out of training, and all of validation."""
    silent = np.ones(NUM_ITEMS, np.float32)
    silent[COLD] = 0.0
    train = scipy.sparse.csr_matrix(
        interactions.train @ scipy.sparse.diags(silent), dtype=np.float32
    )
    train.eliminate_zeros()
    none = scipy.sparse.csr_matrix(train.shape, dtype=np.float32)
    return Interactions(interactions.user_ids, train, none)


def test_items_without_interactions_are_placed_while_fitting(planted):
    """Where there is no validation that could speak against it."""
    known = planted.interactions
    result = fit(make_config(training={"epochs": 0}), planted.catalogue, silence(known))
    scores = result.model.compute_scores(result.interactions.known)
    taken = (known.known + planted.test)[:, COLD].toarray() > 0
    cold = scores[:, COLD]
    assert cold[taken].mean() > cold[~taken].mean()
    assert cold.std() > 0.2 * np.delete(scores, COLD, axis=1).std()


def test_validation_decides_whether_silent_items_are_new_or_unwanted(planted):
    """The same catalogue: once users go on to take the silent items, once they never do."""
    known = planted.interactions
    wanted = np.zeros(NUM_ITEMS, np.float32)
    wanted[COLD] = 1.0
    later = known.known + planted.test
    lines = {}
    for name, kept in (("new", wanted), ("unwanted", 1.0 - wanted)):
        validation = scipy.sparse.csr_matrix(later @ scipy.sparse.diags(kept), dtype=np.float32)
        validation.eliminate_zeros()
        interactions = silence(known)
        validation = validation - validation.multiply(interactions.train)
        validation.eliminate_zeros()
        interactions = dataclasses.replace(interactions, validation=validation)
        said = []
        config = make_config(training={"epochs": 0, "refit": False})
        fit(config, planted.catalogue, interactions, progress=said.append)
        lines[name] = said
    assert any("placed by their content: 8" in line for line in lines["new"])
    assert not any("placed by their content" in line for line in lines["unwanted"])


def test_new_items_are_no_larger_than_others_for_anybody(planted, attached):
    """Likeness to every item of a long history must not add up to more than any old score."""
    scores = compute_scores(attached)
    size = np.sqrt(np.mean(np.square(scores), axis=0))
    assert size[-len(COLD) :].max() < 1.25 * np.quantile(size[: -len(COLD)], 0.9)


class TestOnDisk:
    def test_what_is_loaded_scores_as_what_was_written(self, tmp_path, attached):
        write_fit_result(attached, tmp_path)
        loaded = load_fit_result(tmp_path)
        np.testing.assert_array_equal(compute_scores(loaded), compute_scores(attached))
        assert loaded.catalogue.item_ids == attached.catalogue.item_ids
        assert loaded.model.config == attached.model.config
        np.testing.assert_array_equal(loaded.modality_weights, attached.modality_weights)

    def test_what_is_loaded_can_be_given_items(self, tmp_path, planted, warm_fit, attached):
        write_fit_result(warm_fit, tmp_path)
        later = attach_items(load_fit_result(tmp_path), take_items(planted.catalogue, COLD))
        np.testing.assert_allclose(compute_scores(later), compute_scores(attached), rtol=1e-6)

    def test_what_is_loaded_is_as_sure_of_values_as_what_was_written(self, tmp_path, warm_fit):
        warm_fit.content.temperatures.assign([2.0, 0.5, 3.0])
        try:
            write_fit_result(warm_fit, tmp_path)
        finally:
            warm_fit.content.temperatures.assign([1.0, 1.0, 1.0])
        loaded = load_fit_result(tmp_path).content
        np.testing.assert_array_equal(np.asarray(loaded.temperatures), [2.0, 0.5, 3.0])

    def test_dense_features_come_back(self, tmp_path, warm_fit):
        dense = {n: f.toarray() for n, f in warm_fit.catalogue.features.items()}
        catalogue = dataclasses.replace(warm_fit.catalogue, features=dense)
        write_fit_result(dataclasses.replace(warm_fit, catalogue=catalogue), tmp_path)
        loaded = load_fit_result(tmp_path).catalogue.features["title"]
        assert isinstance(loaded, np.ndarray)
        np.testing.assert_array_equal(loaded, dense["title"])

    def test_repetition_costs_no_space(self, tmp_path, warm_fit):
        catalogue = warm_fit.catalogue
        dense = {"title": np.ones((catalogue.num_items, 50_000), np.float32)}
        result = dataclasses.replace(
            warm_fit, catalogue=dataclasses.replace(catalogue, features=dense), content=None
        )
        write_fit_result(result, tmp_path)
        assert (tmp_path / "arrays.npz").stat().st_size < dense["title"].nbytes / 10
        loaded = load_fit_result(tmp_path).catalogue.features["title"]
        np.testing.assert_array_equal(loaded, dense["title"])

    def test_a_folder_without_one_is_named(self, tmp_path):
        with pytest.raises(ValueError, match=f"There is no fitted model.*{tmp_path.name}"):
            load_fit_result(tmp_path)

    def test_another_format_is_refused(self, tmp_path, warm_fit):
        write_fit_result(warm_fit, tmp_path)
        state = tmp_path / "state.json"
        state.write_text(state.read_text().replace(f'"format": {FORMAT}', '"format": 99'))
        with pytest.raises(ValueError, match=rf"format {FORMAT}; train it again.*Received: 99"):
            load_fit_result(tmp_path)


def test_without_evidence_items_without_interactions_stay_where_they_are(planted):
    """Numeric attributes alone: there is no telling what an item is like."""
    names = ("year",)
    config = dataclasses.replace(
        make_config(training={"epochs": 0}, start={"side_information": ()}),
        attributes=make_config().attributes[:1],
        modalities=make_config().modalities[:1],
    )
    catalogue = dataclasses.replace(
        planted.catalogue, values={name: planted.catalogue.values[name] for name in names}
    )
    silent = np.ones(NUM_ITEMS, np.float32)
    silent[COLD] = 0.0
    parts = []
    for part in (planted.interactions.train, planted.interactions.validation):
        parts.append(scipy.sparse.csr_matrix(part @ scipy.sparse.diags(silent), dtype=np.float32))
        parts[-1].eliminate_zeros()
    result = fit(config, catalogue, Interactions(planted.interactions.user_ids, *parts))
    assert np.isfinite(compute_scores(result)).all()


def test_attaching_learns_from_what_the_model_was_fitted_on(planted, warm_fit):
    without_refit = dataclasses.replace(
        warm_fit.model.config,
        training=dataclasses.replace(warm_fit.model.config.training, refit=False, epochs=0),
    )
    result = fit(without_refit, warm_fit.catalogue, warm_fit.interactions)
    assert result.fitted_on is result.interactions.train
    assert warm_fit.fitted_on.nnz == warm_fit.interactions.known.nnz
    attached = attach_items(result, take_items(planted.catalogue, COLD))
    again = attach_items(
        dataclasses.replace(
            result,
            interactions=dataclasses.replace(
                result.interactions, validation=result.interactions.validation * 0
            ),
        ),
        take_items(planted.catalogue, COLD),
    )
    np.testing.assert_array_equal(
        attached.model.user_tower.query.numpy(), again.model.user_tower.query.numpy()
    )
