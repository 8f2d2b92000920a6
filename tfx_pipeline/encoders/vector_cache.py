"""The cache of vectors: what an encoder made of each content, kept between runs and presets.

    CACHE/vectors/ENCODER_HASH/encoder.json          length of a vector
    CACHE/vectors/ENCODER_HASH/<checksum>.npy        a segment: digests and their vectors

A segment is written as one batch is encoded, beside its final place, and renamed: a killed run
keeps all batches before. Its name is the checksum of what is in it, so a damaged segment is found,
removed and, as its contents are then unknown, encoded again; and two processes never write
different things under one name. Vectors are mapped from the disk; what is in memory is the index.
"""

import contextlib
import hashlib
import io
import json
import logging
import os
import pathlib
import tempfile
import time
from collections.abc import Sequence

import numpy as np

from tfx_pipeline.datasets.errors import DataError

# Above so many small segments they are merged into one when they are next loaded.
MAX_SEGMENTS = 64

_FOLDER = "vectors"
_INFO = "encoder.json"
_DIGEST = "S32"
_PARTIAL = ".partial-"
_LEFTOVER_SECONDS = 3600
# From so many rows on a segment is large enough to stay as it is.
_MERGED_ROWS = 16_384

_logger = logging.getLogger(__name__)


class VectorCache:
    """The vectors of one encoder.

    Args:
        cache_dir: Folder of all caches.
        encoder_hash: Of the encoder, as `compute_encoder_hash` returns it.

    Attributes:
        dim: Length of the vectors; None before any were written.
    """

    def __init__(self, cache_dir: str | os.PathLike, encoder_hash: str):
        self._folder = pathlib.Path(cache_dir).expanduser() / _FOLDER / encoder_hash
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(
                f"The cache folder cannot be used. Received: {self._folder} "
                f"({error.strerror or error}). Name one with room that you may write to in the "
                "environment variable ADDRL_CACHE."
            ) from error
        self.dim = self._load_dim()
        self._segments: list[np.ndarray] = []
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
        place = int(np.searchsorted(self._digests, key))
        if place == len(self._digests) or self._digests[place] != key:
            return None
        segment, row = self._places[place]
        return np.array(self._segments[segment]["vector"][row])

    def add(self, digests: Sequence[str], vectors: np.ndarray) -> None:
        """Write the vectors of a batch; another `VectorCache` finds them, this one does not.

        Args:
            digests: Of the contents.
            vectors: float32 `[len(digests), dim]`.
        """
        if not len(digests):
            return
        if self.dim is None:
            self.write_dim(vectors.shape[1])
        rows = np.empty(len(digests), self._make_type())
        rows["digest"] = [digest.encode() for digest in digests]
        rows["vector"] = vectors
        self._write(rows)

    def write_dim(self, dim: int) -> None:
        """Write how long the vectors are.

        Args:
            dim: The length.
        """
        self._write_file(_INFO, json.dumps({"dim": dim}).encode())
        self.dim = dim

    def _make_type(self) -> np.dtype:
        return np.dtype([("digest", _DIGEST), ("vector", "<f4", (self.dim,))])

    def _load_dim(self) -> int | None:
        try:
            return int(json.loads((self._folder / _INFO).read_text())["dim"])
        except (OSError, ValueError, KeyError, TypeError):
            return None  # Not yet written, or damaged: found out again.

    def _load(self) -> None:
        self._remove_leftovers()
        loaded = {path: self._load_segment(path) for path in sorted(self._folder.glob("*.npy"))}
        found = {path: segment for path, segment in loaded.items() if segment is not None}
        small = {path: each for path, each in found.items() if len(each) < _MERGED_ROWS}
        if len(small) > MAX_SEGMENTS:
            self._merge(found, small)
        self._segments = list(found.values())
        digests = [segment["digest"] for segment in self._segments]
        sizes = [len(each) for each in digests]
        joined = np.concatenate([np.empty(0, _DIGEST), *digests])
        places = np.empty((len(joined), 2), np.int32)
        places[:, 0] = np.repeat(np.arange(len(sizes)), sizes)
        places[:, 1] = np.concatenate([np.empty(0, np.int32), *map(np.arange, sizes)])
        self._digests, first = np.unique(joined, return_index=True)
        self._places = places[first]

    def _load_segment(self, path: pathlib.Path) -> np.ndarray | None:
        """Map a segment whose checksum is its name; remove it where it is damaged."""
        try:
            with open(path, "rb") as file:
                checksum = hashlib.file_digest(file, "sha256").hexdigest()
            if path.stem == checksum[:32]:
                segment = np.load(path, mmap_mode="r", allow_pickle=False)
                self.dim = self.dim or segment.dtype["vector"].shape[0]
                if segment.dtype == self._make_type():
                    return segment
        except FileNotFoundError:
            return None  # Merged by another process, a moment ago.
        except (OSError, ValueError, KeyError) as error:
            _logger.warning("vector cache: %s cannot be read: %s", path, error)
        _logger.warning("vector cache: %s is damaged: removed, to be encoded again", path)
        path.unlink(missing_ok=True)
        return None

    def _merge(
        self, found: dict[pathlib.Path, np.ndarray], small: dict[pathlib.Path, np.ndarray]
    ) -> None:
        """Write one segment in place of many; until it is there the many stay."""
        merged = self._write(np.concatenate(list(small.values())))
        segment = self._load_segment(merged)
        if segment is None:
            return
        for path in small.keys() - {merged}:
            del found[path]
            path.unlink(missing_ok=True)
        found[merged] = segment

    def _remove_leftovers(self) -> None:
        """Remove what killed runs left; what is young may belong to a run that lives."""
        for path in self._folder.glob(f"{_PARTIAL}*"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _LEFTOVER_SECONDS:
                    path.unlink()

    def _write(self, rows: np.ndarray) -> pathlib.Path:
        buffer = io.BytesIO()
        np.save(buffer, rows, allow_pickle=False)
        name = hashlib.sha256(buffer.getbuffer()).hexdigest()[:32]
        return self._write_file(f"{name}.npy", buffer.getbuffer())

    def _write_file(self, name: str, data: bytes | memoryview) -> pathlib.Path:
        target = self._folder / name
        descriptor, partial = tempfile.mkstemp(dir=self._folder, prefix=_PARTIAL)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            os.replace(partial, target)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(partial)
        return target
