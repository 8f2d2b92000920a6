"""Times a training step beside its floor: the bare matrix products of the same shapes.

    python -m benchmarks.step_time movielens hm toys --runs RUNS     # writes results/step_time.json

A step of the full softmax encodes histories, scores the catalogue and takes the gradient back. As
matrices that is five products: `U = H Q`, `S = U Y'`, `dU = dS Y`, `dY = dS' U`, `dQ = H' dU`. The
floor is these alone, in one TensorFlow graph: no softmax, no optimiser, and of the memory only what
is a product, `S += H M` and `dM = H' dS`, where histories are so long that it is one. Our step
gathers short histories in place of the products with `H`, so the three products of the scores are
timed too. Step and floor are timed in turns in one process, so that what else the machine does
meets both; what counts is their ratio.
"""

from __future__ import annotations

import dataclasses
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.fitted import Data, load_data, make_parser
from benchmarks.provenance import make_provenance, write_result

TURNS = 7
# The kind of loss, and whether there is a memory beside the towers.
STEPS = {
    "softmax": ("softmax", True),
    "softmax_without_memory": ("softmax", False),
    "sampled_softmax": ("sampled_softmax", True),
    "in_batch_softmax": ("in_batch_softmax", True),
    "bpr": ("bpr", True),
}
NEGATIVES = {"sampled_softmax": 1024, "bpr": 8}


def measure(preset: str, data: Data) -> dict[str, Any]:
    """Times the steps of every kind of loss on a preset's data.

    Args:
        preset: Its name, for the lines.
        data: Its data.

    Returns:
        The shapes, by step what `time_step` returns, and what `profile` does.
    """
    found: dict[str, Any] = {"steps": {}}
    for name, (kind, with_memory) in STEPS.items():
        model, batches = prepare(data, kind, with_memory)
        found["steps"][name] = time_step(model, batches)
        print(f"{preset} {name}: {found['steps'][name]}", flush=True)
    model, batches = prepare(data, "softmax", True)
    found |= {
        "num_items": data.catalogue.num_items,
        "dim": model.user_tower.query.shape[1],
        "memory_size": data.config.model.memory_size,
        "batch_size": data.config.training.batch_size,
    }
    found["waiting_for_input"] = profile(model, batches)
    print(f"{preset} waits for input: {found['waiting_for_input']}", flush=True)
    return found


def prepare(data: Data, kind: str, with_memory: bool) -> tuple[Any, Any]:
    """Makes a model that is ready for `fit`, and its batches.

    Its start is random, which is made in no time: a step takes as long whatever the weights are.
    """
    from addrl_keras.content import compute_distributions
    from addrl_keras.optimizers import TableAdam
    from addrl_keras.start import make_started_model
    from addrl_keras.training import UserBatches

    config = dataclasses.replace(
        data.config,
        start=dataclasses.replace(data.config.start, kind="random"),
        losses=dataclasses.replace(
            data.config.losses, preference_kind=kind, num_negatives=NEGATIVES.get(kind, 1)
        ),
        model=dataclasses.replace(
            data.config.model, memory_size=data.config.model.memory_size if with_memory else 0
        ),
    )
    distributions, _ = compute_distributions(config, data.catalogue, None)
    train = data.interactions.train
    model = make_started_model(config, data.catalogue, train, distributions)
    model.prepare_training(train)
    model.compile(optimizer=TableAdam(1e-4))
    return model, UserBatches(train, config.training.batch_size, 0)


def time_step(model: Any, batches: Any) -> dict[str, float]:
    """Times a step and the floors in turns.

    Returns:
        Medians: `step_ms`; `floor_ms` and `scores_floor_ms`, of all five products and of the three
        of the scores; `ratio` and `scores_ratio`, of the step and each within a turn; and
        `input_ms`, what making a batch takes, which Keras does while the step before it runs.
    """
    floors = {name: make_floor(model, name == "") for name in ("", "scores_")}
    times: dict[str, list[float]] = {}
    time_epoch(model, batches)
    for _ in range(TURNS):
        step = time_epoch(model, batches)
        times.setdefault("step_ms", []).append(1e3 * step)
        for name, floor in floors.items():
            bare = floor()
            times.setdefault(f"{name}floor_ms", []).append(1e3 * bare)
            times.setdefault(f"{name}ratio", []).append(step / bare)
    started = time.perf_counter()
    for number in range(len(batches)):
        batches[number]
    times["input_ms"] = [1e3 * (time.perf_counter() - started) / len(batches)]
    return {name: round(statistics.median(part), 3) for name, part in times.items()}


def time_epoch(model: Any, batches: Any) -> float:
    """Runs one epoch of `fit`; returns the median time from step to step, in seconds."""
    import keras

    class Clock(keras.callbacks.Callback):
        def __init__(self) -> None:
            super().__init__()
            self.times: list[float] = []

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.times.append(time.perf_counter())

    clock = Clock()
    model.fit(batches, epochs=1, verbose=0, callbacks=[clock])
    # The last batch is smaller.
    between = [b - a for a, b in zip(clock.times[:-2], clock.times[1:-1], strict=True)]
    return statistics.median(between)


def make_floor(model: Any, with_histories: bool, repeats: int = 15) -> Callable[[], float]:
    """Makes what times the bare products: a function that returns the median seconds.

    Args:
        model: Whose shapes they have. A loss that samples has its candidates for items; of BPR,
            where every row has its own, the products are as many but share them.
        with_histories: Whether the products with the histories are among them.
        repeats: Times that the products are run at a call.
    """
    import tensorflow as tf

    from addrl_keras.pairs import MemoryMatrix
    from addrl_keras.preferences import get_kind

    kind, losses = model.config.losses.preference_kind, model.config.losses
    size, dim = model.config.training.batch_size, model.user_tower.query.shape[1]
    count = {"in_batch_softmax": size, "bpr": losses.num_negatives + 1}.get(
        kind, losses.num_negatives
    )
    if get_kind(kind).IS_DENSE:
        count = model.shape.num_items
    query = tf.random.normal((model.shape.num_items, dim))
    history = tf.cast(tf.random.uniform((size, model.shape.num_items)) < 0.01, tf.float32)
    users, items = tf.random.normal((size, dim)), tf.random.normal((count, dim))
    upstream = tf.random.normal((size, count))
    memory = None
    if with_histories and isinstance(model._frozen.memory, MemoryMatrix):
        memory = tf.random.normal((count, count))

    @tf.function
    def multiply(history: Any, query: Any, users: Any, items: Any, upstream: Any) -> Any:
        if with_histories:
            users = tf.matmul(history, query)
        more = (
            ()
            if memory is None
            else (tf.matmul(history, memory), tf.matmul(history, upstream, transpose_a=True))
        )
        scores = tf.matmul(users, items, transpose_b=True)
        to_users = tf.matmul(upstream, items)
        to_items = tf.matmul(upstream, users, transpose_a=True)
        to_query = tf.matmul(history, to_users, transpose_a=True) if with_histories else to_users
        return scores, to_items, to_query, *more

    def run() -> float:
        times = []
        for _ in range(repeats):
            started = time.perf_counter()
            for product in multiply(history, query, users, items, upstream):
                product.numpy()
            times.append(time.perf_counter() - started)
        return statistics.median(times)

    run()
    return run


def profile(model: Any, batches: Any) -> dict[str, float]:
    """Runs an epoch under TensorFlow's profiler and reads how long steps waited for a batch.

    Returns:
        `share`, the part of the time of the steps that is spent in getting the next batch.
    """
    import tensorflow as tf
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    model.fit(batches, epochs=1, verbose=0)
    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder):
            model.fit(batches, epochs=1, verbose=0)
        space = xplane_pb2.XSpace()
        (path,) = Path(folder).rglob("*.xplane.pb")
        space.ParseFromString(path.read_bytes())
    events = [
        (plane.event_metadata[event.metadata_id].name, event.duration_ps / 1e12)
        for plane in space.planes
        for line in plane.lines
        for event in line.events
    ]
    waited = sum(seconds for name, seconds in events if name == "IteratorGetNextOp::DoCompute")
    stepped = sum(seconds for name, seconds in events if name == "multi_step_on_iterator")
    return {"share": round(waited / stepped, 4), "steps_s": round(stepped, 3)}


def main() -> None:
    """Measures the presets that are named and writes the result."""
    options = make_parser(__doc__).parse_args()
    found = {name: measure(name, load_data(name, options.runs)) for name in options.presets}
    cores = len(os.sched_getaffinity(0))
    print(
        write_result(
            "step_time", {"provenance": make_provenance(turns=TURNS, cores=cores), "presets": found}
        )
    )


if __name__ == "__main__":
    main()
