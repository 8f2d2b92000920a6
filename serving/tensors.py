"""TensorProto from and to plain Python lists, without numpy and TensorFlow."""

from __future__ import annotations

import array
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from serving.contract import DTYPE_NAMES, TensorSpec
from serving.errors import ServingError
from serving.protos import TensorProto

# dtype -> (field that holds the values, typecode of tensor_content; None for strings).
_STORAGE: dict[str, tuple[str, str | None]] = {
    "float32": ("float_val", "f"),
    "float64": ("double_val", "d"),
    "int32": ("int_val", "i"),
    "int64": ("int64_val", "q"),
    "bool": ("bool_val", "b"),
    "string": ("string_val", None),
}
_NUMBERS = {name: number for number, name in DTYPE_NAMES.items()}
_CASTS: dict[str, Callable[[Any], Any]] = {
    "float32": float,
    "float64": float,
    "int32": int,
    "int64": int,
    "bool": bool,
    "string": lambda value: value if isinstance(value, bytes) else str(value).encode(),
}


def encode_tensor(values: Any, spec: TensorSpec) -> Any:
    """Makes a TensorProto of nested lists.

    Args:
        values: a scalar or nested, rectangular lists of the rank of `spec`.
        spec: dtype and rank of the input.

    Returns:
        The TensorProto.
    """
    rank = len(spec.shape or ())
    shape: list[int] = []
    flat = [values]
    for _ in range(rank):
        shape.append(len(flat[0]) if flat else 0)
        flat = [value for row in flat for value in row]
    tensor = TensorProto(dtype=_NUMBERS[spec.dtype])
    for size in shape:
        tensor.tensor_shape.dim.add(size=size)
    field, _ = _STORAGE[spec.dtype]
    getattr(tensor, field).extend(map(_CASTS[spec.dtype], flat))
    return tensor


def pad_rows(rows: Iterable[Sequence[str]]) -> list[list[str]]:
    """Pads ragged rows of ids with "", which the model reads as nothing.

    Example:
        >>> pad_rows([["a"], ["b", "c"]])
        [['a', ''], ['b', 'c']]
    """
    lists = [list(row) for row in rows]
    width = max((len(row) for row in lists), default=0)
    return [row + [""] * (width - len(row)) for row in lists]


def decode_tensor(tensor: Any) -> Any:
    """Turns a TensorProto into a scalar or nested lists.

    Reads both forms a server may send: raw `tensor_content` or typed values, where TensorFlow may
    have cut a repeated tail (the last value then fills the rest). Strings come back as `str`.

    Args:
        tensor: a TensorProto.

    Returns:
        Nested lists of the tensor's shape.

    Raises:
        ServingError: the type is none that the contract uses.
    """
    dtype = DTYPE_NAMES.get(tensor.dtype)
    if dtype is None:
        raise ServingError(
            "INTERNAL",
            "the server sent a tensor of a type that the contract does not use. "
            f"Received: DataType {tensor.dtype}. Ask a model that passed the servability gate.",
        )
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    return _nest(_decode_flat(tensor, dtype, math.prod(shape)), shape)


def _decode_flat(tensor: Any, dtype: str, size: int) -> list[Any]:
    field, typecode = _STORAGE[dtype]
    if typecode and tensor.tensor_content:
        numbers = array.array(typecode, tensor.tensor_content)
        if sys.byteorder == "big":
            numbers.byteswap()
        values: list[Any] = numbers.tolist()
        return [bool(value) for value in values] if dtype == "bool" else values
    values = list(getattr(tensor, field))
    if dtype == "string":
        values = [value.decode("utf-8", "replace") for value in values]
    if len(values) < size:
        filler = values[-1] if values else ("" if dtype == "string" else _CASTS[dtype](0))
        values += [filler] * (size - len(values))
    return values


def _nest(flat: list[Any], shape: Sequence[int]) -> Any:
    if not shape:
        return flat[0]
    if len(shape) == 1:
        return flat
    stride = math.prod(shape[1:])
    return [_nest(flat[i * stride : (i + 1) * stride], shape[1:]) for i in range(shape[0])]
