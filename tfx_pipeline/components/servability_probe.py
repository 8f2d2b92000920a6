"""Loads an export as a model server would, replays its warm-up requests, and says what is wrong.

Run as a program in a process of its own, so that a crash of the C++ loader is a verdict and not the
end of the pipeline:

    python -m tfx_pipeline.components.servability_probe EXPORT REPORT

`tf.saved_model.load` is of no use here: it serves models that TensorFlow Serving cannot, because
it rebuilds them with Python objects. The V1 loader runs the graph and its restore ops in a C++
session.
"""

import dataclasses
import json
import os
import pathlib
import sys
import time
from collections.abc import Mapping
from typing import Any

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2

from serving.contract import CONTRACT, compare_signatures, spec_from_signature_def
from tfx_pipeline.modules.addrl_warmup import load_warmup

_LATENCY_CALLS = 15

Arrays = Mapping[str, np.ndarray]


@dataclasses.dataclass
class ProbeReport:
    """What a probe found.

    Attributes:
        problems: What is wrong, one line each; none if the model can be served.
        signatures: Names of the export's signatures.
        num_requests: Number of requests that were replayed.
        load_seconds: Time to load and restore.
        latency_ms: Median time of a `recommend` call for one user, None where it failed.
        max_sum_error: Largest difference between a score and the sum of its contributions.
    """

    problems: list[str] = dataclasses.field(default_factory=list)
    signatures: list[str] = dataclasses.field(default_factory=list)
    num_requests: int = 0
    load_seconds: float = 0.0
    latency_ms: float | None = None
    max_sum_error: float = 0.0


def probe(export: str | os.PathLike) -> ProbeReport:
    """Probe an export.

    Args:
        export: Folder of the SavedModel.

    Returns:
        The report; whatever fails becomes one of its problems.
    """
    report = ProbeReport()
    try:
        requests = load_warmup(export)
        if not requests:
            report.problems.append("the file of warm-up requests is empty, so nothing is replayed")
    except Exception as error:
        report.problems.append(f"the warm-up requests cannot be read: {_word(error)}")
        requests = []
    started = time.monotonic()
    try:
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            meta_graph = tf.compat.v1.saved_model.loader.load(session, ["serve"], str(export))
            report.load_seconds = time.monotonic() - started
            _probe_session(session, meta_graph, requests, report)
    except Exception as error:  # Every failure is a verdict.
        report.problems.append(f"the C++ loader cannot load the export: {_word(error)}")
    return report


def _probe_session(
    session: tf.compat.v1.Session,
    meta_graph: meta_graph_pb2.MetaGraphDef,
    requests: list[tuple[str, dict[str, np.ndarray]]],
    report: ProbeReport,
) -> None:
    definitions = meta_graph.signature_def
    actual = {
        name: spec_from_signature_def(definition)
        for name, definition in definitions.items()
        if name != "__saved_model_init_op"
    }
    report.signatures = sorted(actual)
    report.problems += compare_signatures(actual)
    for signature, inputs in [*requests, *_make_example_requests(requests)]:
        if signature not in definitions:
            continue  # compare_signatures said so
        try:
            outputs = _call(session, definitions[signature], inputs)
        except Exception as error:
            report.problems.append(f"signature {signature!r} fails: {_word(error)}")
            continue
        report.num_requests += 1
        report.problems += [
            f"signature {signature!r}: {problem}"
            for problem in find_bad_outputs(signature, inputs, outputs)
        ]
        report.max_sum_error = max(report.max_sum_error, compute_sum_error(outputs))
    report.problems = list(dict.fromkeys(report.problems))
    first = next((inputs for name, inputs in requests if name == "recommend"), None)
    if first is not None and not report.problems:
        report.latency_ms = _measure_latency_ms(session, definitions["recommend"], first)


def find_bad_outputs(signature: str, inputs: Arrays, outputs: Arrays) -> list[str]:
    """Find outputs whose sizes disagree or whose numbers are not numbers.

    Args:
        signature: Name of a signature of the contract.
        inputs: What it was asked.
        outputs: What it answered.

    Returns:
        One line per problem.
    """
    problems = []
    sizes: dict[str, int] = {}
    for value in inputs.values():
        if np.ndim(value) == 1:  # One entry per request.
            sizes.setdefault("B", len(value))
    for name, spec in CONTRACT[signature].outputs.items():
        if name not in outputs:
            problems.append(f"output {name!r} is missing")
            continue
        value = outputs[name]
        if len(spec.shape) != value.ndim:
            problems.append(f"output {name!r} has shape {value.shape}, expected {spec.shape}")
            continue
        for dimension, size in zip(spec.shape, value.shape, strict=True):
            expected = sizes.setdefault(str(dimension), size)
            if size != expected:
                problems.append(
                    f"output {name!r} has {size} in dimension {dimension}, expected {expected}"
                )
    real = outputs.get("item_ids")
    for name, value in outputs.items():
        if value.dtype.kind != "f":
            continue
        if real is not None and value.shape[: real.ndim] == real.shape:
            value = value[real != b""]  # Padding has the score -inf.
        if not np.isfinite(value).all():
            problems.append(f"output {name!r} has numbers that are not finite")
    return problems


def compute_sum_error(outputs: Arrays) -> float:
    """Compute the largest difference between scores and the sums of their contributions.

    Args:
        outputs: With `contributions [..., K]` and `scores` or `score` `[...]`, else the error is 0.

    Returns:
        The largest `|score - sum| / max(1, |score|)`.

    Example:
    >>> compute_sum_error({"score": np.array([3.0]), "contributions": np.array([[1.0, 1.5]])})
    0.16666666666666666
    """
    contributions = outputs.get("contributions")
    scores = outputs.get("scores", outputs.get("score"))
    if contributions is None or scores is None or contributions.shape[:-1] != scores.shape:
        return 0.0
    scores = scores.astype(np.float64)
    real = np.isfinite(scores)
    difference = np.abs(scores - contributions.astype(np.float64).sum(axis=-1))[real]
    return float((difference / np.maximum(1.0, np.abs(scores[real]))).max(initial=0.0))


def _call(
    session: tf.compat.v1.Session, definition: meta_graph_pb2.SignatureDef, inputs: Arrays
) -> dict[str, np.ndarray]:
    """Call a signature, with neutral values for inputs left out, as the model server does."""
    feeds = {}
    for name, info in definition.inputs.items():
        if name in inputs:
            feeds[info.name] = inputs[name]
        elif name in definition.defaults:
            feeds[info.name] = tf.make_ndarray(definition.defaults[name])
        else:
            raise ValueError(f"input {name!r} was not sent and has no default")
    fetches = {name: info.name for name, info in definition.outputs.items()}
    return {name: np.asarray(value) for name, value in session.run(fetches, feeds).items()}


def _make_example_requests(
    requests: list[tuple[str, dict[str, np.ndarray]]],
) -> list[tuple[str, dict[str, np.ndarray]]]:
    """Requests for the signatures that take tf.Examples, which warm-up has no need of."""
    users = [inputs["user_id"][0] for name, inputs in requests if name == "recommend"]
    items = [inputs["item_id"][0] for name, inputs in requests if name == "similar_items"]
    if not users or not items:
        return []
    features = {
        "user_id": tf.train.Feature(bytes_list=tf.train.BytesList(value=[users[0]])),
        "item_id": tf.train.Feature(bytes_list=tf.train.BytesList(value=[items[0]])),
        "relevant_count": tf.train.Feature(int64_list=tf.train.Int64List(value=[1])),
    }
    example = tf.train.Example(features=tf.train.Features(feature=features))
    examples = {"examples": np.array([example.SerializeToString()] * 2, object)}
    return [(name, examples) for name in ("serving_default", "evaluate", "evaluate_slices")]


def _measure_latency_ms(
    session: tf.compat.v1.Session, definition: meta_graph_pb2.SignatureDef, inputs: Arrays
) -> float:
    seconds = []
    for _ in range(_LATENCY_CALLS):
        started = time.perf_counter()
        _call(session, definition, inputs)
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds) * 1000)


def _word(error: Exception) -> str:
    """The first line of an error that says something; graph errors go on for pages."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = next((line for line in lines if "not find variable" in line.lower()), None)
    return (text or (lines[0] if lines else type(error).__name__))[:300]


def main(arguments: list[str]) -> None:
    """Probe the export named first and write the report to the file named second."""
    export, output = arguments
    report: dict[str, Any] = dataclasses.asdict(probe(export))
    pathlib.Path(output).write_text(json.dumps(report, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
