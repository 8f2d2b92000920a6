"""The item index against numpy, and as TFRS's own interface."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_recommenders as tfrs

from addrl_keras.layers.retrieval import AttributeTopK

GENERATOR = np.random.default_rng(0)
ITEMS = GENERATOR.standard_normal((9, 5)).astype(np.float32)
QUERIES = GENERATOR.standard_normal((4, 5)).astype(np.float32)
IDS = np.array([f"i{n}" for n in range(9)])


@pytest.fixture(scope="module")
def index():
    return AttributeTopK(chunk_dims=(2, 3), k=4).index(ITEMS, IDS)


def test_it_finds_what_tfrs_brute_force_finds(index):
    brute = tfrs.layers.factorized_top_k.BruteForce(k=4).index(ITEMS, IDS)
    for queries in (QUERIES, QUERIES[:1]):
        for one, other in zip(index(queries), brute(queries), strict=True):
            if one.dtype == tf.string:
                np.testing.assert_array_equal(one, other)
            else:
                np.testing.assert_allclose(one, other, rtol=1e-5)
    assert index.is_exact()
    assert isinstance(index, tfrs.layers.factorized_top_k.TopK)


@pytest.mark.parametrize("k", [1, 9])
def test_k_may_be_given_at_run_time(index, k):
    scores, ids = index(tf.constant(QUERIES), k=tf.constant(k))
    expected = np.sort(QUERIES @ ITEMS.T, axis=1)[:, ::-1][:, :k]
    np.testing.assert_allclose(scores, expected, rtol=1e-5)
    assert ids.shape == (4, k)


@pytest.mark.parametrize("count", [1, 3, 8])
def test_exclusions_may_vary_in_number_and_repeat(index, count):
    exclusions = np.tile(IDS[:count], (4, 1))
    exclusions[:, -1] = exclusions[:, 0]
    scores, ids = index.query_with_exclusions(tf.constant(QUERIES), tf.constant(exclusions), k=9)
    left = 9 - len(set(exclusions[0]))
    names = ids.numpy().astype(str)
    for row in range(4):
        assert not set(names[row, :left]) & set(exclusions[row])
        assert np.isfinite(scores[row, :left]).all()
        assert np.isneginf(scores[row, left:]).all()


def test_ids_that_are_not_there_exclude_nothing(index):
    scores, _ = index.query_with_exclusions(tf.constant(QUERIES), tf.constant([["zz"]] * 4))
    np.testing.assert_allclose(scores, index(QUERIES)[0])


def test_equal_scores_keep_the_order_of_the_catalogue():
    index = AttributeTopK((1,), k=3).index(np.array([[1.0], [2.0], [2.0], [1.0]], np.float32))
    _, items = index(tf.constant([[1.0], [0.0]]))
    assert items.numpy().tolist() == [[1, 2, 0], [0, 1, 2]]


def test_only_what_is_allowed_is_found(index):
    allowed = np.zeros((4, 9), bool)
    allowed[:, 3] = True
    scores, items = index.search(index.compute_scores(QUERIES), 2, tf.constant(allowed))
    assert (items[:, 0].numpy() == 3).all()
    assert np.isneginf(scores[:, 1]).all()


def test_contributions_are_the_dot_products_of_the_chunks(index):
    where = np.array([[0, 8], [1, 1], [2, 3], [8, 0]])
    parts = np.asarray(index.compute_contributions(QUERIES, where))
    gathered = ITEMS[where]
    first = np.einsum("bd,bkd->bk", QUERIES[:, :2], gathered[..., :2])
    second = np.einsum("bd,bkd->bk", QUERIES[:, 2:], gathered[..., 2:])
    np.testing.assert_allclose(parts, np.stack([first, second], axis=-1), rtol=1e-4, atol=1e-5)
    scores = np.take_along_axis(np.asarray(index.compute_scores(QUERIES)), where, axis=1)
    np.testing.assert_allclose(parts.sum(axis=-1), scores, atol=1e-5)


def test_an_empty_index_a_wrong_width_and_wrong_ids_are_refused():
    with pytest.raises(ValueError, match=r"at least one positive width\. Received: \(2, 0\)"):
        AttributeTopK((2, 0))
    index = AttributeTopK((2, 3))
    with pytest.raises(ValueError, match="index is empty"):
        index.compute_scores(QUERIES)
    with pytest.raises(ValueError, match="index is empty"):
        index.query_with_exclusions(QUERIES, IDS[:1, None])
    with pytest.raises(ValueError, match=r"\[num_items, 5\], the sum of chunk_dims.*\(9, 4\)"):
        index.index(ITEMS[:, :4])
    with pytest.raises(ValueError, match=r"identifiers must have the shape \(9,\)"):
        index.index(ITEMS, IDS[:3])
