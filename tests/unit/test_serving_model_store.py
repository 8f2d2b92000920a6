"""The store of versions, with servables that are plain objects."""

import threading
from pathlib import Path

import pytest

from serving.errors import ServingError
from serving.local.config import ModelSettings, VersionPolicy
from serving.local.model_store import AVAILABLE, END, UNLOADING, ModelStore


class _Servable:
    def __init__(self, version):
        self.version = version
        self.closed = 0
        self.fails = False

    def close(self):
        self.closed += 1
        if self.fails:
            raise OSError("stale handle")


@pytest.fixture
def loads():
    """The versions that were loaded, in order; put one into `bad` to make it fail."""
    return {"done": [], "bad": set()}


def _store(base: Path, loads, policy=None, labels=None, log=None) -> ModelStore:
    def load(version, path):
        loads["done"].append(version)
        if version in loads["bad"]:
            raise ServingError("INTERNAL", "broken")
        return _Servable(version)

    settings = ModelSettings("m", base, policy or VersionPolicy(), labels or {})
    return ModelStore(settings, load, log or (lambda line: None))


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
    with store.use() as held, store.use(version=1) as same:
        store.poll()
        assert store.available() == [2]
        with store.use() as newer:
            assert newer.version == 2
        assert held is same and held.version == 1 and not held.closed
        assert [(e.version, e.state) for e in store.entries()] == [(2, AVAILABLE), (1, UNLOADING)]
    assert held.closed == 1 and newer.closed == 0
    assert [(e.version, e.state) for e in store.entries()] == [(2, AVAILABLE), (1, END)]


def test_request_that_hangs_stops_neither_the_polling_nor_the_end(tmp_path, loads):
    _add(tmp_path, 1)
    lines = []
    store = _store(tmp_path, loads, log=lines.append)
    store.poll()
    with store.use() as held:
        for version in (2, 3):
            _add(tmp_path, version)
            store.poll()
            assert store.available() == [version]
        store.close(timeout=0.01)
        assert store.available() == [] and not held.closed
        assert lines[-1] == "version 1 still answers after 0.01 s, left open"
    assert held.closed == 1


def test_version_that_comes_back_is_loaded_beside_its_own_last_request(tmp_path, loads):
    _add(tmp_path, 1, 2)
    store = _store(tmp_path, loads)
    store.poll()
    with store.use() as held:
        (tmp_path / "2").rename(tmp_path / "away")
        store.poll()
        (tmp_path / "away").rename(tmp_path / "2")
        store.poll()
        with store.use() as newer:
            assert newer.version == held.version == 2 and newer is not held
    assert held.closed == 1 and newer.closed == 0
    assert store.available() == [2]


def test_end_waits_for_the_requests_under_way(tmp_path, loads):
    _add(tmp_path, 1)
    store = _store(tmp_path, loads)
    store.poll()
    with store.use() as held:
        end = threading.Thread(target=store.close)
        end.start()
        end.join(0.05)
        assert end.is_alive() and not held.closed
    end.join(5)
    assert not end.is_alive() and held.closed == 1


def test_failure_to_close_is_not_the_answer_of_the_last_request(tmp_path, loads):
    _add(tmp_path, 1)
    lines = []
    store = _store(tmp_path, loads, log=lines.append)
    store.poll()
    with store.use() as held:
        held.fails = True
        (tmp_path / "1").rename(tmp_path / "away")
        store.poll()
    assert store.entries()[0].state == END
    assert any("not closed in order" in line for line in lines)


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
