"""Lets the tests of this folder import their helpers; the planted data and a model fitted on it.

TensorFlow is imported inside the fixtures, so that a run without them stays quick.
"""

import io
import sys
from pathlib import Path

import pytest

# pytest's importlib mode leaves sys.path alone, and the name `tests` belongs to another package
# of the environment.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def _memory_file_system():
    """Files by path, and a file system of Beam's that reads them: stands for a bucket.

    One for all tests, as Beam finds file systems among the subclasses and refuses two of a scheme.
    """
    from apache_beam.io.filesystem import BeamIOError, FileMetadata, FileSystem, MatchResult

    files = {}

    class MemoryFileSystem(FileSystem):
        @classmethod
        def scheme(cls):
            return "memory"

        def join(self, basepath, *paths):
            return "/".join((basepath, *paths))

        def split(self, path):
            return tuple(path.rsplit("/", 1))

        def has_dirs(self):
            return False

        def _list(self, dir_or_prefix):
            return [
                FileMetadata(p, len(b)) for p, b in files.items() if p.startswith(dir_or_prefix)
            ]

        def match(self, patterns, limits=None):
            if any("*" in each for each in patterns):
                return super().match(patterns, limits)
            return [
                MatchResult(each, [FileMetadata(each, len(files[each]))] if each in files else [])
                for each in patterns
            ]

        def open(self, path, mime_type="", compression_type=""):
            if path not in files:
                raise BeamIOError("Open failed", {path: FileNotFoundError(path)})
            return io.BytesIO(files[path])

        def exists(self, path):
            return path in files

        def metadata(self, path):
            return FileMetadata(path, len(files[path]))

        def _unused(self, *arguments, **settings):
            raise NotImplementedError

        mkdirs = create = copy = rename = size = last_updated = checksum = delete = _unused

    return files, MemoryFileSystem  # Beam finds the class only as long as it is alive.


@pytest.fixture
def memory_files(_memory_file_system):
    """Files by their path `memory://...`, for as long as the test lasts."""
    files, _ = _memory_file_system
    yield files
    files.clear()


@pytest.fixture(scope="session")
def planted():
    from addrl_data import make_planted

    return make_planted()


@pytest.fixture(scope="session")
def fitted(planted):
    """The default recipe on the planted data: content side, closed form, training, refit."""
    from addrl_data import make_config

    from addrl_keras import fit

    return fit(make_config(), planted.catalogue, planted.interactions)


@pytest.fixture(scope="session")
def recommender(fitted):
    from addrl_keras import Recommender

    return Recommender(fitted)


@pytest.fixture(scope="session")
def saved_model(fitted, tmp_path_factory):
    """Folder of the fitted model's SavedModel, written over something that was none."""
    from addrl_keras import write_saved_model

    directory = tmp_path_factory.mktemp("export")
    (directory / "saved_model.pb").write_bytes(b"not a model")
    write_saved_model(fitted, str(directory))
    return directory
