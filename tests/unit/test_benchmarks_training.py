"""The benchmarks of training: planted data, steps beside their floor, and time to accuracy."""

import dataclasses
import sys

import numpy as np
import pytest
from addrl_data import make_config

from benchmarks import curves, growth, step_time, time_to_accuracy
from benchmarks.fitted import Data

SIZE = {"num_items": 300, "num_users": 120, "per_user": 12}


@pytest.fixture(scope="module")
def data(planted):
    return Data(make_config(), planted.catalogue, planted.interactions, planted.test)


def test_planted_data_fit_the_configuration_and_overlap_nowhere():
    catalogue, interactions, test = growth.make_data(**SIZE)
    config = growth.make_config("sampled_softmax")
    config.validate()
    catalogue.validate(config)
    interactions.validate(catalogue)
    assert interactions.known.multiply(test).nnz == 0
    total = interactions.known.nnz + test.nnz
    assert 0.7 * 120 * 12 < total <= 120 * 12
    assert 0.05 * total < test.nnz < 0.15 * total


def test_every_axis_grows_alone():
    cases = growth.list_cases(100)
    assert len(cases) == 2 * (1 + 3 * 2) and len(growth.list_cases(1)) == 2
    for case in cases:
        changed = {name for name in growth.BASE if case[name] != growth.BASE[name]}
        assert changed == ({growth.AXES[case["axis"]]} if case["factor"] > 1 else set())


def test_a_case_is_measured():
    found = growth.measure({**SIZE, "kind": "sampled_softmax"})
    assert found["seconds"]["start"] > 0 and found["seconds"]["epoch"] > 0
    assert found["gib"]["peak"] >= found["gib"]["data"] > 0
    assert found["recall_at_20"]["trained"] > 20 / SIZE["num_items"]


def test_a_case_that_fails_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", "false")
    assert growth.run({"axis": "items"}) == {"axis": "items", "failed": "error"}
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nexec sleep 60\n", encoding="utf-8")
    slow.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(slow))
    monkeypatch.setattr(growth, "_LIMIT_S", 0.2)
    assert "more than" in growth.run({"axis": "items"})["failed"]


def test_a_step_is_timed_beside_its_products(data, monkeypatch):
    monkeypatch.setattr(step_time, "TURNS", 2)
    model, batches = step_time.prepare(data, "softmax", with_memory=True)
    found = step_time.time_step(model, batches)
    assert set(found) == {
        *("step_ms", "floor_ms", "scores_floor_ms", "ratio", "scores_ratio", "input_ms"),
    }
    assert all(value > 0 for value in found.values())
    model, _ = step_time.prepare(data, "bpr", with_memory=False)
    assert model.memory is None


def test_the_peer_gets_train_and_validation_and_never_the_test(data, monkeypatch, tmp_path):
    monkeypatch.setattr(time_to_accuracy, "FEATURES", {"text_feat": "title"})
    dense = {**data.catalogue.features, "title": data.catalogue.features["title"].toarray()}
    catalogue = dataclasses.replace(data.catalogue, features=dense)
    time_to_accuracy.write_peer_data(dataclasses.replace(data, catalogue=catalogue), tmp_path)
    rows = np.loadtxt(tmp_path / "peer.inter", skiprows=1, dtype=int)
    for label, part in enumerate(
        (data.interactions.train, data.interactions.validation, data.interactions.validation)
    ):
        pairs = rows[rows[:, 2] == label, :2]
        assert {tuple(pair) for pair in pairs} == set(zip(*part.nonzero(), strict=True))
    assert np.load(tmp_path / "text_feat.npy").shape == dense["title"].shape


def test_our_curve_is_what_validation_said(data):
    (first, *_), found = time_to_accuracy.measure_own(data), curves.find_time
    assert first["seconds"] > 0 and 0 < first["recall_at_20"] < 1
    curve = [{"seconds": s, "recall_at_20": r} for s, r in ((1.0, 0.1), (2.0, 0.3), (3.0, 0.2))]
    assert found(curve, 0.2) == 2.0
    assert found(curve, 0.4) is None
    peer = [{"seconds": 10.0, "recall_at_20": 0.2}, {"seconds": 20.0, "recall_at_20": 0.15}]
    result = time_to_accuracy.compare([curve, curve[:2], curve[1:]], peer)
    assert result["peer"]["seconds"] == 10.0
    assert result["own"]["seconds"] == 2.0 and result["ratio"] == 0.2
    assert time_to_accuracy.compare([curve, curve[:1]], peer)["ratio"] is None
