"""What goes wrong around the server and the client, each with one clear line and the remedy."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from serving.client import Client, ServingError

ROOT = Path(__file__).resolve().parents[2]


def _run(*flags: str, timeout: float = 120.0) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "serving.server", *flags],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=timeout,
    )


@pytest.fixture
def taken_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


@pytest.mark.parametrize("flag", ["--port", "--rest_api_port"])
def test_port_in_use_is_one_line_at_once(tmp_path, taken_port, assert_below, flag):
    runs = []
    flags = ("--model_base_path", str(tmp_path), "--port", "0", flag, str(taken_port))
    # It takes longer where TensorFlow is imported before the port is tried.
    assert_below(5.0, lambda: runs.append(_run(*flags)))
    done = runs[-1]
    assert done.returncode == 1
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1
    assert flag in lines[0] and str(taken_port) in lines[0] and "pick another" in lines[0]


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        ((), "--model_base_path is needed"),
        (("--model_base_path", "not/there"), "not/there"),
        (("--model_base_path", ".", "--port", "x"), "invalid int"),
        (("--model_base_path", ".", "--enable_model_warmup", "maybe"), "maybe"),
    ],
)
def test_wrong_command_lines_end_with_2(flags, word):
    done = _run(*flags)
    assert done.returncode == 2
    assert word in done.stderr and "Traceback" not in done.stderr


def test_broken_first_version_ends_the_server_and_names_the_remedy(tmp_path):
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "saved_model.pb").write_bytes(b"\x08\x01 cut off")
    done = _run("--model_base_path", str(tmp_path), "--port", "0", "--rest_api_port", "-1")
    assert done.returncode == 1
    assert "cannot serve addrl version 7" in done.stderr
    assert "Remove that folder" in done.stderr
    assert "Traceback" not in done.stderr and done.stdout == ""


def test_server_without_a_version_waits_and_stops_on_sigterm(tmp_path):
    free_ports = ["--port", "0", "--rest_api_port", "0"]
    process = subprocess.Popen(
        [sys.executable, "-m", "serving.server", "--model_base_path", str(tmp_path), *free_ports],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert any("waiting for one" in line for line in process.stderr)
        process.terminate()
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.stderr.close()


def test_no_server_names_the_address_and_the_command():
    with Client("127.0.0.1:1", timeout=5.0) as client, pytest.raises(ServingError) as caught:
        client.recommend("u0")
    assert caught.value.code == "UNAVAILABLE"
    assert "127.0.0.1:1" in caught.value.message and "addrl serve" in caught.value.message


def test_retries_stop_at_the_deadline(assert_below):
    def ask():
        started = time.monotonic()
        with Client("127.0.0.1:1", timeout=1.0, retries=100) as client, pytest.raises(ServingError):
            client.recommend("u0")
        assert time.monotonic() - started > 0.3

    assert_below(4.0, ask)


def test_silent_server_meets_the_deadline(taken_port, assert_below):
    with Client(f"127.0.0.1:{taken_port}", timeout=0.5) as client:

        def ask():
            with pytest.raises(ServingError) as caught:
                client.recommend("u0")
            assert caught.value.code in ("DEADLINE_EXCEEDED", "UNAVAILABLE")

        assert_below(3.0, ask)


def test_wait_ready_tells_what_it_saw_last():
    with Client("127.0.0.1:1") as client, pytest.raises(ServingError) as caught:
        client.wait_ready(timeout=0.5)
    assert caught.value.code == "DEADLINE_EXCEEDED"
    assert "UNAVAILABLE" in caught.value.message


def test_closed_client_says_so():
    client = Client("127.0.0.1:1")
    client.close()
    with pytest.raises(ServingError, match="closed"):
        client.status()


def test_version_and_label_exclude_each_other():
    with pytest.raises(ValueError, match="not both"):
        Client(version=1, label="stable")


def test_errors_survive_pickling():
    import pickle

    error = pickle.loads(pickle.dumps(ServingError("NOT_FOUND", "gone")))
    assert (error.code, error.message) == ("NOT_FOUND", "gone")
