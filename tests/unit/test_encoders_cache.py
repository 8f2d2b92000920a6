"""The cache of vectors: kept, merged, shared, and repaired where it is damaged."""

import builtins
import errno
import os
import pathlib
import stat

import numpy as np
import pytest

from tfx_pipeline.datasets.errors import DataError
from tfx_pipeline.encoders import vector_cache
from tfx_pipeline.encoders.contents import compute_digest
from tfx_pipeline.encoders.vector_cache import VectorCache

HASH = "a" * 32


def make_batch(start, count, dim=3):
    digests = [compute_digest(f"content {number}") for number in range(start, start + count)]
    return digests, np.arange(start, start + count, dtype=np.float32)[:, None] + np.ones(dim, "f4")


def get_folder(tmp_path):
    return tmp_path / "vectors" / HASH


def test_vectors_come_back_to_others(tmp_path):
    cache = VectorCache(tmp_path, HASH)
    assert len(cache) == 0 and cache.dim is None
    digests, vectors = make_batch(0, 5)
    cache.add(digests, vectors)
    cache.add(*make_batch(5, 2))
    again = VectorCache(tmp_path, HASH)
    assert len(again) == 7 and again.dim == 3
    np.testing.assert_array_equal([again.find(digest) for digest in digests], vectors)
    assert again.find(compute_digest("unknown")) is None
    assert VectorCache(tmp_path, "b" * 32).find(digests[0]) is None


def test_adding_nothing_or_the_same_again_changes_nothing(tmp_path):
    cache = VectorCache(tmp_path, HASH)
    cache.add([], np.empty((0, 3), np.float32))
    cache.add(*make_batch(0, 4))
    before = sorted(get_folder(tmp_path).glob("*.npy"))
    cache.add(*make_batch(0, 4))
    assert sorted(get_folder(tmp_path).glob("*.npy")) == before
    assert len(VectorCache(tmp_path, HASH)) == 4


@pytest.mark.parametrize("damage", ["cut", "changed", "other", "empty"])
def test_a_damaged_segment_is_removed_and_the_others_stay(tmp_path, damage):
    cache = VectorCache(tmp_path, HASH)
    cache.add(*make_batch(0, 4))
    (segment,) = get_folder(tmp_path).glob("*.npy")
    cache.add(*make_batch(4, 4))
    data = segment.read_bytes()
    flipped = data[:-1] + bytes([data[-1] ^ 1])
    segment.write_bytes({"cut": data[:-5], "changed": flipped, "other": b"x", "empty": b""}[damage])
    again = VectorCache(tmp_path, HASH)
    assert len(again) == 4 and not segment.exists()
    assert again.find(make_batch(0, 1)[0][0]) is None
    np.testing.assert_array_equal(again.find(make_batch(4, 1)[0][0]), [5, 5, 5])
    again.add(*make_batch(0, 4))
    assert len(VectorCache(tmp_path, HASH)) == 8


def test_a_lost_description_is_found_in_the_segments(tmp_path):
    VectorCache(tmp_path, HASH).add(*make_batch(0, 4))
    (get_folder(tmp_path) / "encoder.json").write_text("damaged")
    again = VectorCache(tmp_path, HASH)
    assert again.dim == 3 and len(again) == 4


def test_many_small_segments_become_one(tmp_path, monkeypatch):
    monkeypatch.setattr(vector_cache, "MAX_SEGMENTS", 5)
    cache = VectorCache(tmp_path, HASH)
    for start in range(0, 18, 3):
        cache.add(*make_batch(start, 3))
    reader = VectorCache(tmp_path, HASH)  # Merges; one that is still mapped goes on.
    assert len(list(get_folder(tmp_path).glob("*.npy"))) == 1
    for each in (reader, VectorCache(tmp_path, HASH)):
        assert len(each) == 18
        for start in range(18):
            digests, vectors = make_batch(start, 1)
            np.testing.assert_array_equal(each.find(digests[0]), vectors[0])


def test_what_a_killed_writer_left_goes_in_time(tmp_path):
    VectorCache(tmp_path, HASH).add(*make_batch(0, 4))
    old, young = get_folder(tmp_path) / ".partial-old", get_folder(tmp_path) / ".partial-young"
    for path in (old, young):
        path.write_bytes(b"half a segment")
    os.utime(old, (0, 0))
    assert len(VectorCache(tmp_path, HASH)) == 4
    assert not old.exists() and young.exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match=r"cache folder cannot be used.*ADDRL_CACHE"):
        VectorCache(tmp_path / "file", HASH)


@pytest.mark.parametrize("code", [errno.EACCES, errno.ENOMEM])
@pytest.mark.parametrize("opener", ["open", "map"])
def test_a_segment_that_cannot_be_read_is_left_alone(tmp_path, monkeypatch, caplog, code, opener):
    cache = VectorCache(tmp_path, HASH)
    cache.add(*make_batch(0, 4))
    (segment,) = get_folder(tmp_path).glob("*.npy")
    cache.add(*make_batch(4, 4))
    owner, name = {"open": (builtins, "open"), "map": (vector_cache, "_map_segment")}[opener]
    call = getattr(owner, name)

    def refuse(path, *args, **settings):
        if isinstance(path, str | os.PathLike) and pathlib.Path(path) == segment:
            raise OSError(code, os.strerror(code), str(path))
        return call(path, *args, **settings)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, refuse)
        again = VectorCache(tmp_path, HASH)
        assert len(again) == 4 and again.find(make_batch(0, 1)[0][0]) is None
        assert f"{segment.name} is left out" in caplog.text
    assert len(VectorCache(tmp_path, HASH)) == 8


def test_what_is_written_is_as_readable_as_other_files(tmp_path):
    before = os.umask(0o027)
    try:
        VectorCache(tmp_path, HASH).add(*make_batch(0, 4))
    finally:
        os.umask(before)
    files = sorted(get_folder(tmp_path).iterdir())
    assert len(files) == 2
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o640}


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path, monkeypatch):
    cache = VectorCache(tmp_path, HASH)

    def refuse(*args):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    for write in (lambda: cache.add(*make_batch(0, 4)), lambda: cache.write_dim(3)):
        with pytest.raises(DataError, match=r"cannot be used.*Permission denied.*ADDRL_CACHE"):
            write()
    assert not list(get_folder(tmp_path).iterdir())


def test_merged_segments_have_a_bounded_size_and_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(vector_cache, "MAX_SEGMENTS", 3)
    monkeypatch.setattr(vector_cache, "_MERGED_ROWS", 10)
    cache = VectorCache(tmp_path, HASH)
    for start in range(0, 33, 3):
        cache.add(*make_batch(start, 3))
    for _ in range(2):
        assert len(VectorCache(tmp_path, HASH)) == 33
        rows = [len(np.load(path)) for path in get_folder(tmp_path).glob("*.npy")]
        assert sorted(rows) == [6, 9, 9, 9]


def test_what_another_process_merges_is_found(tmp_path, monkeypatch):
    cache = VectorCache(tmp_path, HASH)
    for start in range(0, 18, 3):
        cache.add(*make_batch(start, 3))
    reader = VectorCache(tmp_path, HASH)
    monkeypatch.setattr(vector_cache, "MAX_SEGMENTS", 5)
    VectorCache(tmp_path, HASH)
    assert len(list(get_folder(tmp_path).glob("*.npy"))) == 1
    digests, vectors = make_batch(0, 18)
    np.testing.assert_array_equal([reader.find(digest) for digest in digests], vectors)


def test_a_segment_is_read_through_once_and_again_when_it_changes(tmp_path, monkeypatch):
    VectorCache(tmp_path, HASH).add(*make_batch(0, 4))
    read = []
    compute = vector_cache._compute_checksum
    monkeypatch.setattr(
        vector_cache, "_compute_checksum", lambda file: read.append(file.name) or compute(file)
    )
    for _ in range(3):
        assert len(VectorCache(tmp_path, HASH)) == 4
    assert len(read) == 1
    (segment,) = get_folder(tmp_path).glob("*.npy")
    segment.write_bytes(segment.read_bytes()[:-1] + b"x")
    os.utime(segment, (0, 0))
    assert len(VectorCache(tmp_path, HASH)) == 0
    assert len(read) == 2
