"""Output directories that are whole or not there, and that stay untouched while nothing changed.

A directory is built beside its final place, described by a marker file, and renamed. What carries
the final name is therefore complete, whenever the process was killed. The marker also tells
whether a second run would write the same: then not even a modification time changes, and the
cache of TFX (which looks at names, sizes and times) holds.
"""

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import pathlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tfx_pipeline.datasets.errors import DataError
from tfx_pipeline.datasets.source import compute_sha256

MARKER = "_ADDRL_COMPLETE.json"

_logger = logging.getLogger(__name__)


def compute_fingerprint(description: Mapping[str, Any]) -> str:
    """Compute a fingerprint of what an output is made from.

    Args:
        description: Everything the output depends on, as values that JSON knows.

    Returns:
        64 hexadecimal digits, the same for equal descriptions in whatever order.
    """
    text = json.dumps(description, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def write_directory(
    output_dir: str | os.PathLike,
    description: Mapping[str, Any],
    produce: Callable[[pathlib.Path], Any],
) -> bool:
    """Write a directory as a whole, or leave it alone where it is up to date.

    Args:
        output_dir: The directory. One that this function has not written is not overwritten.
        description: Everything the contents depend on (source checksums, version, options).
        produce: Writes the contents into the empty directory it is given; what it raises is
            raised, and nothing is left behind.

    Returns:
        True if the contents were produced, False if they were up to date. What was produced and is
        what the directory held already, byte for byte, leaves the files as they were.

    Raises:
        DataError: If `output_dir` holds files of somebody else.
    """
    output = pathlib.Path(output_dir).absolute()
    output.parent.mkdir(parents=True, exist_ok=True)
    fingerprint = compute_fingerprint(description)
    with _hold_lock(output.with_name(f".{output.name}.lock")):
        _remove_leftovers(output)
        _refuse_foreign(output)
        if _is_up_to_date(output, fingerprint):
            return False
        partial = output.with_name(f".{output.name}.partial-{os.getpid()}")
        partial.mkdir()
        try:
            produce(partial)
            _write_marker(partial, fingerprint, description)
            if _holds_the_same(output, partial):
                # Another source, the same result: the files keep their times, and caches hold.
                os.replace(partial / MARKER, output / MARKER)
            else:
                _put_in_place(partial, output)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return True


@contextlib.contextmanager
def _hold_lock(path: pathlib.Path) -> Iterator[None]:
    """Hold a lock on a file; the system frees it when the process ends, however it ends."""
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _remove_leftovers(output: pathlib.Path) -> None:
    """Remove what killed runs left; the lock is held, so no living run owns it."""
    for path in output.parent.glob(f".{output.name}.partial-*"):
        _logger.warning("removing %s, left by a run that was stopped", path)
        shutil.rmtree(path)
    for path in output.parent.glob(f".{output.name}.replaced-*"):
        shutil.rmtree(path)


def _refuse_foreign(output: pathlib.Path) -> None:
    if not output.exists():
        return
    if not output.is_dir():
        raise DataError(
            f"The output must be a directory. Received: {output}, a file. Name another one."
        )
    if any(output.iterdir()) and not (output / MARKER).is_file():
        raise DataError(
            f"The output directory holds files that no adapter wrote. Received: {output}. "
            "Move them away or name another directory; they will not be overwritten."
        )


def _is_up_to_date(output: pathlib.Path, fingerprint: str) -> bool:
    """Tell whether a directory was made from the same things and nobody touched it since."""
    try:
        marker = json.loads((output / MARKER).read_text())
        files = marker["files"]
        if marker["fingerprint"] != fingerprint:
            return False
    except FileNotFoundError:
        return False
    except (ValueError, KeyError, TypeError):
        _logger.warning("%s: the marker cannot be read, writing the directory again", output)
        return False
    if files == _compute_checksums(output):
        return True
    _logger.warning("%s: files were changed since they were written, writing them again", output)
    return False


def _holds_the_same(output: pathlib.Path, partial: pathlib.Path) -> bool:
    return output.is_dir() and _compute_checksums(output) == _compute_checksums(partial)


def _compute_checksums(directory: pathlib.Path) -> dict[str, str]:
    return {
        path.relative_to(directory).as_posix(): compute_sha256(path)
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path.name != MARKER
    }


def _write_marker(
    directory: pathlib.Path, fingerprint: str, description: Mapping[str, Any]
) -> None:
    marker = {
        "fingerprint": fingerprint,
        "made_from": description,
        "files": _compute_checksums(directory),
    }
    (directory / MARKER).write_text(json.dumps(marker, indent=2, sort_keys=True) + "\n")


def _put_in_place(partial: pathlib.Path, output: pathlib.Path) -> None:
    """Rename the new directory to its final name, the old one first out of the way."""
    replaced = output.with_name(f".{output.name}.replaced-{os.getpid()}")
    if output.exists():
        os.rename(output, replaced)
    os.rename(partial, output)
    shutil.rmtree(replaced, ignore_errors=True)
