"""The REST API gives what gRPC gives, in the forms that TensorFlow Serving documents."""

from __future__ import annotations

import base64
import json
import math
import urllib.error
import urllib.request

import pytest
from tiny_server import start_server

from serving.client import Client

NEUTRAL = {
    "k": 3,
    "history_ids": [[""]],
    "exclude_ids": [[""]],
    "exclude_seen": False,
    "attribute_weights": [[1.0, 1, 1.0]],
    "attribute_targets": [[""]],
    "attribute_filters": [[""]],
    "target_strength": [10.0],
    "hold_weights": [[1.0, 1, 1.0]],
}
_STRANGER = {"user_id": "u0", "history_ids": [""]}


def _ask(path: str, document=None) -> tuple[int, dict]:
    url = f"{start_server().rest_url}/v1/models/{path}"
    body = None if document is None else json.dumps(document).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=body), timeout=20) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def test_columnar_recommend_equals_grpc():
    document = {"signature_name": "recommend", "inputs": {"user_id": ["u0"], **NEUTRAL}}
    status, answer = _ask("addrl:predict", document)
    with Client(start_server().address) as client:
        outputs, _ = client.predict("recommend", {"user_id": ["u0"], "k": 3})
    assert status == 200
    assert set(answer["outputs"]) == set(outputs)
    for name, value in outputs.items():
        if name in ("scores", "contributions", "average_contributions"):
            flat = [x for row in answer["outputs"][name] for x in row]
            assert flat == [pytest.approx(x) for row in value for x in row]
        else:
            assert answer["outputs"][name] == value


@pytest.mark.parametrize("path", ["addrl", "addrl/versions/1", "addrl/labels/stable"])
def test_rows_equal_columns(path):
    rows = [
        {"user_id": "u0", "item_ids": ["i0", "gone"]},
        {"user_id": "u1", "item_ids": ["i1"] * 2},
    ]
    _, by_row = _ask(f"{path}:predict", {"signature_name": "score", "instances": rows})
    columns = {"user_id": ["u0", "u1"], "item_ids": [row["item_ids"] for row in rows]}
    _, by_column = _ask(f"{path}:predict", {"signature_name": "score", "inputs": columns})
    assert by_row["predictions"][1] == by_column["outputs"][1]
    assert by_row["predictions"][0][0] == by_column["outputs"][0][0] == 0.61
    assert math.isnan(by_row["predictions"][0][1])


def test_base64_strings():
    user = base64.b64encode(b"u0").decode()
    columns = {"user_id": [{"b64": user}], "item_ids": [["i0"]]}
    _, answer = _ask("addrl:predict", {"signature_name": "score", "inputs": columns})
    assert answer["outputs"] == [[0.61]]


def test_default_signature_takes_serialised_examples():
    # An empty tf.Example is an empty string: nobody, who gets the prior.
    _, answer = _ask("addrl:predict", {"inputs": [{"b64": ""}]})
    assert answer["outputs"]["source"] == ["prior"]
    assert answer["outputs"]["item_ids"] == [["i0", "i1", "i2"]]
    _, rows = _ask("addrl:predict", {"instances": [{"b64": ""}, {"b64": ""}]})
    assert [row["item_ids"] for row in rows["predictions"]] == [["i0", "i1", "i2"]] * 2


def test_status_and_metadata():
    status, answer = _ask("addrl")
    assert status == 200
    assert answer["model_version_status"] == [
        {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    ]
    _, metadata = _ask("addrl/versions/1/metadata")
    signatures = metadata["metadata"]["signature_def"]["signature_def"]
    assert signatures["recommend"]["inputs"]["user_id"]["dtype"] == "DT_STRING"
    assert metadata["model_spec"]["version"] == "1"


@pytest.mark.parametrize(
    ("path", "document", "status", "word"),
    [
        ("addrl:predict", {"inputs": 1}, 400, "string"),
        ("addrl:predict", {}, 400, "Missing 'inputs' or 'instances'"),
        ("addrl:predict", [], 400, "object"),
        ("other:predict", {"instances": [{"b64": ""}]}, 404, "other"),
        ("addrl/versions/9:predict", {"instances": [{"b64": ""}]}, 404, "9"),
        ("addrl:predict", {"signature_name": "x", "inputs": []}, 400, '"x"'),
        ("addrl:shrug", {}, 400, "Malformed request"),
        (
            "addrl:predict",
            {"signature_name": "profile", "instances": [_STRANGER] * 2},
            400,
            "inconsistent batch size",
        ),
        (
            "addrl:predict",
            {"signature_name": "recommend", "inputs": {"user_id": ["u0"]}},
            400,
            "Missing named input",
        ),
        (
            "addrl:predict",
            {"signature_name": "score", "inputs": {"user_id": ["u0"], "item_ids": [["a"], []]}},
            400,
            "item_ids",
        ),
        (
            "addrl:predict",
            {"signature_name": "recommend", "inputs": {"user_id": ["u0"], **NEUTRAL, "k": 9}},
            400,
            "k must be",
        ),
        (
            "addrl:predict",
            {"signature_name": "recommend", "inputs": {"user_id": ["u0"], **NEUTRAL, "k": True}},
            400,
            "int32",
        ),
    ],
)
def test_bad_requests(path, document, status, word):
    got, answer = _ask(path, document)
    assert got == status
    assert word in answer["error"]


def test_body_that_is_no_json():
    url = f"{start_server().rest_url}/v1/models/addrl:predict"
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(url, data=b"{", timeout=20)
    assert caught.value.code == 400
    assert "JSON Parse error" in json.loads(caught.value.read())["error"]
