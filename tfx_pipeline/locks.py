"""Locks between processes on one preset; they end with the process, however it ends.

There are two: a run or an index update holds the first all along, and whoever changes the pushed
versions holds the second for that moment. So a rollback never waits for a training.
"""

import contextlib
import fcntl
import os
import pathlib
from collections.abc import Iterator

from tfx_pipeline.results import PipelineError


@contextlib.contextmanager
def hold_lock(root: pathlib.Path, name: str) -> Iterator[None]:
    """Hold the preset's lock; the system frees it when the process ends, however it ends.

    Args:
        root: Folder of the preset's runs.
        name: Name of the preset.

    Raises:
        PipelineError: If another process holds it.
    """
    with open(root / ".lock", "a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            owner = file.read().strip() or "unknown"
            raise PipelineError(
                f"Another run of the preset {name!r} is going on (process {owner}). Wait for it, "
                "or use another runs folder."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


@contextlib.contextmanager
def hold_versions(root: pathlib.Path) -> Iterator[None]:
    """Hold the lock on the pushed versions, as soon as nobody else does.

    Whoever decides by what the newest version is, and then changes the versions, must do both under
    it: an index update otherwise pushes again what was rolled back in between.

    Args:
        root: Folder of the preset's runs.
    """
    with open(root / ".versions.lock", "a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
