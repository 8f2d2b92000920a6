"""A Pusher whose versions never collide and appear whole.

TFX's own names a version by the second and skips a second push within it, copies file by file, and
keeps a further copy of the model in the pipeline's folder. Here a version is larger than all before
it, is copied beside its place and renamed, and the artifact is a receipt.
"""

import json
import os
import pathlib
import shutil

from tfx.components.pusher import component, executor
from tfx.dsl.components.base import executor_spec
from tfx.proto import pusher_pb2
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import proto_utils

from tfx_pipeline.components.versions import push_model

RECEIPT = "pushed.json"


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
