"""Message classes that are wire compatible with TensorFlow Serving's, built at import.

Only the fields that this project reads or writes are declared; protobuf keeps the others as
unknown fields. Where the original has an enum or `google.protobuf.Any`, a field of the same wire
type stands here: an enum travels as an int32, and Any is a message with two fields.

Sources, for the names and numbers: tensorflow/serving `tensorflow_serving/apis/{model,predict,
get_model_metadata,get_model_status,status,prediction_log}.proto`; tensorflow/tensorflow
`tensorflow/core/framework/{tensor,tensor_shape}.proto` and `core/protobuf/meta_graph.proto`;
grpc/grpc-proto `grpc/health/v1/health.proto`. A contract test compares every field with the
descriptors of the wheels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PREDICTION_SERVICE = "tensorflow.serving.PredictionService"
MODEL_SERVICE = "tensorflow.serving.ModelService"
HEALTH_SERVICE = "grpc.health.v1.Health"

# One entry a field: "name number type". Types: a scalar of protobuf; a message by its name, with
# its package where that is another one; `*T` for repeated T; `{}T` for map<string, T>.
_TENSORFLOW = {
    "TensorShapeProto.Dim": ("size 1 int64", "name 2 string"),
    "TensorShapeProto": ("dim 2 *TensorShapeProto.Dim", "unknown_rank 3 bool"),
    "TensorProto": (
        "dtype 1 int32",
        "tensor_shape 2 TensorShapeProto",
        "version_number 3 int32",
        "tensor_content 4 bytes",
        "float_val 5 *float",
        "double_val 6 *double",
        "int_val 7 *int32",
        "string_val 8 *bytes",
        "int64_val 10 *int64",
        "bool_val 11 *bool",
    ),
    "TensorInfo": ("name 1 string", "dtype 2 int32", "tensor_shape 3 TensorShapeProto"),
    "SignatureDef": (
        "inputs 1 {}TensorInfo",
        "outputs 2 {}TensorInfo",
        "method_name 3 string",
        "defaults 4 {}TensorProto",
    ),
}
_SERVING = {
    "Int64Value": ("value 1 int64",),
    "AnyMessage": ("type_url 1 string", "value 2 bytes"),
    "StatusProto": ("error_code 1 int32", "error_message 2 string"),
    "ModelSpec": (
        "name 1 string",
        "version 2 Int64Value",
        "signature_name 3 string",
        "version_label 4 string",
    ),
    "PredictRequest": (
        "model_spec 1 ModelSpec",
        "inputs 2 {}tensorflow.TensorProto",
        "output_filter 3 *string",
    ),
    "PredictResponse": ("outputs 1 {}tensorflow.TensorProto", "model_spec 2 ModelSpec"),
    "PredictLog": ("request 1 PredictRequest", "response 2 PredictResponse"),
    "PredictionLog": ("predict_log 6 PredictLog",),
    "SignatureDefMap": ("signature_def 1 {}tensorflow.SignatureDef",),
    "GetModelMetadataRequest": ("model_spec 1 ModelSpec", "metadata_field 2 *string"),
    "GetModelMetadataResponse": ("model_spec 1 ModelSpec", "metadata 2 {}AnyMessage"),
    "GetModelStatusRequest": ("model_spec 1 ModelSpec",),
    "ModelVersionStatus": ("version 1 int64", "state 2 int32", "status 3 StatusProto"),
    "GetModelStatusResponse": ("model_version_status 1 *ModelVersionStatus",),
}
_HEALTH = {
    "HealthCheckRequest": ("service 1 string",),
    "HealthCheckResponse": ("status 1 int32",),
}

_SCALARS = {"int32": 5, "int64": 3, "float": 2, "double": 1, "bool": 8, "string": 9, "bytes": 12}
_MESSAGE_TYPE = 11
_OPTIONAL, _REPEATED = 1, 3


def _set_type(field: Any, type_name: str, package: str) -> None:
    """Sets the scalar type, or the full name of the message, that a field holds."""
    if type_name in _SCALARS:
        field.type = _SCALARS[type_name]
        return
    field.type = _MESSAGE_TYPE
    known = type_name.startswith("tensorflow.")
    field.type_name = f".{type_name}" if known else f".{package}.{type_name}"


def _add_map_entry(message: Any, field_name: str, value_type: str, package: str) -> str:
    """Adds the nested entry message that a map is on the wire and returns its name."""
    camel = "".join(part.capitalize() for part in field_name.split("_"))
    entry = message.nested_type.add(name=f"{camel}Entry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, label=_OPTIONAL, type=_SCALARS["string"])
    _set_type(entry.field.add(name="value", number=2, label=_OPTIONAL), value_type, package)
    return f"{message.name}.{entry.name}"


def _add_field(message: Any, declaration: str, package: str) -> None:
    """Adds one declared field to a DescriptorProto."""
    name, number, type_name = declaration.split(" ")
    field = message.field.add(name=name, number=int(number), label=_OPTIONAL)
    if type_name.startswith("{}"):
        field.label = _REPEATED
        type_name = _add_map_entry(message, name, type_name[2:], package)
    elif type_name.startswith("*"):
        field.label = _REPEATED
        type_name = type_name[1:]
    _set_type(field, type_name, package)


def _add_file(
    pool: descriptor_pool.DescriptorPool, package: str, declarations: Mapping[str, tuple[str, ...]]
) -> None:
    """Registers the messages of one package."""
    file = descriptor_pb2.FileDescriptorProto(
        name=f"addrl/{package}.proto", package=package, syntax="proto3"
    )
    if package == "tensorflow.serving":
        file.dependency.append("addrl/tensorflow.proto")
    outer = {name: file.message_type.add(name=name) for name in declarations if "." not in name}
    for name, fields in declarations.items():
        parent, _, child = name.rpartition(".")
        message = outer[parent].nested_type.add(name=child) if parent else outer[name]
        for declaration in fields:
            _add_field(message, declaration, package)
    pool.Add(file)


def _make_pool() -> descriptor_pool.DescriptorPool:
    """Returns a private pool, so that TensorFlow's own registrations never clash with ours."""
    pool = descriptor_pool.DescriptorPool()
    _add_file(pool, "tensorflow", _TENSORFLOW)
    _add_file(pool, "tensorflow.serving", _SERVING)
    _add_file(pool, "grpc.health.v1", _HEALTH)
    return pool


_POOL = _make_pool()


def _message_class(full_name: str) -> Any:
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(full_name))


TensorProto = _message_class("tensorflow.TensorProto")
SignatureDef = _message_class("tensorflow.SignatureDef")
PredictRequest = _message_class("tensorflow.serving.PredictRequest")
PredictResponse = _message_class("tensorflow.serving.PredictResponse")
PredictionLog = _message_class("tensorflow.serving.PredictionLog")
SignatureDefMap = _message_class("tensorflow.serving.SignatureDefMap")
GetModelMetadataRequest = _message_class("tensorflow.serving.GetModelMetadataRequest")
GetModelMetadataResponse = _message_class("tensorflow.serving.GetModelMetadataResponse")
GetModelStatusRequest = _message_class("tensorflow.serving.GetModelStatusRequest")
GetModelStatusResponse = _message_class("tensorflow.serving.GetModelStatusResponse")
HealthCheckRequest = _message_class("grpc.health.v1.HealthCheckRequest")
HealthCheckResponse = _message_class("grpc.health.v1.HealthCheckResponse")
