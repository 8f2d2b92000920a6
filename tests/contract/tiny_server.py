"""One local server for the whole test session, serving the tiny model.

It serves two models: `addrl`, pinned to version 1 under the label `stable`, and `moving`, whose
folder the tests of new and broken versions change. Both live in one process, because importing
TensorFlow costs more than all the tests together.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tiny_model import write_tiny_model

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 120.0

_CONFIG = """
model_config_list {{
  config {{
    name: "addrl" base_path: "{folder}/addrl" model_platform: "tensorflow"
    model_version_policy {{ specific {{ versions: 1 }} }}
    version_labels {{ key: "stable" value: 1 }}
  }}
  config {{ name: "moving" base_path: "{folder}/moving" model_platform: "tensorflow" }}
}}
"""


@dataclasses.dataclass(frozen=True)
class RunningServer:
    """A server under test.

    Attributes:
        address: `host:port` of gRPC.
        rest_url: root of the REST API.
        folder: parent of the models' folders; `stdout.txt` and `stderr.txt` lie there too.
        spare: a version that scores twice as high, to be copied where it is needed.
    """

    address: str
    rest_url: str
    folder: Path
    spare: Path


def copy_version(source: Path, base: Path, version: int) -> Path:
    """Copies a version beside its folder and moves it in when it is whole, as a pusher does."""
    draft = base / f"draft-{version}"
    shutil.copytree(source, draft)
    return draft.rename(base / str(version))


def run_server(*flags: str, **options) -> subprocess.Popen[str]:
    """Starts `python -m serving.server` with the flags, as a user's shell would."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TF_")}
    return subprocess.Popen(
        [sys.executable, "-m", "serving.server", *flags],
        cwd=ROOT,
        env={**environment, "PYTHONPATH": str(ROOT)},
        text=True,
        **options,
    )


@functools.cache
def start_server() -> RunningServer:
    """Starts the session's server on free ports, once, and stops it when Python ends."""
    holder = contextlib.ExitStack()
    atexit.register(holder.close)
    folder = Path(holder.enter_context(tempfile.TemporaryDirectory()))
    for name in ("addrl", "moving", "spare"):
        (folder / name).mkdir()
    version = write_tiny_model(folder / "addrl")
    spare = write_tiny_model(folder / "spare", 2, scale=2.0)
    copy_version(version, folder / "moving", 1)
    config = folder / "models.config"
    config.write_text(_CONFIG.format(folder=folder))
    ports = folder / "ports.json"
    errors = holder.enter_context((folder / "stderr.txt").open("w"))
    flags = ["--model_config_file", str(config), "--port", "0", "--rest_api_port", "0"]
    flags += ["--port_file", str(ports), "--file_system_poll_wait_seconds", "0.1"]
    output = holder.enter_context((folder / "stdout.txt").open("w"))
    process = run_server(*flags, stdout=output, stderr=errors)
    holder.callback(_stop, process)
    _wait_for(ports, process, folder / "stderr.txt")
    found = json.loads(ports.read_text())
    return RunningServer(
        f"127.0.0.1:{found['grpc']}", f"http://127.0.0.1:{found['rest']}", folder, spare
    )


def _wait_for(ports: Path, process: subprocess.Popen[str], errors: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not ports.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the server did not start:\n{errors.read_text()}")
        time.sleep(0.1)


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
