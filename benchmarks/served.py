"""Measures what a pushed model returns over gRPC, beside the Evaluator's figures and the baselines.

    python -m benchmarks.served movielens      # after `make run`; writes results/movielens.json

The lists of all users are asked for by `addrl recommend`, as a user would, and scored here from
scratch. The additivity of contributions is measured on 1,000 random pairs of user and item.
"""

from __future__ import annotations

import argparse
import csv
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.provenance import ROOT, make_provenance, write_result

K = 20
PAIRS = 1000


def measure(preset: str, runs: Path, lists_file: Path) -> dict[str, Any]:
    """Measures one preset's pushed model.

    Args:
        preset: Name of the preset; its pipeline must have run.
        runs: The folder of all runs.
        lists_file: Where the lists of all users are written, as `user,item,rank,score`.
    """
    from tfx_pipeline import workspace
    from tfx_pipeline.commands import baselines
    from tfx_pipeline.commands.local_server import start_server
    from tfx_pipeline.configs import get_preset
    from tfx_pipeline.datasets import loading
    from tfx_pipeline.local_runner import load_last_result

    place = workspace.Workspace(runs, preset)
    run = load_last_result(runs, preset)
    item_ids = loading.load_item_ids(place.data)
    interactions, test = loading.load_interactions(place.data, item_ids)
    with start_server(place) as address:
        lists = ask_for_lists(preset, interactions.user_ids, address, lists_file)
        served = score_lists(lists, item_ids, interactions, test)
        additivity = measure_additivity(address, interactions.user_ids, item_ids)
    return {
        "provenance": make_provenance(
            preset=preset, seed=get_preset(preset).model.training.seed, pairs=PAIRS
        ),
        "evaluator": dict(run.metrics),
        "served": served,
        "additivity": additivity,
        "baselines": baselines.load_baselines(get_preset(preset), place),
        "components": {component.name: component.seconds for component in run.components},
    }


def ask_for_lists(
    preset: str, user_ids: tuple[str, ...], address: str, lists_file: Path
) -> dict[str, list[str]]:
    """Asks for the first `K` items of every user through the command line."""
    addrl = str(Path(sys.executable).with_name("addrl"))
    with tempfile.TemporaryDirectory() as folder:
        users = Path(folder, "users.txt")
        users.write_text("\n".join(user_ids) + "\n", encoding="utf-8")
        command = [addrl, "recommend", preset, "--users-file", str(users), "--k", str(K)]
        command += ["--exclude-seen", "--csv", str(lists_file), "--address", address]
        subprocess.run(command, check=True, cwd=ROOT)
    ranked: dict[str, list[str]] = {}
    with open(lists_file, newline="", encoding="utf-8") as file:
        for row in sorted(csv.DictReader(file), key=lambda row: int(row["rank"])):
            ranked.setdefault(row["user"], []).append(row["item"])
    return ranked


def score_lists(
    ranked: dict[str, list[str]], item_ids: tuple[str, ...], interactions: Any, test: Any
) -> dict[str, Any]:
    """Scores lists: standard NDCG, means over the users with a known and a test item."""
    import numpy as np

    from addrl_keras.metrics import ranking

    index = {item: i for i, item in enumerate(item_ids)}
    lists = np.array([[index[item] for item in ranked[user]] for user in interactions.user_ids])
    counted = (interactions.known.getnnz(axis=1) > 0) & (test.getnnz(axis=1) > 0)
    known_hits = ranking.compute_hits(lists, interactions.known).sum()
    return {
        "recall_at_20": float(ranking.compute_recall_at_k(lists, test)[counted].mean()),
        "ndcg_at_20": float(ranking.compute_ndcg_at_k(lists, test)[counted].mean()),
        "num_users": int(counted.sum()),
        "known_items_recommended": int(known_hits),
    }


def measure_additivity(
    address: str, user_ids: tuple[str, ...], item_ids: tuple[str, ...]
) -> dict[str, float]:
    """Compares the sums of contributions with `explain`'s and `score`'s scores on random pairs."""
    from serving.client import Client

    generator = random.Random(0)
    pairs = [(generator.choice(user_ids), generator.choice(item_ids)) for _ in range(PAIRS)]
    worst = {"explain": 0.0, "score": 0.0}
    with Client(address) as client:
        for user, item in pairs:
            answer = client.explain(user, item)
            total = sum(answer.contributions.values())
            worst["explain"] = max(worst["explain"], abs(total - answer.score))
            worst["score"] = max(worst["score"], abs(total - client.score(user, [item])[0]))
    return {
        "largest_error_explain": worst["explain"],
        "largest_error_score": worst["score"],
        "pairs": PAIRS,
    }


def main() -> None:
    """Measures a preset and writes its result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("preset")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs")
    parser.add_argument("--lists", type=Path, help="keep the lists of all users in this CSV file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        lists_file = (options.lists or Path(folder, "lists.csv")).absolute()
        print(write_result(options.preset, measure(options.preset, options.runs, lists_file)))


if __name__ == "__main__":
    main()
