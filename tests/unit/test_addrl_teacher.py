"""The blend of teachers: each part against its definition."""

import dataclasses

import numpy as np
import pytest
from addrl_data import make_config

from addrl_keras.baselines.item_knn import compute_similarity, keep_neighbours
from addrl_keras.config import StartConfig
from addrl_keras.teacher import compute_content_neighbours, compute_low_pass, compute_teacher


def test_content_neighbours_are_the_nearest_to_a_power():
    rows = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [0.2, 1.0]], np.float32)
    weights = compute_content_neighbours(rows, neighbours=1, power=2.0)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    cosine = (unit @ unit.T) ** 2
    assert np.count_nonzero(weights, axis=0).tolist() == [1, 1, 1, 1]
    assert weights[1, 0] == pytest.approx(cosine[1, 0])
    assert weights[3, 2] == pytest.approx(cosine[3, 2])


def test_a_blend_is_the_weighted_sum_of_parts_of_equal_size(planted):
    train, catalogue = planted.interactions.train, planted.catalogue
    start = StartConfig(
        blend=(("ease", 1.0), ("item_knn", 0.5), ("title", 0.25), ("genre", 0.0)),
        knn_shrink=3.0,
        knn_neighbours=10,
        content_neighbours=5,
    )
    knn = keep_neighbours(compute_similarity(train, 3.0, 0.7), 10).toarray()
    title = compute_content_neighbours(catalogue.features["title"], 5, 4.0)
    ease = compute_teacher(train, catalogue, dataclasses.replace(start, blend=(("ease", 1.0),)))
    expected = sum(
        weight * part / np.abs(part).sum(axis=1).mean()
        for weight, part in ((1.0, ease), (0.5, knn), (0.25, title))
    )
    np.testing.assert_allclose(compute_teacher(train, catalogue, start), expected, rtol=1e-4)
    assert not np.diag(expected).any()


def test_the_low_pass_filter_is_a_projector(planted):
    train = planted.interactions.train
    weights = compute_low_pass(train, 5)
    degrees = [np.maximum(np.asarray(train.sum(axis=axis)).ravel(), 1) for axis in (1, 0)]
    normalised = train.toarray() / np.sqrt(np.outer(*degrees))
    _, _, vectors = np.linalg.svd(normalised)
    expected = vectors[:5].T @ vectors[:5]
    np.fill_diagonal(expected, 0.0)
    np.testing.assert_allclose(weights, expected, atol=1e-4)
    np.testing.assert_array_equal(compute_low_pass(train, 5), weights)
    assert np.isfinite(compute_low_pass(train, 10_000)).all()


def test_the_popularity_exponent_favours_what_many_took(planted):
    train, catalogue = planted.interactions.train, planted.catalogue
    plain = compute_teacher(train, catalogue, StartConfig())
    weights = compute_teacher(train, catalogue, StartConfig(popularity_exponent=0.5))
    counts = np.maximum(np.asarray(train.sum(axis=0)).ravel(), 1.0)
    expected = np.diag(counts**-0.5) @ plain @ np.diag(counts**0.5)
    np.testing.assert_allclose(weights, expected, rtol=1e-4, atol=1e-6)


def test_a_modality_that_no_item_has_adds_nothing(planted):
    train, catalogue = planted.interactions.train, planted.catalogue
    empty = dataclasses.replace(catalogue, features={"title": np.zeros((40, 3), np.float32)})
    alone = StartConfig(blend=(("ease", 1.0), ("item_knn", 0.0)))
    both = StartConfig(blend=(("ease", 1.0), ("title", 1.0)))
    np.testing.assert_allclose(
        compute_teacher(train, empty, both), compute_teacher(train, empty, alone)
    )


@pytest.mark.parametrize(
    ("blend", "message"),
    [
        ((), "needs at least one part.*Received: \\(\\)"),
        ((("ease", 0.0),), "needs at least one part"),
        ((("ease", -1.0),), "start.blend\\['ease'\\] must be"),
        ((("photo", 1.0),), "start.blend must name .*ease.* Received: 'photo'"),
    ],
)
def test_a_bad_blend_is_refused(blend, message):
    with pytest.raises(ValueError, match=message):
        make_config(start={"blend": blend}).validate()
