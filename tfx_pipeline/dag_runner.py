"""TFX's LocalDagRunner with eyes: what starts and ends, what came from the cache, what failed.

LocalDagRunner goes on where a component failed without an exception (inputs that could not be
resolved) and gives no way to watch it, so its loop is written out here over the same parts of TFX.
"""

import dataclasses
import datetime
import time
from typing import Any

from ml_metadata.proto import metadata_store_pb2
from tfx.dsl.compiler import constants
from tfx.orchestration import metadata
from tfx.orchestration.local import runner_utils
from tfx.orchestration.portable import launcher, runtime_parameter_utils, tfx_runner
from tfx.proto.orchestration import pipeline_pb2

from tfx_pipeline.progress import Progress
from tfx_pipeline.results import ComponentRun

_Execution = metadata_store_pb2.Execution
_DONE = (_Execution.COMPLETE, _Execution.CACHED)
# A resolver's outputs are artifacts of others, which ML Metadata calls internal.
_OUTPUTS = (metadata_store_pb2.Event.OUTPUT, metadata_store_pb2.Event.INTERNAL_OUTPUT)


class ComponentError(RuntimeError):
    """Raised where a component fails; the component's own error is the cause.

    Attributes:
        component: Id of the component.
    """

    def __init__(self, component: str, message: str):
        super().__init__(message)
        self.component = component


@dataclasses.dataclass(frozen=True)
class Output:
    """One artifact that a component wrote, or had written when it was cached.

    Attributes:
        uri: Where it lies.
        properties: Its custom properties.
    """

    uri: str
    properties: dict[str, Any]


class WatchedRunner(tfx_runner.IrBasedRunner):
    """Runs a pipeline in this process, component after component.

    Args:
        progress: Is told of each component.

    Attributes:
        runs: How each component went, in order.
        outputs: Artifacts by component id and output key.
    """

    def __init__(self, progress: Progress):
        self._progress = progress
        self.runs: list[ComponentRun] = []
        self.outputs: dict[str, dict[str, Output]] = {}

    def run_with_ir(
        self,
        pipeline: pipeline_pb2.Pipeline,
        run_options: pipeline_pb2.RunOptions | None = None,
    ) -> None:
        """Run a compiled pipeline.

        Args:
            pipeline: The intermediate representation.
            run_options: Not supported.

        Raises:
            ComponentError: At the first component that fails.
        """
        if run_options is not None:
            raise ValueError(f"Partial runs are not supported. Received: {run_options}")
        runtime_parameter_utils.substitute_runtime_parameter(
            pipeline,
            {constants.PIPELINE_RUN_ID_PARAMETER_NAME: datetime.datetime.now().isoformat()},
        )
        deployment = runner_utils.extract_local_deployment_config(pipeline)
        kind = deployment.metadata_connection_config.WhichOneof("connection_config")
        connection = getattr(deployment.metadata_connection_config, kind)
        for node in pipeline.nodes:
            self._run_node(pipeline, node.pipeline_node, deployment, connection)

    def _run_node(self, pipeline, node, deployment, connection) -> None:
        name = node.node_info.id
        self._progress.start(name)
        started = time.monotonic()
        try:
            info = launcher.Launcher(
                pipeline_node=node,
                mlmd_connection=metadata.Metadata(connection),
                pipeline_info=pipeline.pipeline_info,
                pipeline_runtime_spec=pipeline.runtime_spec,
                executor_spec=runner_utils.extract_executor_spec(deployment, name),
                custom_driver_spec=runner_utils.extract_custom_driver_spec(deployment, name),
            ).launch()
            state, outputs = _load_execution(connection, info)
            if state not in _DONE:
                raise RuntimeError(
                    "its inputs could not be resolved; the log has TFX's reason. "
                    f"Received: execution state {_Execution.State.Name(state)}"
                )
        except Exception as error:
            self._progress.end(name, time.monotonic() - started, failed=True)
            raise ComponentError(name, str(error)) from error
        cached = state == _Execution.CACHED
        seconds = time.monotonic() - started
        self._progress.end(name, seconds, cached=cached)
        self.runs.append(ComponentRun(name, round(seconds, 3), cached))
        self.outputs[name] = outputs


def _load_execution(connection, info) -> tuple[int, dict[str, Output]]:
    """Load the state of an execution and the artifacts it put out, from ML Metadata."""
    if info is None or not info.execution_id:
        return _Execution.UNKNOWN, {}
    with metadata.Metadata(connection) as handle:
        (execution,) = handle.store.get_executions_by_id([info.execution_id])
        events = [
            event
            for event in handle.store.get_events_by_execution_ids([info.execution_id])
            if event.type in _OUTPUTS
        ]
        artifacts = handle.store.get_artifacts_by_id([event.artifact_id for event in events])
    uris = {artifact.id: _make_output(artifact) for artifact in artifacts}
    outputs = {event.path.steps[0].key: uris[event.artifact_id] for event in events}
    return execution.last_known_state, outputs


def _make_output(artifact: metadata_store_pb2.Artifact) -> Output:
    properties = {
        name: getattr(value, value.WhichOneof("value"))
        for name, value in artifact.custom_properties.items()
    }
    return Output(artifact.uri, properties)
