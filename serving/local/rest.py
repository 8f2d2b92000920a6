"""The REST API: predict, status and metadata over HTTP."""

from __future__ import annotations

import json
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

from google.protobuf import json_format
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, model_pb2

from serving.errors import ServingError
from serving.local.rest_json import make_answer, parse_document, parse_inputs
from serving.local.servable import DEFAULT_SIGNATURE
from serving.local.servicers import Backend, make_refusal

_MODEL = r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
_PREDICT = re.compile(_MODEL + ":predict", re.IGNORECASE)
_STATUS = re.compile(_MODEL + "(?P<metadata>/metadata)?", re.IGNORECASE)

# As http_server.cc of tensorflow/serving maps them; 500 for the rest.
_HTTP_STATUS = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 429,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}


class RestServer(ThreadingHTTPServer):
    """HTTP server that answers from the same backend as gRPC.

    Args:
        host: address to bind.
        port: port to bind, 0 for a free one.
        backend: the models.
    """

    daemon_threads = True

    def __init__(self, host: str, port: int, backend: Backend):
        self.backend = backend
        super().__init__((host, port), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: RestServer
    protocol_version = "HTTP/1.1"
    # Without this, headers and body go out as two packets and each request waits 40 ms.
    wbufsize = -1

    def do_POST(self) -> None:  # noqa: N802
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._answer(lambda: answer_predict(self.server.backend, self._path(), body))

    def do_GET(self) -> None:  # noqa: N802
        self._answer(lambda: answer_get(self.server.backend, self._path()))

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: one line a request would bury what matters."""

    def _path(self) -> str:
        return self.path.partition("?")[0]

    def _answer(self, make: Any) -> None:
        status = 200
        try:
            body = make()
        except Exception as error:
            refusal = make_refusal(error)
            status = _HTTP_STATUS.get(refusal.code, 500)
            body = json.dumps({"error": refusal.message}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def answer_predict(backend: Backend, path: str, body: bytes) -> bytes:
    """Answers `POST /v1/models/NAME[/versions/N][/labels/L]:predict`.

    Args:
        backend: the models.
        path: path of the request, without its query.
        body: its JSON body.

    Returns:
        The JSON of the answer.

    Raises:
        ServingError: the path or the body is wrong, or the model refused.
    """
    spec = _parse_spec(_PREDICT.fullmatch(path), "POST", path)
    document = parse_document(body)
    name = document.get("signature_name") or DEFAULT_SIGNATURE
    with backend.use(spec) as servable:
        if name not in servable.signatures:
            raise ServingError(
                "INVALID_ARGUMENT",
                f'Serving signature name: "{name}" not found in signature def',
            )
        inputs, form = parse_inputs(document, servable.signatures[name])
        return make_answer(servable.predict(name, inputs), form)


def answer_get(backend: Backend, path: str) -> bytes:
    """Answers `GET /v1/models/NAME[/versions/N][/labels/L][/metadata]`.

    Args:
        backend: the models.
        path: path of the request, without its query.

    Returns:
        The JSON of the model's status or of its signatures.

    Raises:
        ServingError: the path is wrong or the model is not there.
    """
    match = _STATUS.fullmatch(path)
    spec = _parse_spec(match, "GET", path)
    if match and match["metadata"]:
        request = get_model_metadata_pb2.GetModelMetadataRequest(
            model_spec=spec, metadata_field=["signature_def"]
        )
        response = backend.metadata(request)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        response.metadata["signature_def"].Unpack(signatures)
        metadata = {"signature_def": _to_dict(signatures)}
        document = {"model_spec": _to_dict(response.model_spec), "metadata": metadata}
    else:
        status = get_model_status_pb2.GetModelStatusRequest(model_spec=spec)
        document = _to_dict(backend.status(status))
    return json.dumps(document, indent=1).encode()


def _parse_spec(match: re.Match[str] | None, method: str, path: str) -> Any:
    if match is None:
        raise ServingError("INVALID_ARGUMENT", f"Malformed request: {method} {path}")
    spec = model_pb2.ModelSpec(name=unquote(match["name"]))
    if match["version"]:
        spec.version.value = int(match["version"])
    if match["label"]:
        spec.version_label = unquote(match["label"])
    return spec


def _to_dict(message: Any) -> dict[str, Any]:
    return json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
