"""A server on a preset's pushed model for as long as something needs it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tfx_pipeline import workspace
from tfx_pipeline.commands import serve
from tfx_pipeline.commands.errors import CommandError

_START_SECONDS = 180.0
_STOP_SECONDS = 20.0


@contextlib.contextmanager
def start_server(place: workspace.Workspace) -> Iterator[str]:
    """Runs a server on a free port for as long as the context lasts.

    Args:
        place: The folder of the preset.

    Yields:
        The gRPC address, ready to answer.

    Raises:
        CommandError: The server ends, or is not ready in time; names its log.
    """
    place.server_log.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, open(place.server_log, "ab") as log:
        port_file = Path(folder) / "ports.json"
        command = [
            *serve.make_command(place),
            "--port=0",
            "--rest_api_port=-1",
            f"--port_file={port_file}",
        ]
        process = subprocess.Popen(
            command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=dict(os.environ)
        )
        try:
            with _stop_by_signal():
                yield f"127.0.0.1:{_wait_for_port(process, port_file, place.server_log)}"
        finally:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextlib.contextmanager
def _stop_by_signal() -> Iterator[None]:
    """Lets SIGTERM end this process as an exit does, so that the server is stopped as well."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _wait_for_port(process: subprocess.Popen, port_file: Path, log: Path) -> int:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if port_file.exists():
            return int(json.loads(port_file.read_text())["grpc"])
        if process.poll() is not None:
            raise CommandError(f"the server ended with code {process.returncode}. Its log: {log}")
        time.sleep(0.1)
    raise CommandError(f"the server was not ready in {_START_SECONDS:g} s. Its log: {log}")
