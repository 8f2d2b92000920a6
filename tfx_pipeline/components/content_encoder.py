"""Raw items to vectors: what a hub module, or a column of vectors, says of each item.

The files that a column names are no artifacts, so TFX's cache would not see that one was repaired.
Therefore a driver looks at their sizes and times, and at what the handles stand for, and makes that
one of the parameters.
"""

import dataclasses
import hashlib
import json
import os
import pathlib
import shutil
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
import tensorflow as tf
from apache_beam.io.filesystems import FileSystems
from tfx import types
from tfx.components.util import examples_utils
from tfx.dsl.components.base import (
    base_beam_executor,
    base_component,
    base_driver,
    executor_spec,
)
from tfx.orchestration import data_types_utils
from tfx.orchestration.portable import base_driver as portable_driver
from tfx.orchestration.portable import data_types
from tfx.proto import example_gen_pb2
from tfx.proto.orchestration import driver_output_pb2
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ExecutionParameter

from addrl_keras.config import Modality
from tfx_pipeline import progress
from tfx_pipeline.components.artifacts import ModalityReport
from tfx_pipeline.components.example_gen import ITEMS_SPLIT
from tfx_pipeline.components.trainer import ENCODERS_PROPERTY
from tfx_pipeline.encoders import items as encoding
from tfx_pipeline.encoders import report
from tfx_pipeline.encoders.handles import compute_quick_identity

ITEMS = "items"
VECTORS = "vectors"
REPORT = "report"

_MODALITIES = "modalities"
_CACHE_DIR = "cache_dir"
_REFUSED_DIR = "refused_dir"
_FINGERPRINT = "fingerprint"
_CONTENTS = "contents"


class ContentEncoderSpec(types.ComponentSpec):
    """Inputs, outputs and parameters of the ContentEncoder."""

    PARAMETERS = {  # noqa: RUF012 (TFX reads class attributes)
        _MODALITIES: ExecutionParameter(type=str),
        _CACHE_DIR: ExecutionParameter(type=str),
        _REFUSED_DIR: ExecutionParameter(type=str),
        _FINGERPRINT: ExecutionParameter(type=str),
        # Set by the driver.
        _CONTENTS: ExecutionParameter(type=str, optional=True),
    }
    INPUTS = {ITEMS: ChannelParameter(type=standard_artifacts.Examples)}  # noqa: RUF012
    OUTPUTS = {  # noqa: RUF012
        VECTORS: ChannelParameter(type=standard_artifacts.Examples),
        REPORT: ChannelParameter(type=ModalityReport),
    }


class ContentDriver(base_driver.BaseDriver, portable_driver.BaseDriver):
    """Tells TFX's cache what the contents are."""

    def __init__(self, metadata_handle: Any):
        base_driver.BaseDriver.__init__(self, metadata_handle)
        portable_driver.BaseDriver.__init__(self, metadata_handle)

    def run(self, execution_info: data_types.ExecutionInfo) -> driver_output_pb2.DriverOutput:
        properties = dict(execution_info.exec_properties)
        modalities = load_modalities(properties[_MODALITIES])
        items = load_items(execution_info.input_dict[ITEMS], modalities)
        properties[_CONTENTS] = compute_contents_fingerprint(items, modalities)
        result = driver_output_pb2.DriverOutput()
        for name, value in properties.items():
            data_types_utils.set_metadata_value(result.exec_properties[name], value)
        return result


class ContentExecutor(base_beam_executor.BaseBeamExecutor):
    """Encodes, and stops the run where too many items lack a modality."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        modalities = load_modalities(exec_properties[_MODALITIES])
        totals = count_values(load_items(input_dict[ITEMS], modalities))
        groups = encoding.make_groups(modalities, exec_properties[_CACHE_DIR], totals)
        vectors = artifact_utils.get_single_instance(output_dict[VECTORS])
        folder = artifact_utils.get_single_uri(output_dict[REPORT])
        vectors.splits = [ITEMS_SPLIT]
        hashes = encoding.get_encoder_hashes(groups)
        vectors.set_string_custom_property(ENCODERS_PROPERTY, json.dumps(hashes))
        examples_utils.set_payload_format(vectors, example_gen_pb2.FORMAT_TF_EXAMPLE)
        prefix = os.path.join(artifact_utils.get_split_uri([vectors], ITEMS_SPLIT), VECTORS)
        with self._make_beam_pipeline() as pipeline:
            found = (
                pipeline
                | "Read" >> beam.io.ReadFromTFRecord(_make_pattern(input_dict[ITEMS]))
                | "Parse" >> beam.Map(encoding.parse_item, modalities)
                | "EncodeItems" >> encoding.EncodeItems(modalities, groups)
            )
            _ = (
                found[encoding.VECTORS]
                | "ToExample" >> beam.Map(encoding.make_vector_example)
                | "Serialize" >> beam.Map(lambda each: each.SerializeToString(deterministic=True))
                | "Write" >> beam.io.WriteToTFRecord(prefix, file_name_suffix=".gz")
            )
            _ = (
                found[encoding.PROBLEMS]
                | "Problems" >> beam.combiners.ToList()
                | "Report"
                >> beam.Map(
                    _write_report,
                    counts=beam.pvalue.AsDict(found[encoding.COUNTS]),
                    modalities=modalities,
                    folder=folder,
                )
            )
        judge_report(folder, modalities, exec_properties[_REFUSED_DIR])


class ContentEncoder(base_component.BaseComponent):
    """Makes the vectors of the modalities that are made outside of Transform.

    Outputs: `vectors`, Examples with `item_id` and for each modality that an item has a list of
    floats; `report`, what the items lack and why (`encoders/report.py`).
    """

    SPEC_CLASS = ContentEncoderSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(ContentExecutor)
    DRIVER_CLASS = ContentDriver

    def __init__(
        self,
        items: types.BaseChannel,
        modalities: Sequence[Modality],
        cache_dir: str,
        refused_dir: str,
        fingerprint: str,
    ):
        """Make the component.

        Args:
            items: Raw examples with the split `catalogue`.
            modalities: The vector modalities.
            cache_dir: Folder of encoders and vectors.
            refused_dir: Where the report goes when the run is stopped: TFX removes what a failed
                component put out.
            fingerprint: Of the sources that run.
        """
        spec = ContentEncoderSpec(
            items=items,
            modalities=json.dumps([dataclasses.asdict(modality) for modality in modalities]),
            cache_dir=cache_dir,
            refused_dir=refused_dir,
            fingerprint=fingerprint,
            vectors=types.Channel(type=standard_artifacts.Examples),
            report=types.Channel(type=ModalityReport),
        )
        super().__init__(spec=spec)


def load_modalities(text: str) -> tuple[Modality, ...]:
    """Load modalities from the JSON of their fields.

    Args:
        text: A list of objects.

    Returns:
        The modalities.
    """
    return tuple(Modality(**fields) for fields in json.loads(text))


def load_items(
    artifacts: list[types.Artifact], modalities: Sequence[Modality]
) -> Iterator[encoding.Item]:
    """Load what the modalities need of all items, outside of Beam.

    Args:
        artifacts: The raw examples.
        modalities: The vector modalities.

    Yields:
        What `parse_item` returns.
    """
    files = sorted(tf.io.gfile.glob(_make_pattern(artifacts)))
    for record in tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator():
        yield encoding.parse_item(record, modalities)


def count_values(items: Iterable[encoding.Item]) -> dict[str, int]:
    """Count the items that have a value, by modality.

    Args:
        items: What `load_items` yields.

    Returns:
        The counts.
    """
    totals: dict[str, int] = {}
    for _, values in items:
        for name, value in values.items():
            totals[name] = totals.get(name, 0) + (len(value) > 0)
    return totals


def compute_contents_fingerprint(
    items: Iterable[encoding.Item], modalities: Sequence[Modality]
) -> str:
    """Compute what changes where an encoder or a file that the items name changes.

    Args:
        items: What `load_items` yields.
        modalities: The vector modalities.

    Returns:
        16 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for modality in modalities:
        identity = compute_quick_identity(modality.handle) if modality.handle else ""
        digest.update(f"{modality.name}\0{identity}\n".encode())
    photos = [modality.name for modality in modalities if modality.preprocessing == "image"]
    if photos:
        named = {values[name] for _, values in items for name in photos if values[name]}
        for path in sorted(named):
            digest.update(f"{_stat(path)}\n".encode())
    return digest.hexdigest()[:16]


def judge_report(folder: str, modalities: Sequence[Modality], refused_dir: str) -> None:
    """Tell what was found, and stop where too many items lack a modality.

    Args:
        folder: Where the report lies.
        modalities: The vector modalities.
        refused_dir: Where the report goes if the run is stopped.

    Raises:
        MissingModalityError: If a modality's share is exceeded; the report is then kept.
    """
    shutil.rmtree(refused_dir, ignore_errors=True)
    text = pathlib.Path(folder, report.SUMMARY_FILE).read_text(encoding="utf-8")
    summary = json.loads(text)
    for line in report.make_lines(summary):
        progress.report(line, is_result=True)
    refused = report.find_refused(modalities, summary)
    if refused:
        problems = report.load_problems(folder)
        path = report.write_report(refused_dir, problems, summary)
        raise report.make_refusal(refused, summary, problems, str(path))


def _make_pattern(artifacts: list[types.Artifact]) -> str:
    return os.path.join(artifact_utils.get_split_uri(artifacts, ITEMS_SPLIT), "*")


def _stat(path: str) -> str:
    """Size and time of a file, or that there is none."""
    try:
        if "://" not in path:
            found = os.stat(path)
            return f"{path}\0{found.st_size}\0{found.st_mtime_ns}"
        (matched,) = FileSystems.match([path])
        return f"{path}\0{matched.metadata_list}"
    except Exception:  # Each filesystem has exceptions of its own; reading will find the reason.
        return f"{path}\0-"


def _write_report(
    problems: list[report.Problem],
    counts: dict[tuple[str, str], float],
    modalities: Sequence[Modality],
    folder: str,
) -> None:
    report.write_report(folder, problems, report.make_summary(modalities, counts))
