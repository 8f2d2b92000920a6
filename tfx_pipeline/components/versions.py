"""The folder of pushed versions: each is larger than all before it, and appears as a whole."""

import os
import pathlib
import shutil
import time

_PARTIAL = ".partial-"


def load_versions(serving_dir: str | os.PathLike) -> list[int]:
    """Load the versions in a serving folder, ascending.

    Args:
        serving_dir: Folder with one folder per version; it need not exist.

    Returns:
        The versions, the newest last.
    """
    folder = pathlib.Path(serving_dir)
    if not folder.is_dir():
        return []
    return sorted(int(path.name) for path in folder.iterdir() if path.name.isdecimal())


def push_model(export: str | os.PathLike, serving_dir: str | os.PathLike) -> pathlib.Path:
    """Copy a SavedModel to a new version of a serving folder.

    The model server looks for folders whose names are numbers; a version gets its name by a rename,
    when it is complete.

    Args:
        export: Folder of the SavedModel.
        serving_dir: Folder of the versions, made where missing.

    Returns:
        Folder of the new version.
    """
    serving = pathlib.Path(serving_dir)
    serving.mkdir(parents=True, exist_ok=True)
    remove_partial(serving)
    partial = serving / f"{_PARTIAL}{os.getpid()}"
    shutil.copytree(export, partial)
    version = int(time.time())
    while True:
        version = max([version, *(known + 1 for known in load_versions(serving))])
        try:
            # Fails where another process took the name; onto an empty folder it would succeed.
            os.rename(partial, serving / str(version))
            return serving / str(version)
        except OSError:
            if not (serving / str(version)).exists():
                raise


def remove_partial(serving_dir: str | os.PathLike) -> int:
    """Remove copies that this process, or one that was killed, left unfinished.

    Args:
        serving_dir: Folder of the versions.

    Returns:
        Number of copies removed.
    """
    left = [
        path
        for path in pathlib.Path(serving_dir).glob(f"{_PARTIAL}*")
        if not _is_other_process(path.name.removeprefix(_PARTIAL))
    ]
    for path in left:
        shutil.rmtree(path, ignore_errors=True)
    return len(left)


def _is_other_process(text: str) -> bool:
    """Whether a process other than this one has the id."""
    if not text.isdecimal() or int(text) == os.getpid():
        return False
    try:
        os.kill(int(text), 0)  # Signal 0 only asks.
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # It is somebody else's.
    return True
