"""JSON forms of the REST API."""

import json

import numpy as np
import pytest

from serving import protos
from serving.errors import ServingError
from serving.local.rest_json import COLUMNAR, ROW, make_answer, parse_document, parse_inputs


def _signature(**inputs):
    message = protos.SignatureDef()
    for name, (dtype, rank) in inputs.items():
        message.inputs[name].dtype = dtype
        for _ in range(rank):
            message.inputs[name].tensor_shape.dim.add(size=-1)
    return message


PAIR = _signature(user_id=(7, 1), weights=(1, 2))
SINGLE = _signature(examples=(7, 1))


def test_columns_and_rows_make_the_same_arrays():
    columns, form = parse_inputs({"inputs": {"user_id": ["a", "b"], "weights": [[1], [2.5]]}}, PAIR)
    assert form == COLUMNAR
    rows, form = parse_inputs(
        {"instances": [{"user_id": "a", "weights": [1]}, {"user_id": "b", "weights": [2.5]}]}, PAIR
    )
    assert form == ROW
    for found in (columns, rows):
        assert found["user_id"].tolist() == [b"a", b"b"]
        assert found["weights"].dtype == np.float32 and found["weights"].tolist() == [[1.0], [2.5]]


def test_one_input_needs_no_name():
    for document in ({"inputs": ["a"]}, {"instances": ["a"]}, {"instances": [{"b64": "YQ=="}]}):
        assert parse_inputs(document, SINGLE)[0]["examples"].tolist() == [b"a"]


@pytest.mark.parametrize(
    ("document", "signature", "word"),
    [
        ({"inputs": ["a"], "instances": ["a"]}, SINGLE, "only one of"),
        ({"inputs": ["a"]}, PAIR, "expecting an object"),
        ({"instances": ["a"]}, PAIR, "list of objects"),
        ({"instances": []}, SINGLE, "list with rows"),
        ({"instances": [{"user_id": "a"}]}, PAIR, "keys must be equal to: user_id,weights"),
        ({"inputs": {"user_id": ["a"]}}, PAIR, "Missing named input: weights"),
        ({"inputs": {"user_id": [1], "weights": [[1]]}}, PAIR, "not of expected type: string"),
        ({"inputs": {"user_id": ["a"], "weights": [["x"]]}}, PAIR, "float32"),
        ({"inputs": {"user_id": ["a"], "weights": [[1], [1, 2]]}}, PAIR, "Pad ragged lists"),
        ({"inputs": {"user_id": ["a"], "weights": [[[1]], [1]]}}, PAIR, "weights"),
        ({"inputs": [{"b64": "?"}]}, SINGLE, "base64"),
    ],
)
def test_what_does_not_fit_is_named(document, signature, word):
    with pytest.raises(ServingError) as caught:
        parse_inputs(document, signature)
    assert caught.value.code == "INVALID_ARGUMENT"
    assert word in caught.value.message


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b'{"signature_name": 3}'])
def test_bodies_that_are_no_request(body):
    with pytest.raises(ServingError, match="INVALID_ARGUMENT"):
        parse_document(body)


def test_answers():
    scores = np.array([[0.2, np.inf], [1e10, -3.0]], np.float32)
    names = np.array([b"a", "ä".encode()], object)
    columnar = json.loads(make_answer({"scores": scores, "names": names}, COLUMNAR))["outputs"]
    # The shortest decimal of a float32, not the digits of its float64.
    assert columnar == {"scores": [[0.2, float("inf")], [1e10, -3.0]], "names": ["a", "ä"]}
    rows = json.loads(make_answer({"scores": scores, "names": names}, ROW))["predictions"]
    assert rows[1] == {"scores": [1e10, -3.0], "names": "ä"}
    alone = json.loads(make_answer({"raw_bytes": np.array([b"a"], object)}, ROW))
    assert alone == {"predictions": [{"b64": "YQ=="}]}


def test_row_form_needs_one_row_an_instance():
    with pytest.raises(ServingError, match="columnar"):
        make_answer({"a": np.zeros((2, 1)), "b": np.zeros(3)}, ROW)
