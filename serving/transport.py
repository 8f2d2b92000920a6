"""Calls over one gRPC channel: deadlines, retries and readable errors."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import Any

import grpc

from serving import protos
from serving.errors import ServingError
from serving.messages import clean_op_message

# A list of 1,000 users with 1,000 items and their contributions passes gRPC's default of 4 MiB.
_MAX_MESSAGE_BYTES = 256 * 1024 * 1024
_CHANNEL_OPTIONS = [
    ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
    # A server that restarts on the same port should be found again soon, not after two minutes.
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.initial_reconnect_backoff_ms", 100),
]

_METHODS = {
    "Predict": (protos.PREDICTION_SERVICE, protos.PredictResponse),
    "GetModelMetadata": (protos.PREDICTION_SERVICE, protos.GetModelMetadataResponse),
    "GetModelStatus": (protos.MODEL_SERVICE, protos.GetModelStatusResponse),
    "Check": (protos.HEALTH_SERVICE, protos.HealthCheckResponse),
}


class Transport:
    """One channel to one server, safe to share between threads.

    Args:
        address: `host:port` of the gRPC API.
        retries: how often a call that found no server is repeated, within its deadline.
        backoff: seconds before the first repetition; doubled each time, with jitter.
        credentials: channel credentials; None for a plain channel.
        options: further gRPC channel options.
    """

    def __init__(
        self,
        address: str,
        retries: int = 0,
        backoff: float = 0.1,
        credentials: grpc.ChannelCredentials | None = None,
        options: Sequence[tuple[str, Any]] = (),
    ):
        self.address = address
        self._retries = retries
        self._backoff = backoff
        all_options = [*_CHANNEL_OPTIONS, *options]
        if credentials is None:
            self._channel = grpc.insecure_channel(address, options=all_options)
        else:
            self._channel = grpc.secure_channel(address, credentials, options=all_options)
        self._calls: dict[str, Callable[..., Any]] = {
            method: self._channel.unary_unary(
                f"/{service}/{method}",
                request_serializer=lambda request: request.SerializeToString(),
                response_deserializer=response.FromString,
            )
            for method, (service, response) in _METHODS.items()
        }

    def call(self, method: str, request: Any, timeout: float) -> Any:
        """Sends one request.

        Args:
            method: one of Predict, GetModelMetadata, GetModelStatus, Check.
            request: its message.
            timeout: seconds for the whole call, repetitions included.

        Returns:
            The response message.

        Raises:
            ServingError: the server refused, could not be reached or was too slow.
        """
        deadline = time.monotonic() + timeout
        attempt = 0
        while True:
            try:
                remaining = max(deadline - time.monotonic(), 0.001)
                return self._calls[method](request, timeout=remaining)
            except grpc.RpcError as error:
                pause = self._backoff * 2**attempt * random.uniform(0.5, 1.0)
                again = attempt < self._retries and time.monotonic() + pause < deadline
                if error.code() is not grpc.StatusCode.UNAVAILABLE or not again:
                    raise self._make_error(error, timeout) from error
                attempt += 1
                time.sleep(pause)
            except ValueError as error:  # grpc's way to say that the channel is closed
                raise ServingError(
                    "FAILED_PRECONDITION",
                    f"the client of {self.address} was closed. Make a new Client.",
                ) from error

    def close(self) -> None:
        """Closes the channel; calls under way are cancelled."""
        self._channel.close()

    def _make_error(self, error: grpc.RpcError, timeout: float) -> ServingError:
        code = error.code().name
        details = clean_op_message(error.details() or "no details")
        if code == "UNAVAILABLE":
            details = (
                f"no server answers at {self.address} ({details}). "
                "Start it with `addrl serve PRESET`, or give the right address."
            )
        elif code == "DEADLINE_EXCEEDED":
            details = (
                f"{self.address} gave no answer within {timeout:g} s. "
                "Raise the timeout, or ask for fewer users in one call."
            )
        elif code == "RESOURCE_EXHAUSTED":
            details += ". Ask for fewer users in one call."
        return ServingError(code, details)
