"""The gRPC services, on the servicer base classes of tensorflow-serving-api."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from serving import protos
from serving.errors import ServingError
from serving.local.model_store import ModelStore
from serving.local.servable import DEFAULT_SIGNATURE

SERVING, NOT_SERVING = 1, 2


class Backend:
    """What gRPC and REST both answer from: the models by name.

    Every method takes and returns the messages of tensorflow-serving-api and raises
    `ServingError`.

    Args:
        stores: one store a model.
    """

    def __init__(self, stores: Mapping[str, ModelStore]):
        self.stores = stores

    def use(self, spec: Any) -> Any:
        """Returns the context manager that holds the version a ModelSpec names."""
        store = self.stores.get(spec.name)
        if store is None:
            raise ServingError(
                "NOT_FOUND",
                f"Servable not found for request: Latest({spec.name}). "
                f"This server has: {', '.join(self.stores)}.",
            )
        version = spec.version.value if spec.HasField("version") else None
        return store.use(version, spec.version_label)

    def predict(self, request: Any) -> Any:
        """Answers a PredictRequest with a PredictResponse."""
        with self.use(request.model_spec) as servable:
            inputs = {name: _to_array(name, tensor) for name, tensor in request.inputs.items()}
            signature = request.model_spec.signature_name or DEFAULT_SIGNATURE
            outputs = servable.predict(signature, inputs, list(request.output_filter))
            response = predict_pb2.PredictResponse()
            _fill_spec(response.model_spec, request.model_spec.name, servable, signature)
        for name, value in outputs.items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(value))
        return response

    def metadata(self, request: Any) -> Any:
        """Answers a GetModelMetadataRequest."""
        if not request.metadata_field:
            raise ServingError(
                "INVALID_ARGUMENT",
                "GetModelMetadataRequest must specify at least one metadata_field",
            )
        for field in request.metadata_field:
            if field != "signature_def":
                raise ServingError("INVALID_ARGUMENT", f"Metadata field {field} is not supported")
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        signatures = get_model_metadata_pb2.SignatureDefMap()
        with self.use(request.model_spec) as servable:
            for name, signature in servable.signatures.items():
                signatures.signature_def[name].CopyFrom(signature)
            _fill_spec(response.model_spec, request.model_spec.name, servable)
        response.metadata["signature_def"].Pack(signatures)
        return response

    def status(self, request: Any) -> Any:
        """Answers a GetModelStatusRequest."""
        spec = request.model_spec
        store = self.stores.get(spec.name)
        entries = store.entries() if store else []
        if spec.HasField("version"):
            entries = [entry for entry in entries if entry.version == spec.version.value]
            if not entries:
                raise ServingError(
                    "NOT_FOUND",
                    f"Could not find version {spec.version.value} of model {spec.name}",
                )
        if not entries:
            raise ServingError("NOT_FOUND", f"Could not find any versions of model {spec.name}")
        response = get_model_status_pb2.GetModelStatusResponse()
        for entry in entries:
            status = response.model_version_status.add(version=entry.version, state=entry.state)
            status.status.SetInParent()  # OK is said, not left out
            if entry.error:
                status.status.error_code = grpc.StatusCode[entry.error.code].value[0]
                status.status.error_message = entry.error.message
        return response

    def is_ready(self) -> bool:
        """Says whether every model has a version that serves."""
        return all(store.available() for store in self.stores.values())


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict and GetModelMetadata; Classify, Regress and MultiInference stay unimplemented."""

    def __init__(self, backend: Backend):
        self._backend = backend

    def Predict(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Answers one prediction."""
        return _answer(self._backend.predict, request, context)

    def GetModelMetadata(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Returns the signatures of a model."""
        return _answer(self._backend.metadata, request, context)


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus; HandleReloadConfigRequest stays unimplemented."""

    def __init__(self, backend: Backend):
        self._backend = backend

    def GetModelStatus(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Returns the state of a model's versions."""
        return _answer(self._backend.status, request, context)


def make_health_handler(backend: Backend) -> Any:
    """Makes the standard gRPC health service (Check), which Kubernetes asks.

    The messages are those of `serving.protos`, so no further package is needed.
    """

    def check(request: Any, context: grpc.ServicerContext) -> Any:
        if request.service not in ("", protos.PREDICTION_SERVICE, protos.MODEL_SERVICE):
            context.abort(grpc.StatusCode.NOT_FOUND, f"unknown service {request.service!r}")
        status = SERVING if backend.is_ready() else NOT_SERVING
        return protos.HealthCheckResponse(status=status)

    handler = grpc.unary_unary_rpc_method_handler(
        check,
        request_deserializer=protos.HealthCheckRequest.FromString,
        response_serializer=lambda response: response.SerializeToString(),
    )
    return grpc.method_handlers_generic_handler(protos.HEALTH_SERVICE, {"Check": handler})


def _answer(method: Any, request: Any, context: grpc.ServicerContext) -> Any:
    try:
        return method(request)
    except Exception as error:
        refusal = make_refusal(error)
    return context.abort(grpc.StatusCode[refusal.code], refusal.message)


def make_refusal(error: Exception) -> ServingError:
    """Returns what a client is told: the error itself, or INTERNAL for one nobody foresaw.

    Args:
        error: what a request raised.
    """
    if isinstance(error, ServingError):
        return error
    traceback.print_exception(error, file=sys.stderr)
    return ServingError("INTERNAL", f"{type(error).__name__}: {error}. The server's log has more.")


def _to_array(name: str, tensor: Any) -> np.ndarray:
    try:
        return tf.make_ndarray(tensor)
    except (TypeError, ValueError) as error:
        raise ServingError("INVALID_ARGUMENT", f"tensor parsing error: {name}") from error


def _fill_spec(spec: Any, name: str, servable: Any, signature: str = "") -> None:
    spec.name = name
    spec.version.value = servable.version
    spec.signature_name = signature
