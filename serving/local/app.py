"""Puts the local server together: models, polling, gRPC, REST, an orderly end."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
import threading
from collections.abc import Sequence
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import tensorflow as tf
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from serving.local.config import ModelSettings
from serving.local.model_store import ModelStore
from serving.local.rest import RestServer
from serving.local.servable import Servable
from serving.local.servicers import (
    Backend,
    ModelService,
    PredictionService,
    make_health_handler,
)
from serving.local.warmup import replay_warmup

_MAX_MESSAGE_BYTES = 256 * 1024 * 1024


@dataclasses.dataclass(frozen=True)
class ServerOptions:
    """How the server runs; the fields are the flags of `serving.server`.

    Attributes:
        models: what to serve.
        host: address to bind.
        port: port of gRPC, 0 for a free one.
        rest_api_port: port of REST, 0 for a free one, -1 for no REST.
        poll_seconds: seconds between two looks at the folders; 0 to look once.
        threads: threads that answer gRPC.
        drain_seconds: seconds that requests under way get when the server stops.
        session_parallelism: TensorFlow threads within and between ops; 0 for its own choice.
        enable_warmup: whether warm-up requests are replayed.
        port_file: file that receives the ports as JSON once the server is ready.
    """

    models: Sequence[ModelSettings]
    host: str = "127.0.0.1"
    port: int = 8500
    rest_api_port: int = 8501
    poll_seconds: float = 1.0
    threads: int = 8
    drain_seconds: float = 10.0
    session_parallelism: int = 0
    enable_warmup: bool = True
    port_file: Path | None = None


class LocalServer:
    """The running server.

    Args:
        options: how to run.

    Raises:
        OSError: a port is taken, or the host is none of this machine's.
    """

    def __init__(self, options: ServerOptions):
        self.options = options
        self.stores = {model.name: ModelStore(model, self._load, _log) for model in options.models}
        self._backend = Backend(self.stores)
        self._stop = threading.Event()
        self._rest = None
        if options.rest_api_port >= 0:
            self._rest = _make_rest_server(options, self._backend)
        self._grpc = _make_grpc_server(self._backend, options.threads)
        address = f"{options.host}:{options.port}"
        try:
            self.port = self._grpc.add_insecure_port(address)
        except RuntimeError as error:
            raise _make_bind_error(options.host, "--port", options.port, error) from error
        self.rest_port = self._rest.server_address[1] if self._rest else -1

    def run(self) -> int:
        """Serves until SIGTERM or SIGINT.

        Returns:
            Exit code: 0 after an orderly stop, 1 if the first version could not be loaded.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop.set())
        self._grpc.start()
        if self._rest:
            threading.Thread(target=self._rest.serve_forever, daemon=True).start()
        for store in self.stores.values():
            store.poll()
        if failed := self._first_failure():
            print(failed, file=sys.stderr, flush=True)
            self._shut_down()
            return 1
        self._wait_and_poll()
        self._shut_down()
        return 0

    def _first_failure(self) -> str | None:
        """Returns why a model has nothing to serve although a version is there.

        TensorFlow Serving ends in the same way. It does not fall back to an older version by
        itself, because then nobody would notice that the newest one is broken.
        """
        for store in self.stores.values():
            entries = store.entries()
            if entries and not store.available():
                return (
                    f"cannot serve {store.settings.name} version {entries[0].version}: "
                    f"{entries[0].error}. Remove that folder to serve the version before it."
                )
        return None

    def _wait_and_poll(self) -> None:
        announced = False
        if not self._backend.is_ready():
            folders = ", ".join(str(store.settings.base_path) for store in self.stores.values())
            _log(f"no version yet under {folders}; waiting for one")
        while True:
            if not announced and self._backend.is_ready():
                self._announce()
                announced = True
            if self._stop.wait(self.options.poll_seconds or None):
                return
            for store in self.stores.values():
                store.poll()

    def _announce(self) -> None:
        ports = f"{self.options.host}:{self.port} (gRPC)"
        if self._rest:
            ports += f", {self.rest_port} (REST)"
        what = ", ".join(
            f"{name} version {store.available()[-1]}" for name, store in self.stores.items()
        )
        if self.options.port_file:
            content = {"grpc": self.port, "rest": self.rest_port, "pid": os.getpid()}
            _write_whole(self.options.port_file, json.dumps(content))
        print(f"serving {what} on {ports}", flush=True)

    def _shut_down(self) -> None:
        """Refuses new requests, lets those under way finish, then frees the models."""
        self._grpc.stop(self.options.drain_seconds).wait()
        if self._rest:
            self._rest.shutdown()
            self._rest.server_close()
        for store in self.stores.values():
            store.close(self.options.drain_seconds)

    def _load(self, version: int, path: Path) -> Servable:
        parallelism = self.options.session_parallelism
        config = tf.compat.v1.ConfigProto(
            intra_op_parallelism_threads=parallelism, inter_op_parallelism_threads=parallelism
        )
        servable = Servable(version, path, session_config=config)
        try:
            if self.options.enable_warmup:
                replay_warmup(servable, path)
        except Exception:
            servable.close()
            raise
        return servable


def _make_rest_server(options: ServerOptions, backend: Backend) -> RestServer:
    try:
        return RestServer(options.host, options.rest_api_port, backend)
    # UnicodeError: a host that no name server can be asked for.
    except (OSError, UnicodeError) as error:
        flag, port = "--rest_api_port", options.rest_api_port
        raise _make_bind_error(options.host, flag, port, error) from error


def _make_bind_error(host: str, flag: str, port: int, error: Exception) -> OSError:
    return OSError(
        f"cannot listen on host {host!r}, {flag} {port} ({error}). Name an address of this machine "
        "with --host (0.0.0.0 for all of them), and a free port."
    )


def _make_grpc_server(backend: Backend, threads: int) -> Any:
    server = grpc.server(
        futures.ThreadPoolExecutor(threads),
        options=[
            # Two servers on one port would share the requests between them, unnoticed.
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
        ],
    )
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        PredictionService(backend), server
    )
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(backend), server)
    server.add_generic_rpc_handlers((make_health_handler(backend),))
    return server


def _write_whole(path: Path, content: str) -> None:
    """Writes a file so that a reader never sees half of it."""
    draft = path.with_name(path.name + ".part")
    draft.write_text(content)
    draft.replace(path)


def _log(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
