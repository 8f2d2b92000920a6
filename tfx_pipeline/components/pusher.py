"""A Pusher whose versions never collide and appear whole.

TFX's own names a version by the second and skips a second push within it, copies file by file, and
keeps a further copy of the model in the pipeline's folder. Here a version is larger than all before
it, is copied beside its place and renamed, and the artifact is a receipt.
"""

import json
import os
import pathlib
import shutil
import time

from tfx.components.pusher import component, executor
from tfx.dsl.components.base import executor_spec
from tfx.proto import pusher_pb2
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import proto_utils

RECEIPT = "pushed.json"
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


def remove_receipts(folder: str | os.PathLike) -> int:
    """Remove the receipts of pushes that are no longer the newest.

    TFX takes a component from the cache only where its output exists. So a model that was pushed,
    was replaced, and comes back (an edit was reverted) is pushed again, and the newest version is
    always the model of the last run that passed the gates.

    Args:
        folder: Folder with one artifact folder per push.

    Returns:
        Number of receipts removed.
    """
    receipts = list(pathlib.Path(folder).glob(f"*/{RECEIPT}"))
    for receipt in receipts:
        shutil.rmtree(receipt.parent)
    return len(receipts)


class VersionedExecutor(executor.Executor):
    """Pushes where both gates bless."""

    def Do(self, input_dict, output_dict, exec_properties) -> None:  # noqa: N802 (TFX's name)
        """Push the model.

        Args:
            input_dict: `model`, `model_blessing`, `infra_blessing`.
            output_dict: `pushed_model`, which becomes a receipt.
            exec_properties: `push_destination`.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        pushed = artifact_utils.get_single_instance(
            output_dict[standard_component_specs.PUSHED_MODEL_KEY]
        )
        if not self.CheckBlessing(input_dict):
            self._MarkNotPushed(pushed)
            return
        destination = pusher_pb2.PushDestination()
        proto_utils.json_to_proto(
            exec_properties[standard_component_specs.PUSH_DESTINATION_KEY], destination
        )
        version = push_model(self.GetModelPath(input_dict), destination.filesystem.base_directory)
        remove_receipts(os.path.dirname(pushed.uri.rstrip("/")))
        self._MarkPushed(pushed, str(version), version.name)
        model = artifact_utils.get_single_instance(input_dict[standard_component_specs.MODEL_KEY])
        pushed.set_int_custom_property("model_id", model.id)
        os.makedirs(pushed.uri, exist_ok=True)
        receipt = {"version": version.name, "destination": str(version), "model": model.uri}
        pathlib.Path(pushed.uri, RECEIPT).write_text(json.dumps(receipt), encoding="utf-8")


class VersionedPusher(component.Pusher):
    """TFX's Pusher with `VersionedExecutor`."""

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(VersionedExecutor)
