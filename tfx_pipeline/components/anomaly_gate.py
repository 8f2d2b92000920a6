"""The gate that stops a run on anomalous data; TFX's ExampleValidator only writes them down."""

import json
import os

from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx import v1 as tfx
from tfx.components.example_validator.executor import DEFAULT_FILE_NAME
from tfx.types import artifact_utils
from tfx.types.standard_artifacts import ExampleAnomalies

from tfx_pipeline.components.artifacts import DataBlessing
from tfx_pipeline.components.example_gen import ITEMS_SPLIT
from tfx_pipeline.datasets.canonical import INTERACTIONS_PATTERN, ITEMS_PATTERN
from tfx_pipeline.datasets.errors import DataError

_NEW_COLUMN = anomalies_pb2.AnomalyInfo.SCHEMA_NEW_COLUMN
REPORT = "report.json"


class DataAnomalyError(DataError):
    """Raised where statistics of the data contradict the schema."""


def find_anomalies(schema: str, anomalies: anomalies_pb2.Anomalies, files: str) -> list[str]:
    """Word the anomalies of one split.

    Args:
        schema: How messages name the table's schema, such as `schema/interactions.pbtxt`.
        anomalies: What ExampleValidator found.
        files: Pattern of the files looked at, in the canonical directory.

    Returns:
        One line per anomaly: where, which column, what, and the remedy.
    """
    lines = []
    for column, info in sorted(anomalies.anomaly_info.items()):
        is_new = any(reason.type == _NEW_COLUMN for reason in info.reason)
        remedy = (
            f"Add it to {schema}, or leave the column out."
            if is_new
            else f"Repair the data, or change {schema} where the new data are right."
        )
        what = (info.description or info.short_description).strip().rstrip(".")
        lines.append(f"{files}: column {column!r}: {what}. {remedy}")
    if anomalies.HasField("dataset_anomaly_info"):
        what = anomalies.dataset_anomaly_info.description.strip().rstrip(".")
        lines.append(f"{files}: {what}. Repair the data, or change {schema}.")
    return lines


def load_anomalies(artifact: ExampleAnomalies) -> dict[str, anomalies_pb2.Anomalies]:
    """Load what ExampleValidator found.

    Args:
        artifact: Its output.

    Returns:
        The message of each split.
    """
    result = {}
    for split in artifact.splits:
        folder = artifact_utils.get_split_uri([artifact], split)
        with open(os.path.join(folder, DEFAULT_FILE_NAME), "rb") as file:
            result[split] = anomalies_pb2.Anomalies.FromString(file.read())
    return result


def validate_no_anomalies(
    items: ExampleAnomalies,
    interactions: ExampleAnomalies,
    items_schema: str,
    interactions_schema: str,
) -> int:
    """Validate that neither table has an anomaly.

    Args:
        items: Anomalies of the items.
        interactions: Anomalies of the interactions.
        items_schema: How messages name the schema of the items.
        interactions_schema: How they name the schema of the interactions.

    Returns:
        Number of splits that were looked at.

    Raises:
        DataAnomalyError: Listing all anomalies of both tables.
    """
    lines = []
    splits = 0
    for schema, artifact in ((items_schema, items), (interactions_schema, interactions)):
        for split, anomalies in load_anomalies(artifact).items():
            pattern = ITEMS_PATTERN if split == ITEMS_SPLIT else INTERACTIONS_PATTERN
            lines += find_anomalies(schema, anomalies, pattern.format(split=split))
            splits += 1
    if lines:
        raise DataAnomalyError(
            f"The data have {len(lines)} {'anomaly' if len(lines) == 1 else 'anomalies'}:"
            + "".join(f"\n  - {line}" for line in lines)
        )
    return splits


@tfx.dsl.components.component
def AnomalyGate(  # noqa: N802 (components are named like classes)
    items: tfx.dsl.components.InputArtifact[ExampleAnomalies],
    interactions: tfx.dsl.components.InputArtifact[ExampleAnomalies],
    blessing: tfx.dsl.components.OutputArtifact[DataBlessing],
    items_schema: tfx.dsl.components.Parameter[str],
    interactions_schema: tfx.dsl.components.Parameter[str],
    fingerprint: tfx.dsl.components.Parameter[str],
) -> None:
    """Stop the run where ExampleValidator found an anomaly in either table."""
    del fingerprint  # A parameter only so that an edit of this file runs the gate again.
    splits = validate_no_anomalies(items, interactions, items_schema, interactions_schema)
    os.makedirs(blessing.uri, exist_ok=True)
    with open(os.path.join(blessing.uri, REPORT), "w", encoding="utf-8") as file:
        json.dump({"splits": splits, "anomalies": 0}, file)
