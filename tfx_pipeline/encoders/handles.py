"""From a handle to the folder of a SavedModel, and to what names its version.

A handle is the name of a local encoder (`building.py`), a local directory, or any address that
tensorflow-hub resolves.
"""

import contextlib
import dataclasses
import hashlib
import os
import pathlib
import threading
from collections.abc import Iterator

from tfx_pipeline.datasets.source import compute_sha256
from tfx_pipeline.encoders import building
from tfx_pipeline.encoders.errors import EncoderError

_SAVED_MODEL_FILES = ("saved_model.pb", "saved_model.pbtxt")
_HUB_CACHE = "TFHUB_CACHE_DIR"
_LOCAL_SCHEME = "file://"
# The environment belongs to the whole process.
_environment_lock = threading.Lock()


@dataclasses.dataclass(frozen=True)
class Resolved:
    """A handle whose SavedModel is on this machine.

    Attributes:
        handle: The handle.
        folder: Folder of the SavedModel.
        identity: Equal for equal encoders; of a local encoder what it is built from, of others
            the files.
    """

    handle: str
    folder: pathlib.Path
    identity: str


def is_address(handle: str) -> bool:
    """Tell whether a handle is an address, as against a name or a directory.

    Args:
        handle: The handle.

    Returns:
        Whether it has a scheme.

    Example:
        >>> is_address("https://tfhub.dev/google/universal-sentence-encoder/4")
        True
    """
    return "://" in handle


def resolve_handle(handle: str, cache_dir: str | os.PathLike) -> Resolved:
    """Resolve a handle: build a local encoder, fetch an address, or look at a directory.

    Args:
        handle: The handle.
        cache_dir: Folder that keeps local encoders and what tensorflow-hub fetches.

    Returns:
        Where the SavedModel is, and its identity.

    Raises:
        EncoderError: If there is no SavedModel.
        DataError: If a local encoder cannot be built.
    """
    if handle in building.BUILDERS:
        builder = building.BUILDERS[handle]
        builder.build(cache_dir)
        return Resolved(handle, builder.get_folder(cache_dir), builder.identity)
    folder = _fetch(handle, cache_dir) if is_address(handle) else _find(handle)
    return Resolved(handle, folder, compute_files_identity(folder))


def compute_files_identity(folder: pathlib.Path) -> str:
    """Compute what names the files of a SavedModel.

    Args:
        folder: Its folder.

    Returns:
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for path in _list_files(folder):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{compute_sha256(path)}\n".encode())
    return digest.hexdigest()


def compute_quick_identity(handle: str) -> str:
    """Compute whether a handle may have come to mean something else, without building or fetching.

    Args:
        handle: The handle.

    Returns:
        Text that differs where the encoder differs. Addresses name a version, and so do not change.

    Raises:
        EncoderError: If it is a directory that is not there.
    """
    if handle in building.BUILDERS:
        return building.BUILDERS[handle].identity
    return handle if is_address(handle) else compute_files_identity(_find(handle))


def _find(handle: str) -> pathlib.Path:
    folder = pathlib.Path(handle).expanduser()
    if not folder.is_dir():
        raise EncoderError(
            f"There is no encoder of this name and no such directory. Received: {handle!r}. Name "
            f"one of {', '.join(sorted(building.BUILDERS))}, the directory of a SavedModel, or an "
            "address that tensorflow-hub knows."
        )
    if not any((folder / name).is_file() for name in _SAVED_MODEL_FILES):
        raise EncoderError(
            f"The directory of an encoder must hold a SavedModel, i.e. {_SAVED_MODEL_FILES[0]}. "
            f"Received: {folder}, which holds "
            f"{', '.join(sorted(path.name for path in folder.iterdir())[:10]) or 'nothing'}."
        )
    return folder.resolve()


def _fetch(handle: str, cache_dir: str | os.PathLike) -> pathlib.Path:
    import tensorflow_hub as hub

    try:
        with _keep_modules_in(pathlib.Path(cache_dir).expanduser() / "hub"):
            folder = hub.resolve(handle)
    except Exception as error:  # Whatever the network, the archive or the address bring.
        raise EncoderError(
            f"The encoder could not be fetched: {error or type(error).__name__}. Received: "
            f"{handle!r}. Check address and network, or name the directory of a copy."
        ) from error
    return _find(folder.removeprefix(_LOCAL_SCHEME))  # It returns such an address as it is.


@contextlib.contextmanager
def _keep_modules_in(folder: pathlib.Path) -> Iterator[None]:
    """Have tensorflow-hub keep what it fetches, unless the environment names a folder itself.

    Else it would keep modules among the temporary files, which do not last.
    """
    with _environment_lock:
        is_ours = not os.environ.get(_HUB_CACHE)
        if is_ours:
            os.environ[_HUB_CACHE] = str(folder)
        try:
            yield
        finally:
            if is_ours:
                del os.environ[_HUB_CACHE]


def _list_files(folder: pathlib.Path) -> list[pathlib.Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
