"""The private messages equal TensorFlow's on the wire and live beside them in one process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from serving.protos import _wire

ROOT = Path(__file__).resolve().parents[2]


def _run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=180
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_client_imports_fast_and_without_tensorflow():
    code = """
import sys, time
start = time.process_time()
import serving.client, serving.contract
spent = time.process_time() - start
heavy = {"tensorflow", "numpy", "keras", "tensorflow_serving"} & set(sys.modules)
print(sorted(heavy), spent < 0.5, spent)
"""
    assert _run(code).startswith("[] True"), "the client imports TensorFlow or takes over 0.5 s"


def test_ours_first_then_tensorflows():
    # The other order is that of the local server, which every other test here talks to.
    code = """
from serving import protos
from tensorflow_serving.apis import predict_pb2
ours = protos.PredictRequest()
ours.inputs["a"].dtype = 1
ours.inputs["a"].float_val.extend([1.0, 2.5])
ours.model_spec.version.value = 7
theirs = predict_pb2.PredictRequest.FromString(ours.SerializeToString())
assert theirs.inputs["a"].float_val[1] == 2.5 and theirs.model_spec.version.value == 7
assert type(theirs) is not type(ours)
print(protos.PredictRequest.FromString(theirs.SerializeToString()) == ours)
"""
    assert _run(code) == "True"


# Enums travel as int32, and two well-known types are declared here under other names.
_STANDS_FOR = {"Int64Value": "google.protobuf.Int64Value", "AnyMessage": "google.protobuf.Any"}


@pytest.fixture(scope="module")
def originals():
    """Descriptors of the wheels, by full name."""
    from google.protobuf import any_pb2, wrappers_pb2
    from tensorflow_serving.apis import (  # noqa: F401  (registers the messages)
        get_model_metadata_pb2,
        get_model_status_pb2,
        prediction_log_pb2,
    )

    pool = prediction_log_pb2.DESCRIPTOR.pool
    assert any_pb2.DESCRIPTOR.pool is wrappers_pb2.DESCRIPTOR.pool is pool
    return pool


def _declared():
    for package, messages in (
        ("tensorflow", _wire._TENSORFLOW),
        ("tensorflow.serving", _wire._SERVING),
    ):
        for name in messages:
            yield f"{package}.{name}", _STANDS_FOR.get(name, f"{package}.{name}")


@pytest.mark.parametrize(("ours", "original"), list(_declared()))
def test_every_field_has_the_number_and_wire_type_of_the_original(originals, ours, original):
    mine = _wire._POOL.FindMessageTypeByName(ours)
    theirs = originals.FindMessageTypeByName(original).fields_by_name
    assert mine.fields
    for field in mine.fields:
        wanted = theirs[field.name]
        assert field.number == wanted.number
        assert field.is_repeated == wanted.is_repeated
        expected = field.TYPE_INT32 if wanted.type == field.TYPE_ENUM else wanted.type
        assert field.type == expected
        if wanted.message_type and not wanted.message_type.GetOptions().map_entry:
            inner = field.message_type
            assert _STANDS_FOR.get(inner.name, inner.full_name) == wanted.message_type.full_name
