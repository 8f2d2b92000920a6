"""TensorFlow Serving's messages without TensorFlow.

Importing the stubs of the `tensorflow-serving-api` wheel imports TensorFlow: 6 to 17 s and 780 MB
for a program that only wants to ask a question over gRPC (tensorflow/serving issues 271, 557, 1450
and 2140). The few messages a client needs are small, so `_wire` declares them again, with the same
full names and field numbers, in a descriptor pool of their own. Because the pool is private, they
live beside TensorFlow's own classes in one process, whichever is imported first.
"""

from serving.protos._wire import (
    HEALTH_SERVICE,
    MODEL_SERVICE,
    PREDICTION_SERVICE,
    GetModelMetadataRequest,
    GetModelMetadataResponse,
    GetModelStatusRequest,
    GetModelStatusResponse,
    HealthCheckRequest,
    HealthCheckResponse,
    PredictionLog,
    PredictRequest,
    PredictResponse,
    SignatureDef,
    SignatureDefMap,
    TensorProto,
)

__all__ = [
    "HEALTH_SERVICE",
    "MODEL_SERVICE",
    "PREDICTION_SERVICE",
    "GetModelMetadataRequest",
    "GetModelMetadataResponse",
    "GetModelStatusRequest",
    "GetModelStatusResponse",
    "HealthCheckRequest",
    "HealthCheckResponse",
    "PredictRequest",
    "PredictResponse",
    "PredictionLog",
    "SignatureDef",
    "SignatureDefMap",
    "TensorProto",
]
