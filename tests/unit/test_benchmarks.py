"""The measurements themselves, on the planted data: what they split, take away and compare."""

import argparse
import dataclasses

import numpy as np
import pytest
import scipy.sparse
from addrl_data import make_config

from benchmarks.encoders import parse_turns
from benchmarks.fitted import Data, check_config, drop_features, score_ranking, take_items
from benchmarks.missing_modalities import drop
from benchmarks.new_items import make_baselines, make_split, remove_modality, score_new
from benchmarks.new_users import make_histories


@pytest.fixture(scope="module")
def data(planted):
    return Data(make_config(), planted.catalogue, planted.interactions, planted.test)


@pytest.fixture(scope="module")
def split(data):
    return make_split(data, blank=("year",))


def test_new_items_are_in_no_training_and_bring_nothing_counted_on_purchases(data, split):
    new = split.new.num_items
    assert 0 < new < data.catalogue.num_items
    assert not set(split.new.item_ids) & set(split.old.item_ids)
    assert split.interactions.train.shape[1] == split.old.num_items
    assert not split.known[:, -new:].nnz
    assert not split.new.values["year"].matrix.nnz and split.new.values["genre"].matrix.nnz
    assert split.test.nnz == data.test.nnz


def test_a_system_is_scored_among_new_items_and_in_the_whole_catalogue(split):
    num_old, new = split.old.num_items, split.new.num_items

    def old_items_first(history):
        scores = np.zeros(history.shape, np.float32)
        scores[:, :num_old] = 1.0
        return scores

    figures = score_new(split, old_items_first)
    # Fewer new items than places: among themselves all are found, behind 36 others none.
    assert new <= 20 and figures["among_new"]["recall_at_20"] == 1.0
    assert figures["new_in_catalogue"]["recall_at_20"] < 0.1
    assert 0 < figures["all_in_catalogue"]["recall_at_20"] < 1


def test_baselines_score_all_items(split):
    for name, scores in make_baselines(split).items():
        values = np.asarray(scores(split.known[:3]))
        assert values.shape == (3, split.known.shape[1]), name


def test_a_modality_is_removed_wherever_it_is_named():
    config = remove_modality(make_config(), "title")
    config.validate()
    assert "title" not in config.modality_names
    assert config.start.side_information == (("genre", 1.0),)


def test_features_are_dropped_of_the_share_asked_for(planted):
    dropped = drop(planted.catalogue, ["title"], 0.5)
    had = planted.catalogue.features["title"].getnnz(axis=1) > 0
    has = dropped.features["title"].getnnz(axis=1) > 0
    assert not (has & ~had).any()
    assert has.sum() < had.sum()
    dense = {n: f.toarray() for n, f in planted.catalogue.features.items()}
    both = take_items(planted.catalogue, np.arange(planted.catalogue.num_items))
    for name, part in dense.items():
        assert not drop_features(both, name, np.array([1])).features[name][1].nnz
        assert part.shape == both.features[name].shape


def test_histories_are_parts_of_what_is_known(planted):
    known = planted.interactions.known
    long = known[np.diff(known.indptr) >= 10]
    for name, history in make_histories(long, seed=0).items():
        assert not (history - history.multiply(long)).nnz
        if name != "all":
            assert set(np.diff(history.indptr)) == {int(name)}


def test_a_ranking_is_scored_over_users_with_both(planted):
    known = planted.interactions.known
    none = scipy.sparse.csr_matrix(known.shape, dtype=np.float32)
    with pytest.raises(ValueError, match="No user has both"):
        score_ranking(lambda history: np.zeros(history.shape), known, none)


def test_a_model_that_the_preset_would_not_make_today_is_not_measured():
    now = make_config()
    check_config("planted", make_config(), now)
    training = dataclasses.replace(now.training, content_epochs=3)
    was = dataclasses.replace(now, training=training)
    with pytest.raises(SystemExit, match=r"training\.content_epochs = 3, and the preset has \d+"):
        check_config("planted", was, now)
    first = dataclasses.replace(now.attributes[0], bins=7)
    was = dataclasses.replace(now, attributes=(first, *now.attributes[1:]))
    with pytest.raises(SystemExit, match=r"attributes\.0\.bins = 7, and the preset has 3"):
        check_config("planted", was, now)
    was = dataclasses.replace(now, attributes=now.attributes[:2])
    with pytest.raises(SystemExit, match=r"Received: attributes = \("):
        check_config("planted", was, now)


def test_encoders_are_timed_often_enough_to_see_the_spread():
    assert parse_turns("5") == 5
    for text in ("4", "many", "-6"):
        with pytest.raises(argparse.ArgumentTypeError, match=f"from 5 on. Received: '{text}'"):
            parse_turns(text)
