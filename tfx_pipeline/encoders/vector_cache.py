"""The cache of vectors: what an encoder made of each content, kept between runs and presets.

    CACHE/vectors/ENCODER_HASH/encoder.json          length of a vector
    CACHE/vectors/ENCODER_HASH/<checksum>.npy        a segment: digests and their vectors

A segment is written as one batch is encoded, beside its final place, and renamed: a killed run
keeps all batches before. Its name is the checksum of what is in it, so a damaged segment is found,
removed and, as its contents are then unknown, encoded again; and two processes never write
different things under one name. What cannot be read is left alone: it may be sound, and somebody
else's. In memory are the digests; vectors are mapped from the disk, of few segments at a time.
"""

import contextlib
import functools
import hashlib
import json
import logging
import os
import pathlib
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import BinaryIO

import numpy as np

from tfx_pipeline.datasets.errors import DataError

# Above so many small segments they are merged when they are next loaded.
MAX_SEGMENTS = 64

_FOLDER = "vectors"
_INFO = "encoder.json"
_DIGEST = "S32"
_PARTIAL = ".partial-"
_LEFTOVER_SECONDS = 3600
# Rows that a merged segment has at most; with half of it a segment is large enough to stay.
_MERGED_ROWS = 16_384
# A map takes an open file, of which a process may have a thousand.
_MAX_MAPPED = 128

# Segments whose checksum this process has found right: path, and what tells a file from another.
_checked: set[tuple[str, int, int, int]] = set()

_logger = logging.getLogger(__name__)


class VectorCache:
    """The vectors of one encoder.

    Args:
        cache_dir: Folder of all caches.
        encoder_hash: Of the encoder, as `compute_encoder_hash` returns it.

    Attributes:
        dim: Length of the vectors; None before any were written.

    Raises:
        DataError: If the folder cannot be used.
    """

    def __init__(self, cache_dir: str | os.PathLike, encoder_hash: str):
        self._folder = pathlib.Path(cache_dir).expanduser() / _FOLDER / encoder_hash
        with self._explain():
            self._folder.mkdir(parents=True, exist_ok=True)
        self._map = functools.lru_cache(_MAX_MAPPED)(_map_segment)
        self.dim = self._load_dim()
        self._load()

    def __len__(self) -> int:
        """Return the number of contents whose vectors are known."""
        return len(self._digests)

    def find(self, digest: str) -> np.ndarray | None:
        """Find the vector of a content.

        Args:
            digest: Of the content, as `compute_digest` returns it.

        Returns:
            float32 `[dim]`, or None where it is not known.
        """
        key = np.array(digest.encode(), _DIGEST)
        for _ in range(2):
            place = int(np.searchsorted(self._digests, key))
            if place == len(self._digests) or self._digests[place] != key:
                return None
            segment, row = self._places[place]
            try:
                return np.array(self._map(self._paths[segment])["vector"][row])
            except FileNotFoundError:
                self._load()  # Another process has merged it.
            except OSError as error:
                _logger.warning("vector cache: %s: %s", self._paths[segment], error)
                return None
        return None

    def add(self, digests: Sequence[str], vectors: np.ndarray) -> None:
        """Write the vectors of a batch; another `VectorCache` finds them, this one does not.

        Args:
            digests: Of the contents.
            vectors: float32 `[len(digests), dim]`.

        Raises:
            DataError: If the folder cannot be written to.
        """
        if not len(digests):
            return
        if self.dim is None:
            self.write_dim(vectors.shape[1])
        rows = np.empty(len(digests), self._make_type())
        rows["digest"] = [digest.encode() for digest in digests]
        rows["vector"] = vectors
        with self._explain():
            self._write([rows], len(rows))

    def write_dim(self, dim: int) -> None:
        """Write how long the vectors are.

        Args:
            dim: The length.

        Raises:
            DataError: If the folder cannot be written to.
        """
        text = json.dumps({"dim": dim}).encode()
        with self._explain():
            self._write_file(lambda file: file.write(text), lambda file: _INFO)
        self.dim = dim

    @contextlib.contextmanager
    def _explain(self) -> Iterator[None]:
        """Say of an error of the system what helps against it."""
        try:
            yield
        except OSError as error:
            raise DataError(
                f"The cache folder cannot be used. Received: {self._folder} "
                f"({error.strerror or error}). Name one with room that you may write to in the "
                "environment variable ADDRL_CACHE."
            ) from error

    def _make_type(self) -> np.dtype:
        return np.dtype([("digest", _DIGEST), ("vector", "<f4", (self.dim,))])

    def _load_dim(self) -> int | None:
        try:
            return int(json.loads((self._folder / _INFO).read_text())["dim"])
        except (OSError, ValueError, KeyError, TypeError):
            return None  # Not yet written, or damaged: found out again.

    def _load(self) -> None:
        """Load the digests of all segments, after merging them where there are many."""
        self._remove_leftovers()
        found = self._load_digests(self._folder.glob("*.npy"))
        small = {path: len(each) for path, each in found.items() if len(each) < _MERGED_ROWS // 2}
        if len(small) > MAX_SEGMENTS:
            self._merge(small)
            # Another process may have done the same at the same time.
            found |= self._load_digests(set(self._folder.glob("*.npy")) - found.keys())
            found = {path: each for path, each in found.items() if path.exists()}
        self._paths, digests = list(found), list(found.values())
        sizes = [len(each) for each in digests]
        joined = np.concatenate([np.empty(0, _DIGEST), *digests])
        places = np.empty((len(joined), 2), np.int32)
        places[:, 0] = np.repeat(np.arange(len(sizes)), sizes)
        places[:, 1] = np.concatenate([np.empty(0, np.int32), *map(np.arange, sizes)])
        self._digests, first = np.unique(joined, return_index=True)
        self._places = places[first]

    def _load_digests(self, paths: Iterable[pathlib.Path]) -> dict[pathlib.Path, np.ndarray]:
        found = {path: self._load_segment(path) for path in sorted(paths)}
        return {path: digests for path, digests in found.items() if digests is not None}

    def _load_segment(self, path: pathlib.Path) -> np.ndarray | None:
        """Load the digests of a segment; remove it where it was read and is damaged."""
        try:
            if _is_sound(path):
                segment = _map_segment(path)
                self.dim = self.dim or segment.dtype["vector"].shape[0]
                if segment.dtype == self._make_type():
                    return np.array(segment["digest"])
            _logger.warning("vector cache: %s is damaged: removed, to be encoded again", path)
            path.unlink(missing_ok=True)
        except FileNotFoundError:
            pass  # Merged by another process, a moment ago.
        except OSError as error:
            _logger.warning("vector cache: %s is left out: %s", path, error)
        except (ValueError, KeyError) as error:
            _logger.warning("vector cache: %s is no segment, and is left out: %s", path, error)
        return None

    def _merge(self, small: dict[pathlib.Path, int]) -> None:
        """Write few segments in place of many; until they are there the many stay."""
        try:
            for paths in _group(small):
                num_rows = sum(small[path] for path in paths)
                merged = self._write(map(_map_segment, paths), num_rows)
                for path in paths:
                    if path != merged:
                        path.unlink(missing_ok=True)
        except OSError as error:
            _logger.warning("vector cache: %s is not merged: %s", self._folder, error)

    def _remove_leftovers(self) -> None:
        """Remove what killed runs left; what is young may belong to a run that lives."""
        for path in self._folder.glob(f"{_PARTIAL}*"):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > _LEFTOVER_SECONDS:
                    path.unlink()

    def _write(self, parts: Iterable[np.ndarray], num_rows: int) -> pathlib.Path:
        """Write a segment, part after part, under its checksum."""

        def write(file: BinaryIO) -> None:
            descr = np.lib.format.dtype_to_descr(self._make_type())
            header = {"descr": descr, "fortran_order": False, "shape": (num_rows,)}
            np.lib.format.write_array_header_1_0(file, header)
            for part in parts:
                file.write(np.ascontiguousarray(part).data.cast("B"))

        return self._write_file(write, lambda file: f"{_compute_checksum(file)}.npy")

    def _write_file(
        self, write: Callable[[BinaryIO], object], name: Callable[[BinaryIO], str]
    ) -> pathlib.Path:
        """Write a file, as readable to others as the process wants its files to be."""
        partial = self._folder / f"{_PARTIAL}{secrets.token_hex(8)}"
        try:
            with open(partial, "x+b") as file:
                write(file)
                file.seek(0)
                target = self._folder / name(file)
            os.replace(partial, target)
        finally:
            partial.unlink(missing_ok=True)
        return target


def _compute_checksum(file: BinaryIO) -> str:
    return hashlib.file_digest(file, "sha256").hexdigest()[:32]


def _is_sound(path: pathlib.Path) -> bool:
    """Whether a segment's checksum is its name; a file is read through once per process."""
    with open(path, "rb") as file:
        found = os.fstat(file.fileno())
        key = (str(path), found.st_ino, found.st_size, found.st_mtime_ns)
        if key not in _checked:
            if _compute_checksum(file) != path.stem:
                return False
            _checked.add(key)
    return True


def _map_segment(path: pathlib.Path) -> np.ndarray:
    return np.load(path, mmap_mode="r", allow_pickle=False)


def _group(small: dict[pathlib.Path, int]) -> Iterator[list[pathlib.Path]]:
    """Group small segments to such of `_MERGED_ROWS` at most; all but the last are large."""
    group: list[pathlib.Path] = []
    for path, num_rows in small.items():
        if sum(small[each] for each in group) + num_rows > _MERGED_ROWS:
            yield group
            group = []
        group.append(path)
    yield group
