"""Reading of weight files without the libraries that wrote them.

Two formats: safetensors, a JSON header before raw arrays, and PyTorch's legacy `.pth`, a sequence
of pickles before raw arrays. A pickle can run any code, so the reader below knows the few names
that a dictionary of tensors needs and refuses every other.
"""

import collections
import json
import os
import pickle
import struct
from typing import Any, BinaryIO

import numpy as np

from tfx_pipeline.datasets.errors import DataError

# First of the pickles of a legacy file, as `torch.serialization` has it.
_TORCH_MAGIC = 0x1950A86A20F9469CFC6C
_SAFETENSORS_TYPES = {"F32": "<f4", "F16": "<f2", "F64": "<f8", "I64": "<i8", "I32": "<i4"}
_TORCH_STORAGES = {"FloatStorage": "<f4", "HalfStorage": "<f2", "LongStorage": "<i8"}


def load_safetensors(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Load the arrays of a safetensors file.

    Args:
        path: The file.

    Returns:
        Arrays by name.

    Raises:
        DataError: If the file is not in this format.
    """
    try:
        with open(path, "rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(length))
            data = file.read()
        return {
            name: np.frombuffer(
                data[slice(*entry["data_offsets"])], _SAFETENSORS_TYPES[entry["dtype"]]
            ).reshape(entry["shape"])
            for name, entry in header.items()
            if name != "__metadata__"
        }
    except (struct.error, ValueError, KeyError, MemoryError, OverflowError) as error:
        raise _make_error(path, "safetensors", error) from error


def load_torch_weights(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Load the arrays of a dictionary of tensors that PyTorch saved before its version 1.6.

    Args:
        path: The file.

    Returns:
        Arrays by name.

    Raises:
        DataError: If the file is not in this format, or holds anything but tensors.
    """
    try:
        with open(path, "rb") as file:
            if _Unpickler(file).load() != _TORCH_MAGIC:
                raise ValueError("it does not start with the number of this format")
            for _ in ("version of the protocol", "sizes of C types"):
                _Unpickler(file).load()
            tensors = _Unpickler(file).load()
            storages = dict.fromkeys(_Unpickler(file).load())
            types = {tensor.key: tensor.dtype for tensor in tensors.values()}
            for key in storages:
                storages[key] = _read_storage(file, types[key])
        return {name: tensor.make_array(storages) for name, tensor in tensors.items()}
    except (pickle.UnpicklingError, struct.error, AttributeError, KeyError, ValueError) as error:
        raise _make_error(path, "PyTorch's legacy format", error) from error


class _Tensor:
    """What a pickle says about a tensor; its numbers follow after the pickles."""

    def __init__(self, storage: tuple, offset: int, size: tuple, stride: tuple, *_: Any):
        _, self.dtype, self.key, *_ = storage
        self.offset = offset
        self.size = size
        self.stride = stride

    def make_array(self, storages: dict[str, Any]) -> np.ndarray:
        data = storages[self.key]
        last = self.offset + sum((n - 1) * s for n, s in zip(self.size, self.stride, strict=True))
        if not 0 <= last < len(data):  # as_strided would read what lies behind.
            raise ValueError(f"a tensor of shape {self.size} is larger than its storage")
        strides = tuple(step * data.itemsize for step in self.stride)
        view = np.lib.stride_tricks.as_strided(data[self.offset :], self.size, strides)
        return np.ascontiguousarray(view).reshape(self.size)


class _Unpickler(pickle.Unpickler):
    """Knows what a dictionary of tensors is made of, and refuses the rest."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _Tensor
        if module == "torch" and name in _TORCH_STORAGES:
            return _TORCH_STORAGES[name]
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")

    def persistent_load(self, pid: Any) -> Any:
        return pid


def _read_storage(file: BinaryIO, dtype: str) -> np.ndarray:
    (count,) = struct.unpack("<q", file.read(8))
    size = count * np.dtype(dtype).itemsize
    data = file.read(size)
    if len(data) != size:
        raise ValueError(f"it ends within {count} numbers")
    return np.frombuffer(data, dtype)


def _make_error(path: str | os.PathLike, kind: str, error: Exception) -> DataError:
    return DataError(
        f"The weights are not in {kind}: {error or type(error).__name__}. Received: {path}. "
        "Remove the file, so that it is fetched again."
    )
