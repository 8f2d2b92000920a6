"""Measures users whom the model has never seen, by the length of the history they bring.

    python -m benchmarks.new_users hm      # after `addrl run hm --data DIR`

A tenth of the users, by the md5 of their id, is taken out of training entirely; those of them with
at least ten known items and a test item are asked for with 1, 3, 5, 10 random ones of these and
with all. Beside it the same users, with the same histories, for a model that was trained with them.
All known items are left out of every list, so that lists differ by what the model was told alone.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

from addrl_keras.catalogue import Interactions, binarize
from addrl_keras.training import fit
from benchmarks.fitted import Data, compute_bucket, load_data, score_ranking
from benchmarks.provenance import ROOT, make_provenance, write_result

LENGTHS = (1, 3, 5, 10)
# Of the random histories; the model has one seed.
SEEDS = (0, 1, 2)


def measure(preset: str, data: Data) -> dict[str, Any]:
    """Measures one preset's data."""
    interactions = data.interactions
    # Auxiliary interactions do not say whose they are, so nobody's could be taken out.
    start = dataclasses.replace(data.config.start, auxiliary_weight=0.0)
    config = dataclasses.replace(data.config, start=start)
    held_out = np.array([compute_bucket(user) == 0 for user in interactions.user_ids])
    kept = scipy.sparse.diags((~held_out).astype(np.float32))
    without = Interactions(
        interactions.user_ids,
        binarize(kept @ interactions.train),
        binarize(kept @ interactions.validation),
    )
    counts = np.diff(interactions.known.indptr)
    users = np.flatnonzero(held_out & (counts >= max(LENGTHS)) & (np.diff(data.test.indptr) > 0))
    known, test = interactions.known[users], data.test[users]
    rows: dict[str, dict[str, list[float]]] = {}
    for trained, part in (("new", without), ("known", interactions)):
        print(f"fitting, users {trained} ...", flush=True)
        model = fit(config, data.catalogue, part).model
        for seed in SEEDS:
            for name, history in make_histories(known, seed).items():
                scores = model.compute_scores(history)
                figures = score_ranking(lambda _, scores=scores: scores, known, test)
                rows.setdefault(name, {}).setdefault(trained, []).append(figures["recall_at_20"])
                print(f"  {name}: {figures['recall_at_20']:.4f}", flush=True)
    return {
        "provenance": make_provenance(preset=preset, seeds=list(SEEDS)),
        "num_users": len(users),
        "recall_at_20": {
            name: {
                trained: {
                    "mean": float(np.mean(values)),
                    "std": float(np.std(values)),
                }
                for trained, values in row.items()
            }
            for name, row in rows.items()
        },
    }


def make_histories(known: scipy.sparse.csr_matrix, seed: int) -> dict[str, scipy.sparse.csr_matrix]:
    """Makes histories of each length out of random known items, and the whole ones as `all`."""
    generator = np.random.default_rng(seed)
    order = [generator.permutation(row.indices) for row in known]
    histories = {}
    for length in LENGTHS:
        rows = np.repeat(np.arange(len(order)), length)
        columns = np.concatenate([items[:length] for items in order])
        ones = np.ones(len(rows), np.float32)
        histories[str(length)] = scipy.sparse.csr_matrix((ones, (rows, columns)), known.shape)
    return {**histories, "all": known}


def main() -> None:
    """Measures a preset and writes `results/new_users_PRESET.json`."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("preset")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs")
    options = parser.parse_args()
    data = load_data(options.preset, options.runs)
    print(write_result(f"new_users_{options.preset}", measure(options.preset, data)))


if __name__ == "__main__":
    main()
