"""One model on one server: predict, status, metadata, waiting until it is ready."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import grpc

from serving import protos
from serving.contract import CONTRACT, SignatureSpec, spec_from_signature_def
from serving.errors import ServingError
from serving.requests import read_number, read_whole
from serving.results import STATE_NAMES, VersionStatus
from serving.tensors import decode_tensor, encode_tensor
from serving.transport import Transport

# StatusProto.error_code holds the numbers of gRPC's own codes.
_CODE_NAMES = {code.value[0]: code.name for code in grpc.StatusCode}
# How long a failed load may be that of a folder whose files are still being copied.
_COPY_SECONDS = 2.0


class ModelClient:
    """Calls the signatures of one model with nested lists. Safe to share between threads.

    Args:
        address: `host:port` of the gRPC API.
        timeout: seconds a call may take, repetitions included.
        model_name: the name that the server serves the model under.
        version: the version to ask; None for the newest that is ready.
        label: the version label to ask, such as `stable`; not together with `version`.
        retries: how often a call that found no server is repeated.
        backoff: seconds before the first repetition, doubled each time.
        **channel: `credentials` and `options` of the gRPC channel.

    Raises:
        ValueError: both a version and a label were given; or the address, the timeout or retries
            cannot be one.
    """

    def __init__(
        self,
        address: str = "127.0.0.1:8500",
        timeout: float = 5.0,
        model_name: str = "addrl",
        version: int | None = None,
        label: str | None = None,
        retries: int = 0,
        backoff: float = 0.1,
        **channel: Any,
    ):
        if version is not None and label is not None:
            raise ValueError(
                "a request names a version or a label, not both. "
                f"Received: version={version}, label={label!r}. Leave one out."
            )
        _validate_channel(address, timeout, retries)
        self.model_name = model_name
        self.timeout = timeout
        self._version = version
        self._label = label
        self._transport = Transport(address, retries, backoff, **channel)

    def __enter__(self) -> ModelClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the channel."""
        self._transport.close()

    def status(self, timeout: float | None = None) -> list[VersionStatus]:
        """Returns the state of each version that the server knows, newest first.

        Raises:
            ServingError: NOT_FOUND if the server does not serve the model.
        """
        request = protos.GetModelStatusRequest()
        self._fill_model_spec(request)
        response = self._transport.call("GetModelStatus", request, timeout or self.timeout)
        versions = [
            VersionStatus(
                entry.version,
                STATE_NAMES.get(entry.state, str(entry.state)),
                _CODE_NAMES.get(entry.status.error_code, "UNKNOWN"),
                entry.status.error_message,
            )
            for entry in response.model_version_status
        ]
        return sorted(versions, key=lambda status: -status.version)

    def metadata(self, timeout: float | None = None) -> dict[str, SignatureSpec]:
        """Returns the model's signatures, which `serving.contract` can compare.

        Raises:
            ServingError: NOT_FOUND if no version of the model is ready.
        """
        request = protos.GetModelMetadataRequest(metadata_field=["signature_def"])
        self._fill_model_spec(request)
        response = self._transport.call("GetModelMetadata", request, timeout or self.timeout)
        packed = response.metadata["signature_def"].value
        signatures = protos.SignatureDefMap.FromString(packed).signature_def
        return {name: spec_from_signature_def(signatures[name]) for name in signatures}

    def wait_ready(self, timeout: float = 60.0, version: int | None = None) -> int:
        """Waits until a version of the model is ready to answer.

        Args:
            timeout: seconds to wait.
            version: the version to wait for; None for any.

        Returns:
            The newest version that is ready, or `version`.

        Raises:
            ServingError: DEADLINE_EXCEEDED, with the last state seen; after two seconds if the
                version that is waited for failed to load.
        """
        deadline = time.monotonic() + timeout
        failed_since: float | None = None
        while True:
            try:
                statuses = self.status(timeout=min(2.0, timeout))
                seen = ", ".join(f"version {s.version} is {s.state}" for s in statuses)
            except ServingError as error:
                statuses, seen = [], str(error)
            for status in statuses:
                if version not in (None, status.version):
                    continue
                if status.state == "AVAILABLE":
                    return status.version
                if status.version == version and status.error_code != "OK":
                    failed_since = failed_since or time.monotonic()
                    if time.monotonic() - failed_since > _COPY_SECONDS:
                        raise ServingError(status.error_code, status.error_message)
            if time.monotonic() > deadline:
                raise ServingError(
                    "DEADLINE_EXCEEDED",
                    f"model {self.model_name!r} was not ready at {self._transport.address} "
                    f"within {timeout:g} s. Last seen: {seen.rstrip('.')}.",
                )
            time.sleep(0.1)

    def predict(
        self,
        signature: str,
        given: Mapping[str, Any],
        output_filter: Sequence[str] = (),
        timeout: float | None = None,
    ) -> tuple[dict[str, Any], int]:
        """Calls a signature of the contract with nested lists; the methods above build on it.

        Args:
            signature: name of the signature.
            given: values by input name; None for an input that is not sent.
            output_filter: the outputs to return; empty for all.
            timeout: seconds for this call; None for the client's own.

        Returns:
            The decoded outputs by name, and the version of the model that answered.

        Raises:
            ServingError: the server refused or did not answer.
        """
        request = protos.PredictRequest(output_filter=output_filter)
        self._fill_model_spec(request, signature)
        for name, value in given.items():
            if value is not None:
                tensor = encode_tensor(value, CONTRACT[signature].inputs[name])
                request.inputs[name].CopyFrom(tensor)
        response = self._transport.call("Predict", request, timeout or self.timeout)
        outputs = {name: decode_tensor(response.outputs[name]) for name in response.outputs}
        return outputs, response.model_spec.version.value

    def _fill_model_spec(self, request: Any, signature: str = "") -> None:
        spec = request.model_spec
        spec.name = self.model_name
        spec.signature_name = signature
        if self._version is not None:
            spec.version.value = self._version
        if self._label is not None:
            spec.version_label = self._label


def _validate_channel(address: Any, timeout: Any, retries: Any) -> None:
    """Raises unless a channel can be made of these; gRPC would say less, and later."""
    is_url = isinstance(address, str) and address.startswith(("http://", "https://"))
    if not isinstance(address, str) or ":" not in address or is_url:
        raise ValueError(
            "address must be HOST:PORT of the gRPC API, such as 127.0.0.1:8500. "
            f"Received: {address!r}."
        )
    seconds, count = read_number(timeout), read_whole(retries)
    if seconds is None or not 0 < seconds < float("inf"):
        raise ValueError(f"timeout must be a number of seconds above 0. Received: {timeout!r}.")
    if count is None or count < 0:
        raise ValueError(f"retries must be a whole number from 0. Received: {retries!r}.")
