"""How the cost of training grows with users, items and interactions, on planted data.

    python -m benchmarks.growth               # writes results/growth.json
    python -m benchmarks.growth --largest 10  # leaves out what is 100 times as large

A catalogue of 10,000 items, 2,000 users and 20 interactions each; then one of the three is 10 and
100 times as large. The start is the factored one, which forms no matrix of items by items. Each
case runs in a process of its own, whose peak memory is the largest that the system saw.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from typing import Any

import numpy as np
import scipy.sparse

from benchmarks.provenance import ROOT, make_provenance, write_result

BASE = {"num_items": 10_000, "num_users": 2_000, "per_user": 20}
AXES = {"items": "num_items", "users": "num_users", "interactions": "per_user"}
KINDS = ("softmax", "sampled_softmax")
EPOCHS = 2
CANDIDATES = 1024
_NUM_VALUES = (10, 20, 50)
_ITEMS_PER_CLUSTER = 50
_TEST_USERS = 1_000
_LIMIT_S = 1_200


def list_cases(largest: int) -> list[dict[str, Any]]:
    """Lists the cases: the base, and each axis times 10 and 100, with either loss."""
    sizes = [("base", 1, BASE)]
    for axis, field in AXES.items():
        for factor in (10, 100):
            if factor <= largest:
                sizes.append((axis, factor, {**BASE, field: BASE[field] * factor}))
    return [
        {"axis": axis, "factor": factor, **size, "kind": kind}
        for axis, factor, size in sizes
        for kind in KINDS
    ]


def make_data(num_items: int, num_users: int, per_user: int, seed: int = 0) -> tuple[Any, Any, Any]:
    """Plants data: users choose by attribute values and from small clusters of items.

    Half of a user's draws are from the user's clusters, what is bought together; the other half are
    items of the values that the user likes. Within each, some items are taken more than others.

    Returns:
        The catalogue, the interactions, and the test, CSR `[num_users, num_items]`.
    """
    from addrl_keras.catalogue import AttributeValues, Catalogue, Interactions, normalize_rows

    generator = np.random.default_rng(seed)
    values, draws = {}, []
    owners = np.repeat(np.arange(num_users), per_user)
    sizes = {f"attribute_{k}": size for k, size in enumerate(_NUM_VALUES)}
    sizes["cluster"] = max(1, num_items // _ITEMS_PER_CLUSTER)
    words = []
    for name, size in sizes.items():
        value = generator.integers(0, size, num_items)
        ones = scipy.sparse.csr_matrix(
            (np.ones(num_items, np.float32), (np.arange(num_items), value)), (num_items, size)
        )
        liked = generator.integers(0, size, (num_users, 2))
        wanted = liked[owners, generator.integers(0, 2, len(owners))]
        draws.append(_draw(value, size, wanted, generator))
        if name != "cluster":
            values[name] = AttributeValues(tuple(f"value {i}" for i in range(size)), ones)
            words.append(ones)
    source = generator.choice(len(draws), len(owners), p=[1 / 6] * 3 + [1 / 2])
    items = np.stack(draws)[source, np.arange(len(owners))]
    taken = scipy.sparse.csr_matrix(
        (np.ones(len(owners), np.float32), (owners, items)), (num_users, num_items)
    )
    taken.data[:] = 1.0
    features = {"words": normalize_rows(scipy.sparse.hstack(words, format="csr"))}
    catalogue = Catalogue(tuple(f"item {i}" for i in range(num_items)), values, features)
    train, validation, test = _split(taken, generator)
    users = tuple(f"user {i}" for i in range(num_users))
    return catalogue, Interactions(users, train, validation), test


def _draw(
    value: np.ndarray, size: int, wanted: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Draws an item of each wanted value, the first ones of a value more often."""
    order = np.argsort(value, kind="stable")
    counts = np.bincount(value, minlength=size)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    place = (counts[wanted] * generator.random(len(wanted)) ** 3).astype(int)
    drawn = order[np.minimum(starts[wanted] + place, len(order) - 1)]
    return np.where(counts[wanted] > 0, drawn, 0)


def _split(
    taken: scipy.sparse.csr_matrix, generator: np.random.Generator
) -> list[scipy.sparse.csr_matrix]:
    """Splits interactions 80/10/10."""
    part = generator.choice(3, taken.nnz, p=[0.8, 0.1, 0.1])
    pairs = taken.tocoo()
    return [
        scipy.sparse.csr_matrix(
            (pairs.data[part == number], (pairs.row[part == number], pairs.col[part == number])),
            taken.shape,
        )
        for number in range(3)
    ]


def make_config(kind: str) -> Any:
    """Makes the configuration for a large catalogue, as docs/training.md has it."""
    from addrl_keras.config import (
        Attribute,
        Config,
        LossConfig,
        Modality,
        ModelConfig,
        NewItemsConfig,
        StartConfig,
        TrainingConfig,
    )

    return Config(
        attributes=tuple(
            Attribute(f"attribute_{k}", f"attribute_{k}") for k in range(len(_NUM_VALUES))
        ),
        modalities=(Modality("id", encoder="id"), Modality("words", "words", encoder="text")),
        start=StartConfig(
            kind="factored",
            blend=(("item_knn", 1.0), ("spectral", 0.5)),
            knn_neighbours=50,
            spectral_rank=64,
        ),
        model=ModelConfig(residual_dim=64, memory_size=32),
        losses=LossConfig(preference_kind=kind, num_negatives=CANDIDATES),
        training=TrainingConfig(learning_rate=1e-3, epochs=EPOCHS),
        new_items=NewItemsConfig(landmarks=1_000),
    )


def measure(case: dict[str, Any]) -> dict[str, Any]:
    """Measures one case in this process.

    Returns:
        Seconds of the start, of an epoch and of placing the items that nobody took; Recall@20 on
        test of the start and after training; interactions; and peak memory in GiB.
    """
    from addrl_keras.content import compute_distributions
    from addrl_keras.metrics.ranking import compute_ranking_metrics
    from addrl_keras.new_items import place_new_items
    from addrl_keras.optimizers import TableAdam
    from addrl_keras.start import make_started_model
    from addrl_keras.training import UserBatches

    size = {name: case[name] for name in BASE}
    catalogue, interactions, test = make_data(**size)
    train, config = interactions.train, make_config(case["kind"])
    distributions, _ = compute_distributions(config, catalogue, None)
    base = peak_gib()

    def score(model: Any) -> float:
        rows = np.flatnonzero(np.diff(test.indptr))
        rows = rows[np.linspace(0, len(rows) - 1, min(_TEST_USERS, len(rows))).astype(int)]
        found = compute_ranking_metrics(model.compute_scores, train[rows], test[rows], 20)
        return round(found["recall_at_20"], 4)

    started = time.monotonic()
    model = make_started_model(config, catalogue, train, distributions)
    start_s = time.monotonic() - started
    recall = {"start": score(model)}
    model.prepare_training(train)
    model.compile(optimizer=TableAdam(config.training.learning_rate))
    batches = UserBatches(train, config.training.batch_size, 0)
    epochs = []
    for _ in range(EPOCHS):
        started = time.monotonic()
        model.fit(batches, epochs=1, verbose=0)
        epochs.append(time.monotonic() - started)
    recall["trained"] = score(model)
    new = np.flatnonzero(np.asarray(train.sum(axis=0)).ravel() == 0)
    started = time.monotonic()
    place_new_items(model, catalogue, train, new)
    return {
        "interactions": int(train.nnz),
        "new_items": len(new),
        # The first epoch traces the graph.
        "seconds": {
            "start": round(start_s, 2),
            "epoch": round(statistics.median(epochs[1:]), 3),
            "placing": round(time.monotonic() - started, 2),
        },
        "steps": len(batches),
        "recall_at_20": recall,
        "gib": {"data": round(base, 2), "peak": round(peak_gib(), 2)},
    }


def peak_gib() -> float:
    """Peak memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def run(case: dict[str, Any]) -> dict[str, Any]:
    """Runs a case in a process of its own; `failed` says why there are no figures."""
    command = [sys.executable, "-m", "benchmarks.growth", "--case", json.dumps(case)]
    try:
        done = subprocess.run(
            command, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=_LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return {**case, "failed": f"more than {_LIMIT_S / 60:.0f} minutes"}
    if done.returncode:
        return {**case, "failed": "out of memory" if done.returncode == -9 else "error"}
    return {**case, **json.loads(done.stdout.splitlines()[-1])}


def main() -> None:
    """Measures all cases and writes the result after each, or one case and prints it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--largest", type=int, choices=(1, 10, 100), default=100)
    parser.add_argument("--case", type=json.loads, help="measure this case alone and print it")
    options = parser.parse_args()
    if options.case is not None:
        print(json.dumps(measure(options.case)))
        return
    cases = []
    for case in list_cases(options.largest):
        cases.append(run(case))
        print(cases[-1], flush=True)
        path = write_result(
            "growth",
            {
                "provenance": make_provenance(**BASE, cores=len(os.sched_getaffinity(0))),
                "cases": cases,
            },
        )
    print(path)


if __name__ == "__main__":
    main()
