"""Warm-up requests, which TensorFlow Serving replays at load, and the servability gate before."""

import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from addrl_keras.catalogue import Catalogue, Interactions
from addrl_keras.config import Config

WARMUP_FILE = os.path.join("assets.extra", "tf_serving_warmup_requests")
MODEL_NAME = "addrl"
_HISTORY = 3


def make_requests(
    config: Config, catalogue: Catalogue, interactions: Interactions, count: int
) -> list[tuple[str, dict[str, Any]]]:
    """Make requests that use every served signature and every option, with known ids and values.

    Args:
        config: The model's configuration.
        catalogue: Its items.
        interactions: Its users; those with the longest histories ask.
        count: Users per signature.

    Returns:
        Pairs of a signature's name and its inputs.
    """
    history_lengths = np.asarray(interactions.known.sum(axis=1)).ravel()
    users = [interactions.user_ids[row] for row in np.argsort(-history_lengths)[:count]]
    popular = np.argsort(-np.asarray(interactions.known.sum(axis=0)).ravel())
    items = [catalogue.item_ids[index] for index in popular[: max(count, _HISTORY)]]
    wanted = _get_common_values(config, catalogue)
    weights = np.ones((1, len(config.chunk_names)), np.float32)
    weights[0, 0] = 2.0
    # Every optional input occurs once, so that a replay touches all of the graph.
    k = np.int32(min(20, catalogue.num_items))
    wish = {
        "attribute_targets": [wanted[:1]],
        "target_strength": np.float32([1.0]),
        "hold_weights": weights,
    }
    requests: list[tuple[str, dict[str, Any]]] = [
        ("recommend", {"user_id": [user], "k": k}) for user in users
    ]
    requests += [
        ("recommend", {"user_id": ["(unknown)"], "k": k, "history_ids": [items[:_HISTORY]]}),
        ("recommend", {"user_id": users[:1], "k": k, "attribute_weights": weights}),
        ("recommend", {"user_id": users[:1], "k": k, **wish}),
        (
            "recommend",
            {
                "user_id": users[:1],
                "k": k,
                "attribute_filters": [wanted[:1]],
                "exclude_ids": [items[:1]],
                "exclude_seen": np.bool_(True),
            },
        ),
        ("similar_items", {"item_id": items[:1], "k": k}),
        ("score", {"user_id": users[:1], "item_ids": [items]}),
        ("profile", {"user_id": users[:1]}),
        ("profile", {"user_id": ["(unknown)"], "history_ids": [items[:_HISTORY]]}),
    ]
    requests += [("explain", {"user_id": [user], "item_id": items[:1]}) for user in users]
    requests += [
        ("explain", {"user_id": users[:1], "item_id": items[:1], "attribute_weights": weights}),
        ("explain", {"user_id": users[:1], "item_id": items[:1], **wish}),
    ]
    return requests


def write_warmup(export: str | os.PathLike, requests: Iterable[tuple[str, Mapping]]) -> str:
    """Write requests as a TFRecord of PredictionLog into a SavedModel.

    Args:
        export: Folder of the SavedModel.
        requests: Pairs of a signature's name and its inputs.

    Returns:
        Path of the file.
    """
    path = os.path.join(export, WARMUP_FILE)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with tf.io.TFRecordWriter(path) as writer:
        for signature, inputs in requests:
            request = predict_pb2.PredictRequest()
            request.model_spec.name = MODEL_NAME
            request.model_spec.signature_name = signature
            for name, value in inputs.items():
                request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
            log = prediction_log_pb2.PredictionLog(
                predict_log=prediction_log_pb2.PredictLog(request=request)
            )
            writer.write(log.SerializeToString())
    return path


def load_warmup(export: str | os.PathLike) -> list[tuple[str, dict[str, np.ndarray]]]:
    """Load the requests of a SavedModel; inverse of `write_warmup`.

    Args:
        export: Folder of the SavedModel.

    Returns:
        Pairs of a signature's name and its inputs.

    Raises:
        FileNotFoundError: If the SavedModel has none.
    """
    path = os.path.join(export, WARMUP_FILE)
    if not os.path.exists(path):
        raise FileNotFoundError(f"The SavedModel has no warm-up requests. Received: {export}")
    requests = []
    for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
        request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
        inputs = {name: tf.make_ndarray(proto) for name, proto in request.inputs.items()}
        requests.append((request.model_spec.signature_name, inputs))
    return requests


def _get_common_values(config: Config, catalogue: Catalogue) -> list[str]:
    """The most common value of each attribute that has values, as `name=value`."""
    common = []
    for name in config.attribute_names:
        values = catalogue.values[name]
        if values.names:
            best = int(np.asarray(values.matrix.sum(axis=0)).ravel().argmax())
            common.append(f"{name}={values.names[best]}")
    return common
