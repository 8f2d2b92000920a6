"""Somebody else's client of the TensorFlow Serving API understands our server.

It runs in a process of its own: ovmsclient registers TensorFlow's messages under TensorFlow's
names, which cannot be done twice in one process.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import tiny_model
from tiny_server import start_server

_SCRIPT = """
import json, sys
import ovmsclient
client = ovmsclient.make_grpc_client(sys.argv[1])
http = ovmsclient.make_http_client(sys.argv[2])
# tf.Example with the feature user_id = b"u0", serialised by hand.
pair = b"\\x0a\\x07user_id" + b"\\x12\\x06\\x0a\\x04\\x0a\\x02u0"
entry = b"\\x0a" + bytes([len(pair)]) + pair
example = b"\\x0a" + bytes([len(entry)]) + entry
# Version 0, ovmsclient's default, is the newest to OpenVINO and version 0 to TensorFlow Serving.
answer = client.predict({"examples": [example]}, "addrl", 1)
print(json.dumps({
    "status": client.get_model_status("addrl", 1),
    "http_status": http.get_model_status("addrl", 1),
    "outputs": sorted(client.get_model_metadata("addrl", 1)["outputs"]),
    "items": [item.decode() for item in answer["item_ids"][0]],
    "scores": answer["scores"][0].tolist(),
}))
"""


def test_ovmsclient_reads_status_metadata_and_predictions():
    server = start_server()
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, server.address, server.rest_url.removeprefix("http://")],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    available = {"1": {"state": "AVAILABLE", "error_code": 0, "error_message": ""}}
    assert answer["status"] == answer["http_status"] == available
    assert "item_ids" in answer["outputs"] and "contributions" in answer["outputs"]
    expected = tiny_model.compute_ranking(tiny_model.USER_CHUNKS[0])[: tiny_model.DEFAULT_K]
    assert answer["items"] == [name for name, _ in expected]
    assert answer["scores"] == pytest.approx([score for _, score in expected])
