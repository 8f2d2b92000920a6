"""Replays the warm-up requests that a version brings along, as TensorFlow Serving does."""

from __future__ import annotations

from pathlib import Path

from serving.errors import ServingError
from serving.local.servable import Servable

WARMUP_FILE = Path("assets.extra") / "tf_serving_warmup_requests"
# WarmupConsts::kMaxNumRecords of tensorflow/serving.
MAX_RECORDS = 1000


def replay_warmup(servable: Servable, path: Path) -> int:
    """Runs every recorded request against a version that is not yet serving.

    Args:
        servable: the loaded version.
        path: folder of its SavedModel.

    Returns:
        Number of requests replayed; 0 if the version brings none.

    Raises:
        ServingError: a record cannot be read or its request fails, or there are more than 1,000.
    """
    file = path / WARMUP_FILE
    if not file.exists():
        return 0
    import tensorflow as tf

    count = 0
    try:
        for count, record in enumerate(tf.compat.v1.io.tf_record_iterator(str(file)), start=1):
            if count > MAX_RECORDS:
                raise ServingError(
                    "INVALID_ARGUMENT",
                    f"Number of warmup records exceeds the maximum ({MAX_RECORDS}) at {file}",
                )
            _replay(servable, record, count, file)
    except tf.errors.DataLossError as error:
        raise ServingError(
            "DATA_LOSS",
            f"{file} is damaged after record {count}. "
            "Please verify your warmup data is in TFRecord format.",
        ) from error
    return count


def _replay(servable: Servable, record: bytes, number: int, file: Path) -> None:
    import tensorflow as tf
    from google.protobuf.message import DecodeError
    from tensorflow_serving.apis import prediction_log_pb2

    try:
        log = prediction_log_pb2.PredictionLog.FromString(record)
    except DecodeError as error:
        raise ServingError(
            "INVALID_ARGUMENT", f"Failed to parse warmup record {number} from {file}"
        ) from error
    kind = log.WhichOneof("log_type")
    if kind != "predict_log":
        raise ServingError(
            "UNIMPLEMENTED", f"warmup record {number} of {file} is a {kind}, not a predict_log"
        )
    request = log.predict_log.request
    inputs = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
    try:
        servable.predict(request.model_spec.signature_name, inputs, list(request.output_filter))
    except ServingError as error:
        raise ServingError(
            error.code, f"warmup record {number} failed: {error.message} ({file})"
        ) from error
