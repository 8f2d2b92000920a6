"""Benchmarks of reasons, wishes and chunks: what they measure, on data whose answer is known."""

import collections
import dataclasses
import types

import addrl_data
import numpy as np
import pytest

from addrl_keras import fit, probing
from addrl_keras.config import LossConfig
from addrl_keras.control import SYSTEMS, Served, compare, interpolate, sweep
from addrl_keras.metrics.disentanglement import compute_dci, compute_probe_accuracy
from addrl_keras.model import AdDrl
from benchmarks import chunk_maps, disentanglement, explain, explain_tables
from benchmarks.fitted import Data


@pytest.fixture(scope="module")
def data(planted, fitted):
    return Data(fitted.model.config, planted.catalogue, planted.interactions, planted.test)


def test_dci_tells_apart_whole_mixed_and_idle_dimensions():
    assert compute_dci(np.eye(3)) == (1.0, 1.0)
    # All dimensions serve all factors alike: nothing is told apart.
    assert compute_dci(np.ones((4, 4))) == pytest.approx((0.0, 0.0), abs=1e-9)
    # Two dimensions share a factor: each is for one factor, but the factor is in two.
    disentangled, complete = compute_dci(np.array([[1.0, 0], [1, 0], [0, 1]]))
    assert disentangled == 1.0 and complete == pytest.approx((1 - np.log(2) / np.log(3) + 1) / 2)
    # A dimension without use has no weight.
    assert compute_dci(np.array([[1.0, 0], [0, 1], [0, 0]]))[0] == 1.0
    assert compute_dci(np.zeros((3, 2))) == (0.0, 0.0)


class TestControl:
    def test_curves_meet_where_nothing_is_wished_and_follow_a_strong_wish(self, data, fitted):
        users = np.flatnonzero(np.diff(data.test.indptr) > 0)
        served = Served(fitted)
        found = list(sweep(served, data.test, "year", users, (0.0, 50.0)))
        figures = {(system, strength): values for system, strength, values in found}
        assert {system for system, _ in figures} == set(SYSTEMS)
        for name in ("share", "recall", "drift", "total_drift"):
            np.testing.assert_allclose(
                figures["want", 0.0][name], figures["boost", 0.0][name], atol=1e-6
            )
        # Without a wish a list has drifted from itself by nothing.
        np.testing.assert_allclose(figures["want", 0.0]["total_drift"], 0.0, atol=1e-9)
        for system in ("want", "want_hold", "boost"):
            assert figures[system, 50.0]["share"].mean() > figures[system, 0.0]["share"].mean()
        assert (figures["filter", float("inf")]["share"] == 1.0).all()

    def test_systems_are_compared_at_equal_shares(self):
        def make(recalls):
            return [
                {"share": share, "recall": recall, "drift": share}
                for share, recall in zip((0.2, 0.6, 1.0), recalls, strict=True)
            ]

        curves = {"boost": make((0.1, 0.3, 0.5)), "want_hold": make((0.1, 0.5, 0.7))}
        rows = compare(curves)
        assert [row["share"] for row in rows] == [0.5, 0.75, 0.9, 1.0]
        assert [row["is_full"] for row in rows] == [False, False, False, True]
        assert rows[0]["boost"] == {"recall": 0.25, "drift": 0.5}
        assert rows[-1]["want_hold"]["recall"] == 0.7
        assert interpolate(curves["boost"], 0.4, "recall") == 0.2


class TestExplain:
    def test_chunks_are_taken_out_and_put_in(self, data, fitted):
        users = np.flatnonzero(np.diff(data.test.indptr) > 0)[:20]
        found = explain.measure_chunks(fitted.model, data, users, 0)
        for kind in ("deletion", "insertion"):
            for curve in found[kind].values():
                assert len(curve) == 6
        assert found["deletion"]["claimed"][0] == found["insertion"]["claimed"][-1] > 0.8
        assert found["deletion"]["claimed"][-1] == found["insertion"]["claimed"][0] == 0.5
        areas = {name: np.mean(curve) for name, curve in found["deletion"].items()}
        assert areas["claimed"] < areas["random"] < areas["reverse"]

    def test_past_items_are_taken_out(self, data, fitted):
        users = np.flatnonzero(np.diff(data.interactions.known.indptr) > 5)[:20]
        found = explain.measure_past(fitted.model, data, users, 0)
        assert found["claimed"][0] == found["reverse"][0]
        assert found["claimed"][1] < found["random"][1] < found["reverse"][1] + 1e-9

    def test_preferences_are_shares_of_test_items(self, data, fitted):
        users = np.flatnonzero(np.diff(data.test.indptr) > 0)
        found = explain.measure_preferences(fitted, data, users)
        labels = data.catalogue.values["year"].matrix.toarray()
        taken = np.asarray(data.interactions.known.sum(axis=0)).ravel()
        common = (taken @ labels).argmax()
        counts = data.test[users] @ labels
        shares = counts[counts.sum(axis=1) > 0]
        expected = (shares[:, common] / shares.sum(axis=1)).mean()
        assert found["year"]["base_rate"] == pytest.approx(expected, abs=1e-4)
        assert found["year"]["profile"] > found["year"]["base_rate"]


class TestProbes:
    def test_a_chunk_tells_its_own_attribute_and_the_floor_of_others(self, data, fitted):
        labels = probing.get_labels(data.config, data.catalogue)
        chunks = probing.get_chunks(fitted.model)
        assert list(chunks) == ["year", "genre", "brand", "residual", "memory"]
        assert [part.shape[0] for part in chunks.values()] == [40] * 5
        told = probing.probe_all(chunks["year"], labels)
        assert told["year"] > 0.9
        floor = probing.compute_floor(labels)
        assert floor["year"]["year"] == 1.0
        assert set(probing.compute_majorities(labels)) == {"year", "genre", "brand"}

    def test_a_chunk_that_knows_more_than_its_label_is_found_out(self):
        generator = np.random.default_rng(0)
        year, genre = generator.integers(0, 2, (2, 400))
        has_year = np.arange(400) % 2 == 0
        labels = {"year": np.where(has_year, year, -1), "genre": genre}
        own, told = probing.make_one_hot(labels["year"]), probing.make_one_hot(genre)
        splits = range(5)
        # What it holds of items without a label is no leak of the label's.
        for leak, expected in ((has_year, 1.0), (~has_year, None)):
            chunks = {"year": np.hstack([own, told * leak[:, None]]), "genre": told}
            found = disentanglement.probe_known(chunks, labels, splits)["year"]["genre"]
            assert found["num_items"] == 200
            assert 0.4 < found["floor"] < 0.6
            assert found["told"] == (expected or found["floor"])
            whole = probing.probe_all(chunks["year"], labels, splits)["genre"]
            assert whole > probing.compute_floor(labels, splits)["year"]["genre"] + 0.1

    def test_probes_are_averaged_over_splits_that_no_two_seeds_share(self):
        generator = np.random.default_rng(0)
        vectors, values = generator.standard_normal((90, 4)), generator.integers(0, 3, 90)
        splits = [disentanglement.get_splits(seed) for seed in disentanglement.SEEDS]
        assert len({*splits[0], *splits[1], *splits[2]}) == 3 * disentanglement.SPLITS
        each = [compute_probe_accuracy(vectors, values, seed=split) for split in splits[1]]
        assert len(set(each)) > 1
        told, majority = np.mean(each, axis=0)
        found = probing.probe_all(vectors, {"year": values}, splits[1])
        assert found["year"] == pytest.approx(told, abs=1e-4)
        found = probing.compute_majorities({"year": values}, splits[1])
        assert found["year"] == pytest.approx(majority, abs=1e-4)

    def test_of_hidden_values_the_most_frequent_that_is_shown_is_guessed(self, data):
        _, hidden = disentanglement.hide(data.catalogue, 0)
        labels = probing.get_labels(data.config, data.catalogue)["genre"]
        shown, told = (part[part >= 0] for part in (np.delete(labels, hidden), labels[hidden]))
        frequent = collections.Counter(shown.tolist()).most_common(1)[0][0]
        expected = np.mean(told == frequent)
        assert disentanglement.guess_hidden(data.catalogue, 0)["genre"] == pytest.approx(
            expected, abs=1e-4
        )

    def test_a_memory_that_holds_nothing_tells_nothing(self, data, fitted):
        empty = probing.get_chunks(AdDrl(data.config, fitted.model.shape))["memory"]
        assert empty.shape == (40, 1) and not empty.any()

    def test_what_is_hidden_is_hidden_of_all_attributes(self, data):
        shown, hidden = disentanglement.hide(data.catalogue, 0)
        assert len(hidden) == 12
        for name, part in shown.values.items():
            rows = np.diff(part.matrix.indptr)
            assert not rows[hidden].any()
            others = np.setdiff1d(np.arange(40), hidden)
            before = np.diff(data.catalogue.values[name].matrix.indptr)
            np.testing.assert_array_equal(rows[others], before[others])

    def test_controls_are_as_wide_as_the_model(self, data, fitted):
        config = dataclasses.replace(
            data.config, training=dataclasses.replace(data.config.training, epochs=1)
        )
        results = {}
        changed = dataclasses.replace(data, config=config)
        systems = disentanglement.make_systems("none", changed, results)
        own, recall = systems["default"](0)
        assert 0 < recall <= 1
        # Where no epoch was kept the default is its own start.
        assert list(results) == [0]
        results[0] = dataclasses.replace(results[0], epochs=0)
        np.testing.assert_array_equal(systems["start"](0)[0]["residual"], own["residual"])
        for name in ("rotated", "svd", "noise"):
            chunks, _ = systems[name](0)
            assert {k: v.shape for k, v in chunks.items()} == {
                k: v.shape for k, v in own.items() if k != "memory"
            }
        assert set(disentanglement.LOSSES) - set(systems) == {"all_terms"}
        dci = disentanglement.measure_dci(own, probing.get_labels(config, data.catalogue), 0)
        assert 0 <= dci["disentanglement"] <= 1

    def test_the_terms_have_no_part_in_what_is_known(self, data, monkeypatch):
        fitted = []

        def fit_and_keep(config, *parts):
            fitted.append(fit(config, *parts))
            return fitted[-1]

        monkeypatch.setattr("addrl_keras.fit", fit_and_keep)
        training = dataclasses.replace(data.config.training, epochs=0, content_epochs=1)
        config = dataclasses.replace(data.config, training=training)
        systems = disentanglement.make_systems("none", dataclasses.replace(data, config=config), {})
        chunks, recall = systems["no_terms"](0)
        losses = fitted[0].model.config.losses
        assert (losses.intra, losses.inter, losses.value) == (0.0, 0.0, 0.0) and 0 < recall <= 1
        assert fitted[0].model.config.training.seed == 0
        others, _ = systems["no_inter"](0)
        assert (
            fitted[1].model.config.losses == disentanglement.make_losses(config)["no_inter"].losses
        )
        # A known value's chunk is its embedding, whatever the terms.
        labels = probing.get_labels(config, data.catalogue)["brand"]
        for vectors in (chunks["brand"], others["brand"]):
            for value in np.unique(labels[labels >= 0]):
                rows = vectors[labels == value]
                np.testing.assert_allclose(rows, rows[:1].repeat(len(rows), axis=0), rtol=1e-5)
        assert (labels < 0).any() and not np.allclose(chunks["brand"], others["brand"])

    def test_what_is_measured_is_what_is_asked_for(self, data, monkeypatch):
        chunks = {"brand": np.eye(40), "residual": np.ones((40, 1))}
        asked = []

        def make_systems(preset, data, fitted):
            def make(name):
                def make_one(seed):
                    asked.append((name, seed))
                    fitted.update({seed: None} if name == "default" else {})
                    return chunks, 0.5

                return make_one

            return {name: make(name) for name in ("default", "paper", "no_terms", "noise")}

        monkeypatch.setattr(disentanglement, "make_systems", make_systems)
        monkeypatch.setattr(disentanglement, "probe_all", lambda *parts: {"brand": 1.0})
        monkeypatch.setattr(disentanglement, "probe_not_linearly", lambda *parts: {})
        monkeypatch.setattr(disentanglement, "probe_known", lambda *parts: {})
        monkeypatch.setattr(disentanglement, "measure_dci", lambda *parts: {})
        monkeypatch.setattr(disentanglement, "measure_training", lambda *parts: [])
        monkeypatch.setattr(disentanglement, "probe_hidden", lambda *parts: {"brand": 0.5})

        *_, found = disentanglement.measure("hm", data, (0, 1), ("no_terms",))
        assert asked == [("no_terms", 0)] and list(found["systems"]) == ["no_terms"]
        assert [row["seed"] for row in found["hidden"]["no_terms"]] == [0, 1]
        assert list(found["hidden"]) == ["no_terms"]
        assert not {"floor", "majority", "training", "not_linear"} & set(found)

        asked.clear()
        *_, found = disentanglement.measure("hm", data, (0, 1), ("default",))
        assert asked == [(name, seed) for seed in (0, 1) for name in ("default", "noise")]
        assert list(found["hidden"]) == ["most_frequent_value"]
        assert {"floor", "majority", "training", "not_linear"} <= set(found)

    def test_probes_that_are_not_linear_read_what_a_linear_one_cannot(self):
        rng = np.random.default_rng(0)
        vectors = rng.standard_normal((600, 2))
        labels = {"corner": (vectors.prod(axis=1) > 0).astype(int), "many": np.arange(600) % 100}
        found = disentanglement.probe_not_linearly({"both": vectors}, labels, 0)
        assert probing.probe_all(vectors, labels)["corner"] < 0.6
        assert found["network"]["both"]["corner"] > 0.9 and found["trees"]["both"]["corner"] > 0.9
        # A tree a value in every round would take too long.
        assert set(found["trees"]["both"]) == {"corner"}

    def test_concepts_are_named_after_what_they_tell(self):
        rng = np.random.default_rng(0)
        labels = {"a": rng.integers(0, 3, 200), "b": rng.integers(0, 4, 200)}
        about = {name: np.eye(4)[values] for name, values in labels.items()}
        noise = rng.standard_normal((200, 4))
        named = disentanglement.name_concepts([about["b"], noise, about["a"]], labels, 0)
        assert list(named) == ["a", "b", "residual"]
        assert named["a"] is about["a"] and named["b"] is about["b"]
        assert named["residual"] is noise

    def test_training_is_probed_after_every_epoch(self, data):
        labels = probing.get_labels(data.config, data.catalogue)
        training = {"learning_rate": 0.03, "epochs": 0, "content_epochs": 1, "hold_users": 0}
        # As wide as the most values, or a chunk could not tell them all apart.
        model = {"value_dim": len(addrl_data.BRANDS)}
        config = addrl_data.make_config(training=training, model=model)
        result = fit(config, data.catalogue, data.interactions)
        changed = dataclasses.replace(data, config=config)
        rows = disentanglement.measure_training(changed, labels, result)
        assert len(rows) == 1 + disentanglement.EPOCHS
        # No more can be told: a value that no item of a probe has is never its answer.
        most = probing.compute_floor(labels, disentanglement.get_splits(0))
        assert rows[0]["own"] == {name: most[name][name] for name in labels}
        recalls = [row["recall_at_20"] for row in rows]
        assert len(set(recalls)) > 1 and all(0 < each <= 1 for each in recalls)

    def test_the_variants_of_the_terms_are_named(self, data):
        variants = disentanglement.make_losses(data.config)
        assert disentanglement.name_default(data.config) == "all_terms"
        alone = variants["value_alone"].losses
        assert (alone.intra, alone.inter, alone.value) == (0.0, 0.0, LossConfig().value)
        other = dataclasses.replace(data.config, losses=dataclasses.replace(alone, intra=0.7))
        assert disentanglement.name_default(other) == ""


def test_the_tables_read_what_is_measured(monkeypatch):
    row = {"recall": 0.5, "drift": 0.2}
    better = {"recall": 0.6, "drift": 0.1}
    compared = {"is_real": True, "difference": 0.1}
    curves = {"claimed": [0.9, 0.2], "random": [0.9, 0.5], "reverse": [0.9, 0.9]}
    preferences = {"year": {"profile": 0.5, "counting": 0.4, "base_rate": 0.3}}
    probes = {"year": {"year": 1.0}, "residual": {"year": 0.3}}
    results = {
        "control": {
            "presets": {
                "hm": {
                    "year": {
                        "num_users": 900,
                        "curves": {"filter": [{"share": 1.0, "recall": 0.7, "drift": 0.3}]},
                        "compared": [
                            {
                                "share": 1.0,
                                "is_full": True,
                                "boost": row,
                                "want": row,
                                "want_hold": better,
                            }
                        ],
                        "at_full": {"recall": compared, "drift": {**compared, "difference": -0.1}},
                    }
                }
            }
        },
        "explain": {
            "presets": {
                "hm": {
                    "chunks": {"deletion": curves, "insertion": curves},
                    "past": {"counts": [0, 1], **curves},
                    "preferences": preferences,
                }
            }
        },
        "disentanglement": {
            "presets": {
                "hm": {
                    "attributes": ["year"],
                    "majority": {"year": 0.3},
                    "floor": {"year": {"year": 1.0}},
                    "systems": {
                        "default": [
                            {
                                "probes": probes,
                                "dci": {"disentanglement": 0.9, "completeness": 0.8},
                                "recall_at_20": 0.3,
                            }
                        ]
                    },
                    "hidden": {
                        # A seed that the others do not have hides other items.
                        "most_frequent_value": [
                            {"seed": 0, "year": 0.375},
                            {"seed": 1, "year": 0.125},
                        ],
                        **{
                            name: [{"seed": 0, "year": 0.5}]
                            for name in explain_tables._HIDDEN
                            if name != "most_frequent_value"
                        },
                    },
                    "losses": "value_alone",
                    "not_linear": {
                        "linear": {"year": {"year": 0.75}, "residual": {"year": 0.25}},
                        "network": {"year": {"year": 0.99}, "residual": {"year": 0.4}},
                        "trees": {"year": {}, "residual": {"year": 0.35}},
                    },
                    "training": [
                        {
                            "own": {"year": 1.0},
                            "residual": {"year": 0.25},
                            "majority": {"year": 0.3},
                            "recall_at_20": 0.2,
                        }
                    ],
                }
            }
        },
    }
    provenance = {"commit": "abc", "machine": "2 cores", "users": 1000}
    monkeypatch.setattr(
        explain_tables, "load_result", lambda name: {"provenance": provenance, **results[name]}
    )
    control = explain_tables.make_control()
    assert (
        "| hm | year | 1.00 (full) | 0.5000 / 0.200 | 0.5000 / 0.200 | 0.6000 / 0.100 |  "
        "| 0.7000 / 0.300 |" in control
    )
    assert "better than re-ranking on both figures in 1 of 1 rows" in control
    assert "more recall is real for hm year; less drift for hm year" in control
    assert "| deletion, as claimed | 0.900 | 0.200 | 0.550 |" in explain_tables.make_faithfulness()
    assert "| as claimed | 0.900 | 0.200 |" in explain_tables.make_past()
    assert "| hm | year | 0.500 | 0.400 | 0.300 |" in explain_tables.make_preferences()
    assert "| residual | 0.300 (floor 0.300) |" in explain_tables.make_probes()
    assert "| hm | **AD-DRL** | 0.900 | 0.800 | 1.000 |" in explain_tables.make_dci()
    assert "| without L_intra | 0.500 |" in explain_tables.make_hidden()
    assert "| most frequent value | 0.375 |" in explain_tables.make_hidden()
    assert "| **L_low alone, the preset's** | 0.500 |" in explain_tables.make_hidden()
    assert "| residual | 0.250 / 0.400 / 0.350 |" in explain_tables.make_not_linear()
    assert "| year | 0.750 / 0.990 /  |" in explain_tables.make_not_linear()
    assert "| hm | 0 | 1.000 | -0.050 | 0.2000 |" in explain_tables.make_training()


def test_the_pair_furthest_above_its_floor_is_shown_where_the_label_is_known(monkeypatch):
    probes = {"year": {"year": 1.0, "genre": 0.5}, "genre": {"year": 0.625, "genre": 1.0}}
    unknown = float("nan")
    row = {
        "probes": {name: {**part, "brand": unknown} for name, part in probes.items()},
        "known": {
            "year": {
                "brand": {"told": unknown, "floor": unknown, "num_items": 3},
                "genre": {"told": 0.5, "floor": 0.25, "num_items": 20},
            },
            "genre": {"year": {"told": 0.5, "floor": 0.375, "num_items": 1200}},
        },
    }
    floor = {"year": {"genre": 0.5, "brand": unknown}, "genre": {"year": 0.5}}
    before = {"systems": {"default": [{"probes": probes}]}, "floor": floor, "commit": "abc"}
    new = {"systems": {"default": [row, row]}, "floor": floor, "commit": "def"}
    presets = {"hm": new, "toys": before}
    provenance = {"commit": "abc", "machine": "2 cores"}
    monkeypatch.setattr(
        explain_tables, "load_result", lambda name: {"provenance": provenance, "presets": presets}
    )
    table = explain_tables.make_known()
    cells = "0.625 (floor 0.500) | 0.500 (floor 0.375), 1,200 items"
    assert f"| hm | genre: year | {cells} |" in table
    assert "| toys |" not in table and "commit def;" in table
    del presets["hm"]
    assert explain_tables.make_known() == explain_tables.NOT_MEASURED


def test_a_place_is_a_share_of_the_catalogue():
    scores = np.array([[3.0, 1.0, 2.0], [1.0, 1.0, 1.0]])
    np.testing.assert_allclose(explain.find_place(scores, 0), [1.0, 0.5])


def test_purity_is_the_share_of_neighbours_of_the_same_value():
    points = np.array([[0.0, 0.0], [0.0, 1.0], [9.0, 0.0], [9.0, 1.0]])
    assert chunk_maps.compute_purity(points, np.array([0, 0, 1, 1]), 1) == 1.0
    assert chunk_maps.compute_purity(points, np.array([0, 1, 0, 1]), 1) == 0.0
    # Of three neighbours of each one has its value.
    assert chunk_maps.compute_purity(points, np.array([0, 0, 1, 1]), 3) == pytest.approx(1 / 3)


def test_what_was_not_repeated_is_kept_with_its_source():
    old = {"commit": "old", "machine": "one"}
    before = {
        **old,
        "seeds": [0, 1],
        "systems": {"paper": [{"seed": 0}], "default": [{"seed": 0}, {"seed": 1}]},
        "hidden": {"no_intra": [{"seed": 0}, {"commit": "older", "seed": 1}]},
    }
    default = {
        "seeds": [2],
        "systems": {"default": [{"seed": 2}]},
        "hidden": {"most_frequent_value": [{"seed": 2}]},
    }
    new = {"commit": "new", "machine": "two"}
    merged = disentanglement.merge(default, before, new)
    assert (merged["commit"], merged["machine"], merged["seeds"]) == ("new", "two", [2])
    assert merged["systems"] == {
        "paper": [{"seed": 0, **old}],
        "default": [{"seed": 2, **new}],
    }
    assert merged["hidden"]["most_frequent_value"] == [{"seed": 2, **new}]
    assert [row["commit"] for row in merged["hidden"]["no_intra"]] == ["old", "older"]

    # Without the default, what is the default's stays as it was, and rows are replaced by seed.
    parts = {
        "seeds": [1],
        "systems": {"paper": [{"seed": 1}]},
        "hidden": {"no_intra": [{"seed": 1}]},
    }
    later = disentanglement.merge(parts, merged, {"commit": "last", "machine": "two"})
    assert (later["commit"], later["seeds"]) == ("new", [2])
    assert [(row["seed"], row["commit"]) for row in later["systems"]["paper"]] == [
        (0, "old"),
        (1, "last"),
    ]
    assert [(row["seed"], row["commit"]) for row in later["hidden"]["no_intra"]] == [
        (0, "old"),
        (1, "last"),
    ]
    assert later["systems"]["default"] == merged["systems"]["default"]
    assert disentanglement.merge(default, {}, new)["systems"]["default"] == [{"seed": 2, **new}]


def test_parts_are_measured_only_beside_a_default_of_the_same_data(monkeypatch, capsys):
    data = types.SimpleNamespace(
        config=types.SimpleNamespace(attribute_names=("year",), losses=LossConfig()),
        catalogue=types.SimpleNamespace(num_items=40),
    )
    before = {"hm": {"attributes": ["year"], "num_items": 39, "losses": ""}}
    monkeypatch.setattr(disentanglement, "load_result", lambda name: {"presets": before})
    monkeypatch.setattr(disentanglement, "load_data", lambda *parts: data)
    monkeypatch.setattr(disentanglement, "name_default", lambda config: "")
    monkeypatch.setattr(disentanglement, "measure", lambda *parts: pytest.fail("measured"))

    def refuse(*presets):
        monkeypatch.setattr("sys.argv", ["disentanglement", *presets, "--only", "macrid_vae"])
        with pytest.raises(SystemExit):
            disentanglement.main()
        return capsys.readouterr().err

    words = refuse("hm", "toys")
    assert "Nothing of toys is measured yet" in words
    assert "`python -m benchmarks.disentanglement toys --only default` first." in words
    assert "hm is of other data: num_items was 39. Received: 40." in refuse("hm")
