"""The benchmark of accuracy: what it changes, how it scores, which differences it calls real."""

import dataclasses
import itertools

import numpy as np
import pytest
import scipy.sparse
from addrl_data import make_config

from benchmarks import ablations, accuracy, bootstrap, systems
from benchmarks.fitted import Data


@pytest.fixture(scope="module")
def data(planted):
    years = np.arange(planted.catalogue.num_items, dtype=np.float64)
    years[3] = np.nan
    config, numbers = make_config(), {"year": years}
    return Data(config, planted.catalogue, planted.interactions, planted.test, numbers)


def test_every_ablation_is_a_valid_configuration_that_differs(data):
    variants = ablations.make_ablations(data)
    assert {"no_value_heads", "uniform_fusion", "without_title", "without_genre", "bins_10"} <= set(
        variants
    )
    for name, (config, catalogue) in variants.items():
        config.validate()
        catalogue.validate(config)
        assert config != data.config or catalogue is not data.catalogue, name


def test_what_is_left_out_is_named_nowhere(data):
    start = dataclasses.replace(
        data.config.start,
        blend=(("title", 1.0),),
        side_information=(("title", 2.0), ("genre", 1.0)),
    )
    new_items = dataclasses.replace(data.config.new_items, evidence=(("title", 1.0),))
    config = dataclasses.replace(data.config, start=start, new_items=new_items)
    changed = ablations.leave_out(config, "title")
    changed.validate()
    assert changed.start.blend == (("ease", 1.0),)
    assert changed.start.side_information == (("genre", 1.0),)
    assert changed.new_items.evidence == () and "title" not in changed.modality_names


def test_numbers_are_cut_into_bins_of_equal_size(data):
    catalogue = ablations.bin_anew(data, 3)
    matrix = catalogue.values["year"].matrix
    assert matrix.shape[1] == 3 and not matrix[3].nnz
    sizes = np.asarray(matrix.sum(axis=0)).ravel()
    assert sizes.max() - sizes.min() <= 1 and sizes.sum() == data.catalogue.num_items - 1
    assert catalogue.values["genre"] is data.catalogue.values["genre"]


def test_a_difference_is_real_where_it_does_not_hang_on_the_users():
    generator = np.random.default_rng(0)
    reference = generator.random(400)
    noise = generator.normal(0, 0.3, 400)
    same = bootstrap.compare(reference + noise - noise.mean(), reference)
    assert not same["is_real"] and same["low"] < 0 < same["high"]
    better = bootstrap.compare(reference + noise + 0.1 - noise.mean(), reference)
    assert better["is_real"] and better["difference"] == pytest.approx(0.1)
    # The standard error of the mean is .3 / 20; an interval of 95 % is four of them wide.
    assert better["high"] - better["low"] == pytest.approx(4 * 0.3 / 20, rel=0.2)


def test_lists_are_scored_user_by_user_and_known_items_refused():
    known = scipy.sparse.csr_matrix(np.eye(3, 30, dtype=np.float32))
    test = scipy.sparse.csr_matrix(([1.0, 1.0], ([0, 0], [5, 6])), shape=(3, 30))
    interactions = dataclasses.make_dataclass("Known", ["known"])(known)
    data = dataclasses.make_dataclass("Some", ["interactions", "test"])(interactions, test)
    lists = np.tile(np.arange(5, 25), (3, 1))
    lists[0, 1] = 29
    figures = systems.score_lists(lists, data)
    assert figures["recall_at_20"].tolist() == [0.5]
    assert figures["ndcg_at_20"][0] == pytest.approx(1 / (1 + 1 / np.log2(3)))
    lists[1, 0] = 1
    with pytest.raises(ValueError, match="known to have"):
        systems.score_lists(lists, data)


def test_served_lists_hold_nothing_known_and_rank_as_the_model_does(data, fitted):
    lists = systems.recommend_as_served(fitted)
    assert lists.shape == (len(data.interactions.user_ids), 20)
    known = data.interactions.known
    scores = fitted.model.compute_scores(known)
    scores[known.nonzero()] = -np.inf
    free = np.isfinite(scores).sum(axis=1)
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :20]
    for row, (found, wanted) in enumerate(zip(lists, expected, strict=True)):
        size = min(20, free[row])
        close = np.isclose(scores[row][found[:size]], scores[row][wanted[:size]], atol=1e-4)
        assert close.all() and (found[size:] == -1).all()


def test_rows_that_are_measured_again_take_the_place_of_the_old():
    old = [{"system": "b", "value": 1}, {"system": "a", "value": 2}]
    rows = accuracy.merge(old, [{"system": "b", "value": 3}, {"system": "c", "value": 4}], "system")
    assert rows == [
        {"system": "a", "value": 2},
        {"system": "b", "value": 3},
        {"system": "c", "value": 4},
    ]


def test_slices_are_thirds_and_their_means_weigh_up_to_the_whole(data, fitted):
    lists = systems.recommend_as_served(fitted)
    rows = systems.score_slices(lists, data)
    whole = systems.score_lists(lists, data)
    by_users = [row for row in rows if row["by"] == "users"]
    assert sum(row["size"] for row in by_users) == len(whole["recall_at_20"])
    mean = np.average(
        [row["recall_at_20"] for row in by_users], weights=[row["size"] for row in by_users]
    )
    assert mean == pytest.approx(whole["recall_at_20"].mean())
    by_items = [row for row in rows if row["by"] == "items"]
    assert sum(row["size"] for row in by_items) == data.test.nnz
    # Everybody here has two test items, so each interaction weighs the same.
    mean = np.average(
        [row["recall_at_20"] for row in by_items], weights=[row["size"] for row in by_items]
    )
    assert mean == pytest.approx(whole["recall_at_20"].mean())
    borders = [(row["low"], row["high"]) for row in by_items]
    assert all(high < low for (_, high), (low, _) in itertools.pairwise(borders))


def test_what_is_measured_again_replaces_its_rows_and_keeps_the_others(data, monkeypatch):
    kept = {}
    monkeypatch.setattr(accuracy, "load_result", lambda name: kept or {"rows": []})
    monkeypatch.setattr(accuracy, "write_result", lambda name, result: kept.update(result))
    lists = np.tile(np.arange(20), (data.test.shape[0], 1))
    lists = np.where(data.interactions.known.toarray()[:, :20] > 0, -1, lists)
    known = {
        "default": systems.System(lambda seed: lists),
        "other": systems.System(lambda seed: lists, is_variant=True),
    }
    monkeypatch.setattr(systems, "make_systems", lambda preset, data: known)
    for _ in range(2):
        for found in accuracy.measure("planted", data, ["other"], [0]):
            accuracy.add(found)
    assert {row["system"] for row in kept["rows"]} == {"default", "other"}
    assert len(kept["rows"]) == 4 and len(kept["differences"]) == 2
    assert not any(row["is_real"] for row in kept["differences"])
    assert {row["system"] for row in kept["slices"]} == {"default"}
