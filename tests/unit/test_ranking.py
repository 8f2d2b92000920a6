"""Ranking metrics against closed forms, and against the protocol script where it is."""

import importlib.util
import math
import pathlib

import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from addrl_keras.metrics.ranking import (
    PADDING,
    compute_hits,
    compute_ndcg_at_k,
    compute_ranking_metrics,
    compute_recall_at_k,
    compute_sliced_metrics,
    rank_items,
)

PROTOCOL = pathlib.Path(__file__).resolve().parents[3] / "shared" / "tools" / "protocol.py"


def _csr(rows):
    return scipy.sparse.csr_matrix(np.asarray(rows, dtype=np.float32))


def test_rank_items_leaves_known_items_out():
    scores = np.array([[5.0, 4.0, 3.0, 2.0]])
    assert rank_items(scores, _csr([[1, 0, 1, 0]]), k=2).tolist() == [[1, 3]]
    assert scores.tolist() == [[5.0, 4.0, 3.0, 2.0]]  # not changed


def test_rank_items_breaks_ties_by_the_lower_index():
    scores = np.array([[1.0, 2.0, 2.0, 1.0, 2.0], [0.0, 0.0, 0.0, 0.0, 0.0]])
    ranked = rank_items(scores, _csr(np.zeros((2, 5))), k=4)
    assert ranked.tolist() == [[1, 2, 4, 0], [0, 1, 2, 3]]


def test_rank_items_pads_a_user_who_has_nearly_everything():
    ranked = rank_items(np.ones((1, 3)), _csr([[1, 0, 1]]), k=3)
    assert ranked.tolist() == [[1, PADDING, PADDING]]


def test_rank_items_equals_a_stable_sort():
    generator = np.random.default_rng(0)
    scores = generator.integers(0, 6, size=(40, 30)).astype(np.float32)
    known = _csr(generator.random((40, 30)) < 0.2)
    masked = np.where(known.toarray() > 0, -np.inf, scores)
    expected = np.argsort(-masked, axis=1, kind="stable")[:, :10]
    np.testing.assert_array_equal(rank_items(scores, known, k=10), expected)


@pytest.mark.parametrize("k", [0, 4, -1])
def test_rank_items_refuses_k_out_of_range(k):
    with pytest.raises(ValueError, match=rf"1\.\.3.*Received: {k}"):
        rank_items(np.ones((1, 3)), _csr([[0, 0, 0]]), k=k)


def test_rank_items_refuses_nan_and_other_shapes():
    with pytest.raises(ValueError, match="row 1"):
        rank_items(np.array([[1.0, 2.0], [np.nan, 1.0]]), _csr(np.zeros((2, 2))), k=1)
    with pytest.raises(ValueError, match=r"\(1, 2\) and \(1, 3\)"):
        rank_items(np.ones((1, 2)), _csr([[0, 0, 0]]), k=1)


def test_hits_do_not_count_padding_as_item_0():
    assert compute_hits(np.array([[1, PADDING]]), _csr([[1, 0]])).tolist() == [[False, False]]


def test_recall_and_ndcg_in_closed_form():
    ranked = np.array([[3, 0, 1], [0, 1, 2], [2, 1, 0]])
    relevant = _csr([[1, 0, 1, 0], [1, 1, 1, 1], [0, 0, 0, 0]])
    recall = compute_recall_at_k(ranked, relevant)
    np.testing.assert_allclose(recall, [1 / 2, 3 / 4, np.nan])
    # One hit at position 2, of two relevant: ideal is both at positions 1 and 2.
    first = (1 / math.log2(3)) / (1 + 1 / math.log2(3))
    # Four relevant but only three positions: the ideal has three, so a full list is perfect.
    np.testing.assert_allclose(compute_ndcg_at_k(ranked, relevant), [first, 1.0, np.nan])


def test_ndcg_divides_by_all_relevant_items_not_by_the_hits():
    # The flattering variant would give 1 here.
    value = compute_ndcg_at_k(np.array([[0, 3]]), _csr([[1, 1, 0, 0]]))[0]
    assert value == pytest.approx(1 / (1 + 1 / math.log2(3)))


def test_metrics_average_over_users_with_known_and_relevant_items():
    known = _csr([[1, 0, 0, 0], [0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]])
    relevant = _csr([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]])

    def score(history):
        return np.tile([4.0, 3.0, 2.0, 1.0], (history.shape[0], 1))

    metrics = compute_ranking_metrics(score, known, relevant, k=1, batch_size=1)
    # User 0 finds item 1 at the top; user 3 gets item 0 instead of 3; users 1 and 2 do not count.
    assert metrics == {"recall_at_1": 0.5, "ndcg_at_1": 0.5, "num_users": 2}


def test_metrics_do_not_depend_on_the_batch_size():
    generator = np.random.default_rng(1)
    known, relevant = (_csr(generator.random((50, 30)) < 0.1) for _ in range(2))
    weights = generator.random((30, 30))
    results = [
        compute_ranking_metrics(lambda x: x @ weights, known, relevant, 5, size) for size in (7, 99)
    ]
    assert results[0] == pytest.approx(results[1])


def test_metrics_refuse_to_average_nothing():
    with pytest.raises(ValueError, match="0 relevant"):
        compute_ranking_metrics(lambda x: x.toarray(), _csr([[1, 0]]), _csr([[0, 0]]), k=1)


def test_sliced_metrics_in_closed_form():
    ranked = np.array([[0, 1], [3, 2]])
    relevant = _csr([[1, 0, 0, 1], [0, 0, 0, 1]])
    # Pairs: (user 0, item 0) hit at 1; (user 0, item 3) missed; (user 1, item 3) hit at 1.
    metrics = compute_sliced_metrics(ranked, relevant, np.array([False, False, False, True]), k=2)
    assert metrics["recall_at_2"] == pytest.approx(1 / (1 / 2 + 1))
    assert metrics["ndcg_at_2"] == pytest.approx(1 / (1 / 2 + 1))
    everything = compute_sliced_metrics(ranked, relevant, np.ones(4, bool), k=2)
    assert everything["recall_at_2"] == pytest.approx(compute_recall_at_k(ranked, relevant).mean())
    assert everything["ndcg_at_2"] == pytest.approx(compute_ndcg_at_k(ranked, relevant).mean())
    empty = compute_sliced_metrics(ranked, relevant, np.array([False, True, True, False]), k=2)
    assert math.isnan(empty["recall_at_2"])


@pytest.mark.skipif(not PROTOCOL.exists(), reason=f"needs the protocol script at {PROTOCOL}")
def test_metrics_agree_with_the_protocol_script():
    spec = importlib.util.spec_from_file_location("protocol", PROTOCOL)
    protocol = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(protocol)
    generator = np.random.default_rng(2)
    split = generator.choice(4, size=(60, 80), p=[0.8, 0.1, 0.04, 0.06])
    known, relevant = _csr((split == 1) | (split == 2)), _csr(split == 3)
    scores = generator.random((60, 80)).astype(np.float32)
    frame = pd.DataFrame(
        [
            (f"u{user}", f"i{item}", ("", "train", "validation", "test")[split[user, item]])
            for user, item in np.argwhere(split > 0)
        ],
        columns=["user", "item", "split"],
    )
    ranked = rank_items(scores, known, k=20)
    recommendations = pd.DataFrame(
        [
            (f"u{user}", f"i{item}", position + 1)
            for user, row in enumerate(ranked)
            for position, item in enumerate(row)
        ],
        columns=["user", "item", "rank"],
    )
    expected = protocol.score(frame, recommendations)
    rows = iter(scores[(known.getnnz(1) > 0) & (relevant.getnnz(1) > 0)])
    got = compute_ranking_metrics(
        lambda batch: np.stack([next(rows) for _ in range(batch.shape[0])]), known, relevant
    )
    assert expected["known_items_recommended"] == 0
    assert got["num_users"] == expected["users"]
    assert got["recall_at_20"] == pytest.approx(expected["recall@20"], abs=1e-12)
    assert got["ndcg_at_20"] == pytest.approx(expected["ndcg@20"], abs=1e-12)
