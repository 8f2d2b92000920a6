"""Fetching, checking and repairing of source files, with a wheel made here and the real pip."""

import hashlib
import os
import zipfile

import pytest

from tfx_pipeline.datasets.errors import DataError
from tfx_pipeline.datasets.source import PackageSource, compute_sha256, load_directory, load_source

FILES = {"a.txt": b"first\n", "b.txt": b"second\n"}
WHEEL = "tinydata-1.0-py3-none-any.whl"


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A package with two files on an index that is a folder; nothing goes to the network."""
    index = tmp_path / "index"
    index.mkdir()
    with zipfile.ZipFile(index / WHEEL, "w") as archive:
        for name, content in FILES.items():
            archive.writestr(f"tinydata/{name}", content)
        info = "tinydata-1.0.dist-info"
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: tinydata\nVersion: 1.0\n"
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    return PackageSource(
        requirement="tinydata==1.0",
        wheel=WHEEL,
        sha256=compute_sha256(index / WHEEL),
        folder="tinydata",
        files={name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()},
    )


@pytest.fixture
def offline(monkeypatch):
    """Takes the index away when called."""
    return lambda: monkeypatch.setenv("PIP_FIND_LINKS", "")


def read(paths):
    return {name: path.read_bytes() for name, path in paths.items()}


def test_checksum_is_sha256(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert compute_sha256(tmp_path / "file") == expected


def test_files_are_fetched_once(source, tmp_path, offline):
    paths = load_source(source, tmp_path / "cache")
    assert read(paths) == FILES
    times = {path: path.stat().st_mtime_ns for path in paths.values()}
    offline()
    assert load_source(source, tmp_path / "cache") == paths
    assert {path: path.stat().st_mtime_ns for path in paths.values()} == times
    folder = paths["a.txt"].parent
    assert sorted(path.name for path in folder.iterdir()) == ["a.txt", "b.txt", WHEEL]


def test_damaged_file_is_made_again_from_the_kept_wheel(source, tmp_path, offline, caplog):
    paths = load_source(source, tmp_path / "cache")
    paths["a.txt"].write_bytes(b"firs")
    paths["b.txt"].unlink()
    offline()
    assert read(load_source(source, tmp_path / "cache")) == FILES
    assert "a.txt is damaged" in caplog.text


def test_damaged_wheel_and_file_are_fetched_again(source, tmp_path):
    paths = load_source(source, tmp_path / "cache")
    for name in ("a.txt", WHEEL):
        (paths["a.txt"].parent / name).write_bytes(b"truncated")
    assert read(load_source(source, tmp_path / "cache")) == FILES


def test_without_network_the_error_says_what_is_missing_and_how_to_supply_it(
    source, tmp_path, offline
):
    offline()
    with pytest.raises(DataError) as error:
        load_source(source, tmp_path / "cache")
    message = str(error.value)
    assert "a.txt, b.txt could not be fetched" in message
    assert "tinydata==1.0" in message
    assert "--data DIR" in message
    assert "\n" not in message
    assert not list((tmp_path / "cache").rglob("*.txt"))


def test_changed_package_is_refused(source, tmp_path):
    wheel = tmp_path / "index" / WHEEL
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("tinydata/evil.txt", "changed")
    with pytest.raises(DataError, match="could not be fetched"):
        load_source(source, tmp_path / "cache")


def test_cache_folder_that_cannot_be_made_is_named(source, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cache folder cannot be used.*ADDRL_CACHE"):
        load_source(source, tmp_path / "file" / "cache")


def test_old_leftovers_of_killed_runs_are_removed_and_young_ones_are_not(source, tmp_path):
    folder = load_source(source, tmp_path / "cache")["a.txt"].parent
    for name in ("old", "young"):
        (folder / f".partial-{name}").mkdir()
        (folder / f".partial-{name}" / WHEEL).write_bytes(b"half")
    os.utime(folder / ".partial-old", (0, 0))
    (folder / "a.txt").unlink()
    assert read(load_source(source, tmp_path / "cache")) == FILES
    assert [path.name for path in folder.glob(".partial-*")] == [".partial-young"]


def test_given_folder_must_hold_every_file(tmp_path):
    (tmp_path / "a.txt").write_text("")
    (tmp_path / "other.csv").write_text("")
    with pytest.raises(DataError) as error:
        load_directory(tmp_path, ("a.txt", "b.txt", "c.txt"), "Tiny")
    assert "2 of them are missing: b.txt, c.txt." in str(error.value)
    assert "a.txt, other.csv" in str(error.value)
    assert load_directory(tmp_path, ("a.txt",), "Tiny") == {"a.txt": tmp_path / "a.txt"}
    with pytest.raises(DataError, match="does not exist"):
        load_directory(tmp_path / "nowhere", ("a.txt",), "Tiny")
