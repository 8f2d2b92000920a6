"""Figures in the documentation come from the result files, and from nowhere else."""

import pytest

from benchmarks import render

TEXT = "before\n<!-- figures: {} -->\nold\n<!-- end -->\nafter\n"


@pytest.fixture
def results(monkeypatch):
    provenance = {"commit": "abc", "machine": "2 cores", "seed": 0}
    row = {"recall_at_20": 0.25, "ndcg_at_20": 0.125}
    known = {
        "movielens": {
            "provenance": provenance,
            "evaluator": row,
            "served": {**row, "num_users": 7},
            "baselines": dict.fromkeys(("most_popular", "item_knn", "ease"), row),
            "additivity": {"pairs": 1000, "largest_error_explain": 1.2e-6},
        },
        "first_run": {
            "provenance": provenance,
            "seconds": {"setup": 80.0, "first_run": 240.0, "second_run": 20.0},
        },
    }
    three = dict.fromkeys(("among_new", "new_in_catalogue", "all_in_catalogue"), row)
    spread = {"mean": 0.5, "std": 0.001}
    trained = {key: {"recall_at_20": spread, "ndcg_at_20": spread} for key in three}
    known["new_items_hm"] = {
        "provenance": {**provenance, "seeds": [0, 1, 2]},
        "num_new_items": 40,
        "num_items": 4000,
        "num_users": dict.fromkeys(three, 70),
        "systems": {"random": three, "addrl": trained},
    }
    known["new_users_hm"] = {
        "provenance": {**provenance, "seeds": [0, 1, 2]},
        "num_users": 12,
        "recall_at_20": {"1": {"new": spread, "known": spread}},
    }
    known["missing_modalities_hm"] = {
        "provenance": provenance,
        "complete": three,
        "rows": [{"modality": "text", "share": 0.1, "serving": three, "training": three}],
    }
    speed = {"turns": 3, "share_of_bare": 0.93, "processor_share_of_bare": 0.96}
    speed["processor_share_of_bare_turns"] = [0.94, 0.96, 0.99]
    speed |= {"beam_turns": [20.0, 23.25, 30.0], "bare_turns": [25.0, 25.0, 25.0]}
    speed |= {"beam_items_per_second": 23.25, "bare_items_per_second": 25.0}
    agreement = {"compared": 200, "smallest_cosine": 0.99999988}
    measured = {"agreement": agreement, "speed": speed}
    encoders = dict.fromkeys(("minilm", "efficientnet-lite0"), measured)
    known["encoders"] = {"provenance": provenance, **encoders}
    run = {
        "seconds": 120.0,
        "components": {"Trainer": 30.0, "Evaluator": 20.0},
        "peak_memory_gib": 3.0,
        "metrics": row,
    }
    for name in ("hm", "toys", "gift_cards"):
        runs = dict.fromkeys(("first", "second", "other_project"), run)
        known[f"run_{name}"] = {"provenance": provenance, "runs": runs}
    monkeypatch.setattr(render, "load_result", known.__getitem__)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("accuracy", "| **AD-DRL, as served** | 0.2500 | 0.1250 |"),
        ("agreement", "1,000 random pairs: 1.2e-06"),
        ("new_items", "| **AD-DRL** | 0.5000 ± 0.0010 / 0.5000 |"),
        (
            "encoders",
            "| `minilm` | 200 | 0.9999999 | 23.2 (20.0 to 30.0) | "
            "25.0 (25.0 to 25.0) | 93% (80% to 120%) | 96% (94% to 99%) |",
        ),
        ("new_items", "| random | 0.2500 / 0.1250 |"),
        ("new_users", "| 1 | 0.5000 ± 0.0010 | 0.5000 ± 0.0010 |"),
        ("missing_modalities", "| text | 10% | 0.2500 / 0.2500 | 0.2500 / 0.2500 |"),
        (
            "runs",
            "| `gift-cards` | 0.2500 | 0.1250 | 2.0 min | 2.0 min | 2.0 min | 30 s, 20 s, - |",
        ),
        ("times", "set-up 80 s, first `make run` 4.0 min, second 20 s"),
    ],
)
def test_a_block_is_filled_and_filling_it_again_changes_nothing(results, name, expected):
    filled = render.render(TEXT.format(name))
    assert expected in filled and "old" not in filled
    assert filled.startswith("before\n") and filled.endswith("after\n")
    assert render.render(filled) == filled


def test_an_unknown_block_is_refused_by_name(results):
    with pytest.raises(ValueError, match="Received: 'acuracy'"):
        render.render(TEXT.format("acuracy"))


def test_readme_agrees_with_the_results():
    for path in [render.ROOT / "README.md", *sorted((render.ROOT / "docs").glob("*.md"))]:
        text = path.read_text(encoding="utf-8")
        assert render.render(text) == text, f"{path.name}: run `python -m benchmarks.render`"
