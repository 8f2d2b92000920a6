"""JSON of TensorFlow Serving's REST API, to numpy arrays and back.

Two forms, after https://www.tensorflow.org/tfx/serving/api_rest: row (`instances` in, `predictions`
out) and columnar (`inputs` in, `outputs` out). Like the C++ server, REST fills no defaults: every
input of the signature must be sent, and in row form every output needs one row an instance. Being
more generous here would let a request pass on a laptop and fail in production.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from serving.contract import SignatureSpec, TensorSpec, spec_from_signature_def
from serving.errors import ServingError

ROW, COLUMNAR = "row", "columnar"
_KINDS: dict[str, type | tuple[type, ...]] = {
    "float32": (int, float),
    "float64": (int, float),
    "int32": int,
    "int64": int,
    "bool": bool,
    "string": (str, bytes),
}


def parse_document(body: bytes) -> dict[str, Any]:
    """Parses a request's body.

    Raises:
        ServingError: INVALID_ARGUMENT if it is no JSON object.
    """
    try:
        document = json.loads(body)
    except ValueError as error:
        raise ServingError("INVALID_ARGUMENT", f"JSON Parse error: {error}") from error
    if not isinstance(document, dict):
        raise ServingError("INVALID_ARGUMENT", f"JSON Value: {_short(document)} Is not object")
    if not isinstance(document.get("signature_name", ""), str):
        raise ServingError("INVALID_ARGUMENT", "'signature_name' key must be a string value.")
    return document


def parse_inputs(document: Mapping[str, Any], signature_def: Any) -> tuple[dict[str, Any], str]:
    """Reads the inputs of a predict request.

    Args:
        document: the parsed body.
        signature_def: the SignatureDef it addresses.

    Returns:
        Numpy arrays by input name, and the form of the answer: `row` or `columnar`.

    Raises:
        ServingError: INVALID_ARGUMENT naming what does not fit.
    """
    signature = spec_from_signature_def(signature_def)
    if "instances" in document and "inputs" in document:
        raise ServingError(
            "INVALID_ARGUMENT",
            "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist",
        )
    if "instances" in document:
        return _parse_rows(document["instances"], signature), ROW
    if "inputs" in document:
        return _parse_columns(document["inputs"], signature), COLUMNAR
    raise ServingError("INVALID_ARGUMENT", "Missing 'inputs' or 'instances' key")


def make_answer(outputs: Mapping[str, Any], form: str) -> bytes:
    """Writes the outputs of a predict request.

    Args:
        outputs: numpy arrays by name.
        form: `row` or `columnar`.

    Returns:
        The JSON body. NaN and Infinity stand bare, as the C++ server writes them.

    Raises:
        ServingError: INVALID_ARGUMENT if the row form cannot hold the outputs.
    """
    values = {name: _to_json(name, array) for name, array in sorted(outputs.items())}
    if form == COLUMNAR:
        answer = values if len(values) > 1 else next(iter(values.values()))
        return json.dumps({"outputs": answer}, indent=1).encode()
    sizes = {name: array.shape[0] if array.ndim else None for name, array in outputs.items()}
    if len(set(sizes.values())) != 1 or None in sizes.values():
        raise ServingError(
            "INVALID_ARGUMENT",
            f"Tensors have inconsistent batch sizes: {sizes}. Send 'inputs' (the columnar form) "
            "instead of 'instances': this signature has outputs that are not one row an instance.",
        )
    rows: list[Any] = [dict(zip(values, row, strict=True)) for row in zip(*values.values())]  # noqa: B905
    if len(values) == 1:
        rows = next(iter(values.values()))
    return json.dumps({"predictions": rows}, indent=1).encode()


def _parse_columns(value: Any, signature: SignatureSpec) -> dict[str, Any]:
    specs = signature.inputs
    if not isinstance(value, dict) or _is_base64(value):
        if len(specs) > 1:
            raise ServingError(
                "INVALID_ARGUMENT",
                "inputs is a plain value/list, but expecting an object as multiple input tensors "
                "required as per tensorinfo_map",
            )
        value = {next(iter(specs)): value}
    for name in sorted(specs):
        if name not in value:
            raise ServingError(
                "INVALID_ARGUMENT",
                f"Missing named input: {name} in 'inputs' object. "
                "REST fills in no defaults: send every input, or use gRPC.",
            )
    return {name: _make_array(name, value[name], spec) for name, spec in specs.items()}


def _parse_rows(instances: Any, signature: SignatureSpec) -> dict[str, Any]:
    specs = signature.inputs
    if not isinstance(instances, list) or not instances:
        raise ServingError("INVALID_ARGUMENT", "Expecting 'instances' value to be a list with rows")
    named = [isinstance(row, dict) and not _is_base64(row) for row in instances]
    if not any(named):
        if len(specs) > 1:
            raise ServingError(
                "INVALID_ARGUMENT",
                "instances is a plain list, but expecting list of objects as multiple input "
                "tensors required as per tensorinfo_map",
            )
        name, spec = next(iter(specs.items()))
        return {name: _make_array(name, instances, spec)}
    for number, row in enumerate(instances):
        if not named[number] or set(row) != set(specs):
            raise ServingError(
                "INVALID_ARGUMENT",
                f"Failed to process element: {number} of 'instances' list. JSON object: "
                f"{_short(row)} keys must be equal to: {','.join(sorted(specs))}",
            )
    return {
        name: _make_array(name, [row[name] for row in instances], spec)
        for name, spec in specs.items()
    }


def _make_array(name: str, value: Any, spec: TensorSpec) -> np.ndarray:
    """Builds the array of nested lists; all leaves lie at one depth and have one type."""
    shape = []
    probe = value
    while isinstance(probe, list):
        shape.append(len(probe))
        if not probe:
            break
        probe = probe[0]
    flat: list[Any] = []
    _flatten(name, value, shape, spec.dtype, flat)
    dtype = np.dtype(object) if spec.dtype == "string" else np.dtype(spec.dtype)
    try:
        array = np.empty(len(flat), dtype)
        array[:] = flat
    except OverflowError as error:
        raise ServingError(
            "INVALID_ARGUMENT", f"input {name}: a number does not fit {spec.dtype}"
        ) from error
    return array.reshape(shape)


def _flatten(name: str, value: Any, shape: list[int], dtype: str, flat: list[Any]) -> None:
    if not shape:
        flat.append(_make_leaf(name, value, dtype))
        return
    if not isinstance(value, list) or len(value) != shape[0]:
        raise ServingError(
            "INVALID_ARGUMENT",
            f"input {name}: Encountered list at unexpected size or level: {_short(value)}, "
            f'expected size: {shape[0]}. Pad ragged lists with "".',
        )
    for child in value:
        _flatten(name, child, shape[1:], dtype, flat)


def _make_leaf(name: str, value: Any, dtype: str) -> Any:
    if _is_base64(value) and dtype == "string":
        try:
            return base64.b64decode(value["b64"], validate=True)
        except binascii.Error as error:
            raise ServingError("INVALID_ARGUMENT", "Unable to base64 decode") from error
    # A bool is an int to Python, but not to JSON.
    if not isinstance(value, _KINDS[dtype]) or isinstance(value, bool) != (dtype == "bool"):
        raise ServingError(
            "INVALID_ARGUMENT",
            f"JSON Value: {_short(value)} of input {name} is not of expected type: {dtype}",
        )
    return value.encode() if isinstance(value, str) else value


def _to_json(name: str, array: Any) -> Any:
    if array.dtype == object:
        return _map_leaves(array.tolist(), lambda value: _string_to_json(name, value))
    if array.dtype == np.float32:
        # Shortest decimal that reads back as the same float32: 0.2, not 0.20000000298.
        return _map_leaves(array.astype(str).tolist(), float)
    return array.tolist()


def _string_to_json(name: str, value: bytes) -> Any:
    if name.endswith("_bytes"):
        return {"b64": base64.b64encode(value).decode()}
    return value.decode("utf-8", "replace")


def _map_leaves(value: Any, function: Any) -> Any:
    if isinstance(value, list):
        return [_map_leaves(child, function) for child in value]
    return function(value)


def _is_base64(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {"b64"} and isinstance(value["b64"], str)


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."
