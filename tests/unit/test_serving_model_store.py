"""The store of versions, with servables that are plain objects."""

import threading
import time
from pathlib import Path

import pytest

from serving.errors import ServingError
from serving.local.config import ModelSettings, VersionPolicy
from serving.local.model_store import AVAILABLE, END, ModelStore


class _Servable:
    def __init__(self, version):
        self.version = version
        self.closed = False

    def close(self):
        self.closed = True


@pytest.fixture
def loads():
    """The versions that were loaded, in order; put one into `bad` to make it fail."""
    return {"done": [], "bad": set()}


def _store(base: Path, loads, policy=VersionPolicy(), labels=None) -> ModelStore:  # noqa: B008
    def load(version, path):
        loads["done"].append(version)
        if version in loads["bad"]:
            raise ServingError("INTERNAL", "broken")
        return _Servable(version)

    return ModelStore(ModelSettings("m", base, policy, labels or {}), load, lambda line: None)


def _add(base: Path, *versions: int) -> None:
    for version in versions:
        (base / str(version)).mkdir()
        (base / str(version) / "saved_model.pb").write_text("graph")


def test_highest_number_is_served_and_loaded_once(tmp_path, loads):
    _add(tmp_path, 2, 10, 9)
    (tmp_path / "notes").mkdir()
    (tmp_path / "11").write_text("a file, no version")
    store = _store(tmp_path, loads)
    store.poll()
    store.poll()
    assert loads["done"] == [10] and store.available() == [10]


def test_old_version_is_closed_only_after_its_last_request(tmp_path, loads):
    _add(tmp_path, 1)
    store = _store(tmp_path, loads)
    store.poll()
    _add(tmp_path, 2)
    with store.use() as held:
        poll = threading.Thread(target=store.poll)
        poll.start()
        deadline = time.monotonic() + 5
        while store.available() != [2] and time.monotonic() < deadline:
            time.sleep(0.01)
        with store.use() as newer:
            assert newer.version == 2
        assert held.version == 1 and not held.closed
    poll.join(5)
    assert held.closed
    assert [(e.version, e.state) for e in store.entries()] == [(2, AVAILABLE), (1, END)]


def test_broken_version_never_replaces_and_is_not_retried_unchanged(tmp_path, loads):
    _add(tmp_path, 1)
    store = _store(tmp_path, loads)
    store.poll()
    loads["bad"].add(2)
    _add(tmp_path, 2)
    store.poll()
    store.poll()
    assert loads["done"] == [1, 2] and store.available() == [1]
    assert store.entries()[0].error.message == "broken"
    loads["bad"].clear()
    (tmp_path / "2" / "variables").write_text("the rest of the copy")
    store.poll()
    assert store.available() == [2]


def test_unforeseen_error_of_a_new_version_is_a_refusal_too(tmp_path):
    def load(version, path):
        if version == 2:
            raise KeyError("tensor:0")
        return _Servable(version)

    _add(tmp_path, 1)
    store = ModelStore(ModelSettings("m", tmp_path), load, lambda line: None)
    store.poll()
    _add(tmp_path, 2)
    store.poll()
    assert store.available() == [1]
    error = store.entries()[0].error
    assert error.code == "INTERNAL" and "tensor:0" in error.message


def test_empty_folder_unloads_and_missing_folder_does_not(tmp_path, loads):
    base = tmp_path / "base"
    base.mkdir()
    _add(base, 1)
    store = _store(base, loads)
    store.poll()
    base.rename(tmp_path / "away")
    store.poll()
    assert store.available() == [1]
    base.mkdir()
    store.poll()
    assert store.available() == []
    with pytest.raises(ServingError, match=r"NOT_FOUND.*Latest\(m\)"), store.use():
        pass


def test_pinned_versions_and_labels(tmp_path, loads):
    _add(tmp_path, 1, 2, 3)
    store = _store(tmp_path, loads, VersionPolicy(specific=(1, 2)), {"stable": 1, "next": 3})
    store.poll()
    assert store.available() == [1, 2]
    with store.use() as newest, store.use(label="stable") as stable:
        assert (newest.version, stable.version) == (2, 1)
    for asked in ({"label": "nobody"}, {"label": "next"}, {"version": 3}):
        with pytest.raises(ServingError), store.use(**asked):
            pass


@pytest.mark.parametrize(
    ("policy", "selected"),
    [
        (VersionPolicy(), [10]),
        (VersionPolicy(latest=2), [9, 10]),
        (VersionPolicy(specific=(9, 7)), [9]),
        (VersionPolicy(serve_all=True), [2, 9, 10]),
    ],
)
def test_policies(policy, selected):
    assert policy.select([10, 2, 9]) == selected
