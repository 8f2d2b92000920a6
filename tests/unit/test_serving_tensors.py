"""Tensors to lists and back, without TensorFlow."""

import struct

import pytest

from serving import protos
from serving.contract import TensorSpec
from serving.errors import ServingError
from serving.messages import clean_op_message
from serving.requests import id_rows, name_value_rows, weight_vector
from serving.tensors import decode_tensor, encode_tensor, pad_rows


@pytest.mark.parametrize(
    ("values", "spec"),
    [
        (7, TensorSpec("int32", ())),
        (True, TensorSpec("bool", ())),
        ([[1.5, -2.0], [0.0, 4.25]], TensorSpec("float32", ("B", "K"))),
        ([["ä", ""], ["b", "c"]], TensorSpec("string", ("B", "H"))),
        ([[], []], TensorSpec("string", ("B", "H"))),
        ([2**40], TensorSpec("int64", ("B",))),
    ],
)
def test_round_trip(values, spec):
    tensor = encode_tensor(values, spec)
    assert len(tensor.tensor_shape.dim) == len(spec.shape)
    assert decode_tensor(protos.TensorProto.FromString(tensor.SerializeToString())) == values


def _tensor(dtype, shape, **fields):
    tensor = protos.TensorProto(dtype=dtype, **fields)
    for size in shape:
        tensor.tensor_shape.dim.add(size=size)
    return tensor


def test_raw_content():
    raw = struct.pack("<4f", 1.0, 2.0, 3.0, 4.0)
    assert decode_tensor(_tensor(1, (2, 2), tensor_content=raw)) == [[1.0, 2.0], [3.0, 4.0]]
    raw = struct.pack("<2q", -1, 2**40)
    assert decode_tensor(_tensor(9, (2,), tensor_content=raw)) == [-1, 2**40]
    assert decode_tensor(_tensor(10, (2,), tensor_content=b"\x00\x01")) == [False, True]


def test_cut_tail_repeats_the_last_value():
    assert decode_tensor(_tensor(1, (3,), float_val=[5.0])) == [5.0, 5.0, 5.0]
    assert decode_tensor(_tensor(3, (2, 1))) == [[0], [0]]
    assert decode_tensor(_tensor(7, (2,))) == ["", ""]


def test_unknown_type_is_refused():
    with pytest.raises(ServingError, match="DataType 14"):
        decode_tensor(_tensor(14, (1,)))


def test_rows():
    assert pad_rows([["a"], [], ["b", "c"]]) == [["a", ""], ["", ""], ["b", "c"]]
    assert id_rows("history_ids", ["a", "b"], 2) == [["a", "b"], ["a", "b"]]
    assert id_rows("history_ids", None, 2) is None
    assert name_value_rows("attribute_targets", {"genre": ["A", "B"], "year": "new"}, 1) == [
        ["genre=A", "genre=B", "year=new"]
    ]
    with pytest.raises(ServingError, match=r"Use \['a'\]"):
        id_rows("history_ids", "a", 1)
    with pytest.raises(ServingError, match="3 lists for 2 users"):
        id_rows("history_ids", [["a"], ["b"], ["c"]], 2)


def test_weights_follow_the_models_order():
    assert weight_vector("attribute_weights", {"b": 2}, ("a", "b", "c"), last=True) == [
        1.0,
        2.0,
        1.0,
    ]
    assert weight_vector("attribute_weights", {"x": 2}, ("a", "b"), last=False) is None
    with pytest.raises(ServingError, match="Received: x"):
        weight_vector("attribute_weights", {"x": 2}, ("a", "b"), last=True)


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("assertion failed: [unknown item:] [i9]\n\t [[{{node A}}]]", "unknown item: i9"),
        ("Graph execution error:\n\nboom\n\t [[{{node A/B}}]]", "boom"),
        (
            "2 root error(s) found.\n  (0) INVALID_ARGUMENT: {{function_node f}} assertion failed: "
            "[k] [9]\n\t [[{{node A}}]]\n\t [[B/_3]]\n  (1) INVALID_ARGUMENT: assertion",
            "k 9",
        ),
        ("plain words", "plain words"),
        ("", ""),
    ],
)
def test_messages_of_ops_name_the_thing(message, line):
    assert clean_op_message(message) == line
