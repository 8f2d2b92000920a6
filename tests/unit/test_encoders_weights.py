"""Weight files are read without the libraries that wrote them, and run no code."""

import collections
import io
import json
import pickle
import struct
import sys
import types

import numpy as np
import pytest

from tfx_pipeline.datasets.errors import DataError
from tfx_pipeline.encoders.weights import load_safetensors, load_torch_weights


def write_safetensors(path, arrays):
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, array in arrays.items():
        offsets = [len(data), len(data) + array.nbytes]
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": offsets}
        data += array.tobytes()
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


@pytest.fixture
def torch_pickles(monkeypatch):
    """Writes a legacy file with stand-ins under PyTorch's names."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    torch.FloatStorage = type("FloatStorage", (), {"__module__": "torch"})

    def _rebuild_tensor_v2(*_):
        raise AssertionError("only its name is pickled")

    _rebuild_tensor_v2.__module__ = "torch._utils"
    _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)

    class Storage:
        def __init__(self, key, count):
            self.pid = ("storage", torch.FloatStorage, key, "cpu", count, None)

    class Tensor:
        def __init__(self, storage, offset, size, stride):
            self.arguments = (storage, offset, size, stride, False, collections.OrderedDict())

        def __reduce__(self):
            return _rebuild_tensor_v2, self.arguments

    class Pickler(pickle.Pickler):
        def persistent_id(self, obj):
            return obj.pid if isinstance(obj, Storage) else None

    def write(path, tensors, storages):
        buffer = io.BytesIO()
        pickle.dump(0x1950A86A20F9469CFC6C, buffer, 2)
        pickle.dump(1001, buffer, 2)
        pickle.dump({"little_endian": True}, buffer, 2)
        made = collections.OrderedDict(
            (name, Tensor(Storage(key, len(storages[key])), offset, size, stride))
            for name, (key, offset, size, stride) in tensors.items()
        )
        Pickler(buffer, 2).dump(made)
        pickle.dump(sorted(storages), buffer, 2)
        for key in sorted(storages):
            buffer.write(struct.pack("<q", len(storages[key])) + storages[key].tobytes())
        path.write_bytes(buffer.getvalue())

    return write


def test_safetensors_come_back(tmp_path):
    arrays = {"a": np.arange(6, dtype="<f4").reshape(2, 3), "b": np.ones(1, "<f4")}
    write_safetensors(tmp_path / "w", arrays)
    loaded = load_safetensors(tmp_path / "w")
    assert loaded.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(loaded[name], array)


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 8, b"\xff" * 20, b"plain text, long enough"], ids=range(4)
)
def test_other_files_are_no_safetensors(tmp_path, content):
    (tmp_path / "w").write_bytes(content)
    with pytest.raises(DataError, match=r"safetensors.*Received: .*Remove the file"):
        load_safetensors(tmp_path / "w")


def test_tensors_come_back_with_offset_and_stride(tmp_path, torch_pickles):
    data = np.arange(12, dtype="<f4")
    tensors = {
        "plain": ("0", 0, (3, 4), (4, 1)),
        "turned": ("0", 0, (4, 3), (1, 4)),
        "tail": ("0", 10, (2,), (1,)),
        "scalar": ("1", 0, (), ()),
    }
    torch_pickles(tmp_path / "w", tensors, {"0": data, "1": np.array([7.0], "<f4")})
    loaded = load_torch_weights(tmp_path / "w")
    np.testing.assert_array_equal(loaded["plain"], data.reshape(3, 4))
    np.testing.assert_array_equal(loaded["turned"], data.reshape(3, 4).T)
    np.testing.assert_array_equal(loaded["tail"], [10.0, 11.0])
    assert loaded["scalar"].shape == () and loaded["scalar"] == 7.0


def test_a_tensor_larger_than_its_storage_is_refused(tmp_path, torch_pickles):
    tensors = {"a": ("0", 0, (3, 4), (4, 1))}
    torch_pickles(tmp_path / "w", tensors, {"0": np.zeros(11, "<f4")})
    with pytest.raises(DataError, match="larger than its storage"):
        load_torch_weights(tmp_path / "w")


def test_a_file_that_ends_early_is_refused(tmp_path, torch_pickles):
    torch_pickles(tmp_path / "w", {"a": ("0", 0, (4,), (1,))}, {"0": np.zeros(4, "<f4")})
    (tmp_path / "w").write_bytes((tmp_path / "w").read_bytes()[:-3])
    with pytest.raises(DataError, match="ends within 4 numbers"):
        load_torch_weights(tmp_path / "w")


def test_a_pickle_that_would_run_code_runs_none(tmp_path):
    class Evil:
        def __reduce__(self):
            return open, (str(tmp_path / "was-here"), "w")

    (tmp_path / "w").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(DataError, match=r"it asks for \w+\.open"):
        load_torch_weights(tmp_path / "w")
    assert not (tmp_path / "was-here").exists()
