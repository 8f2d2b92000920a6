"""A filesystem of Beam's that keeps its files in this process, under `memory://`."""

import io

from apache_beam.io.filesystem import BeamIOError, FileMetadata, FileSystem, MatchResult

FILES = {}


class MemoryFileSystem(FileSystem):
    """Just enough for reading; whatever is not there fails as with the real ones."""

    @classmethod
    def scheme(cls):
        return "memory"

    def open(self, path, mime_type="application/octet-stream", compression_type="auto"):
        if path not in FILES:
            raise BeamIOError("Open failed", {path: FileNotFoundError(path)})
        return io.BytesIO(FILES[path])

    def exists(self, path):
        return path in FILES

    def match(self, patterns, limits=None):
        return [
            MatchResult(each, [FileMetadata(each, len(FILES[each]))] if each in FILES else [])
            for each in patterns
        ]

    def _unused(self, *_, **__):
        raise NotImplementedError

    join = split = mkdirs = has_dirs = _list = create = copy = rename = size = _unused
    last_updated = checksum = metadata = delete = _unused
