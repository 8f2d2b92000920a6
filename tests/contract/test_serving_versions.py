"""New, broken and withdrawn versions, while requests flow. For the local server only."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import threading
import time
from pathlib import Path

import pytest
from tiny_server import copy_version, start_server

from serving.client import Client, ServingError

FIRST_SCORE = 1.19
WAIT_SECONDS = 20.0
# A number of its own for each version, so that no test sees what another left in the status.
_numbers = itertools.count(2)


@pytest.fixture
def base():
    """The folder of the model `moving`, with version 1 alone before and after the test."""
    folder = start_server().folder / "moving"
    yield folder
    for version in folder.iterdir():
        if version.name != "1":
            shutil.rmtree(version)
    with _client() as client:
        _wait_until(lambda: client.recommend("u0").model_version == 1)


def _client() -> Client:
    return Client(start_server().address, model_name="moving", timeout=20.0)


def _wait_until(condition) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "the server did not follow the folder"
        time.sleep(0.05)


def _state(client: Client, version: int):
    return next((s for s in client.status() if s.version == version), None)


@contextlib.contextmanager
def _flowing_requests():
    """Asks without a pause from two threads; yields the answers' (version, score) and errors."""
    stop = threading.Event()
    seen: list[tuple[int, float]] = []
    errors: list[ServingError] = []

    def ask() -> None:
        with _client() as client:
            while not stop.is_set():
                try:
                    answer = client.recommend("u0", k=1)
                    seen.append((answer.model_version, answer.items[0].score))
                except ServingError as error:
                    errors.append(error)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield seen, errors
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_new_version_takes_over_and_deleting_it_rolls_back_without_a_failed_request(base):
    new = next(_numbers)
    with _client() as client, _flowing_requests() as (seen, errors):
        copy_version(start_server().spare, base, new)
        _wait_until(lambda: _state(client, 1).state == "END")
        assert client.recommend("u0", k=1).model_version == new
        shutil.rmtree(base / str(new))
        _wait_until(lambda: _state(client, new).state == "END")
        assert client.recommend("u0", k=1).model_version == 1
    assert errors == []
    assert {version for version, _ in seen} == {1, new}
    for version, score in seen:
        # No answer mixes one version's number with another's weights.
        assert score == pytest.approx(FIRST_SCORE * (2.0 if version == new else 1.0))


def _cut_graph(path: Path) -> None:
    graph = path / "saved_model.pb"
    graph.write_bytes(graph.read_bytes()[:1000])


def _lose_variables(path: Path) -> None:
    shutil.rmtree(path / "variables")


def _lose_graph(path: Path) -> None:
    (path / "saved_model.pb").unlink()


def _cut_warmup(path: Path) -> None:
    file = path / "assets.extra" / "tf_serving_warmup_requests"
    file.write_bytes(file.read_bytes()[:-3])


def _replace_warmup(path: Path) -> None:
    """Makes the record ask for an item that the model does not know."""
    import tensorflow as tf

    from serving import protos

    file = path / "assets.extra" / "tf_serving_warmup_requests"
    log = protos.PredictionLog.FromString(next(tf.compat.v1.io.tf_record_iterator(str(file))))
    log.predict_log.request.inputs["item_id"].string_val[0] = b"gone"
    with tf.io.TFRecordWriter(str(file)) as writer:
        writer.write(log.SerializeToString())


@pytest.mark.parametrize(
    ("damage", "code", "word"),
    [
        (_cut_graph, None, ""),
        (_lose_graph, "NOT_FOUND", "saved_model.pb"),
        (_lose_variables, None, "variables"),
        (_cut_warmup, "DATA_LOSS", "TFRecord"),
        (_replace_warmup, "INVALID_ARGUMENT", "unknown item: gone"),
    ],
)
def test_broken_version_is_reported_and_the_old_one_goes_on(base, tmp_path, damage, code, word):
    broken = tmp_path / "broken"
    shutil.copytree(start_server().spare, broken)
    damage(broken)
    new = next(_numbers)
    with _client() as client, _flowing_requests() as (seen, errors):
        copy_version(broken, base, new)
        _wait_until(lambda: (s := _state(client, new)) is not None and s.state == "END")
        status = _state(client, new)
        assert _state(client, 1).state == "AVAILABLE"
        with pytest.raises(ServingError):
            client.wait_ready(timeout=5.0, version=new)
        asked = len(seen)
        _wait_until(lambda: len(seen) > asked + 5)
    assert status.error_code == code or (code is None and status.error_code != "OK")
    assert word in status.error_message
    assert errors == []
    assert {version for version, _ in seen} == {1}


def test_version_that_was_half_copied_gets_another_chance(base):
    spare, new = start_server().spare, next(_numbers)
    folder = base / str(new)
    folder.mkdir()
    shutil.copy(spare / "saved_model.pb", folder)
    with _client() as client:
        _wait_until(lambda: (s := _state(client, new)) is not None and s.state == "END")
        shutil.copytree(spare, folder, dirs_exist_ok=True)
        _wait_until(lambda: client.recommend("u0").model_version == new)


def test_failed_version_that_comes_back_whole_is_tried_again(base):
    spare, new = start_server().spare, next(_numbers)
    (base / str(new)).mkdir()
    with _client() as client:
        _wait_until(lambda: (s := _state(client, new)) is not None and s.state == "END")
        assert _state(client, new).error_code == "NOT_FOUND"
        (base / str(new)).rmdir()
        copy_version(spare, base, new)
        assert client.wait_ready(timeout=WAIT_SECONDS, version=new) == new


def test_folders_that_are_no_number_are_ignored(base):
    copy = base / "backup"
    shutil.copytree(start_server().spare, copy)
    time.sleep(0.5)
    with _client() as client:
        assert [s.version for s in client.status() if s.state == "AVAILABLE"] == [1]
