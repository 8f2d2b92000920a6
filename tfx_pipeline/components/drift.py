"""What drifted since the model in service was trained, by TensorFlow Data Validation.

TFX's DistributionValidator needs a baseline, which a first run has not, and takes it for that of
the run before; here it is that of the model that serves, whose statistics travel in the model
(`index/extras.py`), so drift by small steps adds up.
"""

import logging
import os
import pathlib
from collections.abc import Mapping

import tensorflow_data_validation as tfdv
from google.protobuf import message
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2
from tfx import v1 as tfx
from tfx.types.standard_artifacts import ExampleStatistics, PushedModel, Schema
from tfx.utils import io_utils

from tfx_pipeline.components.artifacts import DriftReport
from tfx_pipeline.components.statistics import find_statistics_file
from tfx_pipeline.drift import FIRST, ColumnDrift, Drift, TableSize, write_drift
from tfx_pipeline.index.about import find_statistics

_SCHEMA_FILE = "schema.pbtxt"
_JENSEN_SHANNON = anomalies_pb2.DriftSkewInfo.Measurement.JENSEN_SHANNON_DIVERGENCE
_COMPARATOR = "jensen_shannon_divergence"
_REMEDY = "Nothing is to be done: the next version carries statistics of its own."
_logger = logging.getLogger(__name__)

Statistics = statistics_pb2.DatasetFeatureStatisticsList


def compare(
    table: str, before: Statistics, now: Statistics, schema: schema_pb2.Schema
) -> tuple[list[ColumnDrift], TableSize]:
    """Compare the statistics of a table.

    Args:
        table: `items` or `interactions`.
        before: Statistics of the model in service.
        now: Statistics of this run.
        schema: Says which columns are compared, by their `drift_comparator`, and what is allowed.

    Returns:
        The columns that either has, sorted by name, and the sizes.
    """
    found = tfdv.validate_statistics(now, schema, previous_statistics=before)
    distances = {
        ".".join(info.path.step): measured.value
        for info in found.drift_skew_info
        for measured in info.drift_measurements
        if measured.type == _JENSEN_SHANNON
    }
    shares = [_get_shares(each) for each in (before, now)]
    columns = []
    for feature in schema.feature:
        present = [each.get(feature.name, 0.0) for each in shares]
        if not feature.drift_comparator.HasField(_COMPARATOR) or not any(present):
            continue
        allowed = feature.drift_comparator.jensen_shannon_divergence.threshold
        # It has no distance where only one has values, which is as far as can be.
        distance = distances.get(feature.name, 0.0) if all(present) else 1.0
        columns.append(ColumnDrift(table, feature.name, distance, allowed, *present))
    limits = schema.dataset_constraints.num_examples_drift_comparator
    size = TableSize(
        table,
        before.datasets[0].num_examples,
        now.datasets[0].num_examples,
        limits.min_fraction_threshold or None,
        limits.max_fraction_threshold or None,
    )
    return sorted(columns, key=lambda each: each.column), size


def load_statistics(path: str | os.PathLike) -> Statistics:
    """Load statistics from the file that StatisticsGen wrote.

    Raises:
        ValueError: The file is damaged.
    """
    try:
        found = Statistics.FromString(pathlib.Path(path).read_bytes())
    except (OSError, message.DecodeError) as error:
        raise ValueError(
            f"Statistics cannot be read. Received: {path} ({error}). {_REMEDY}"
        ) from error
    if len(found.datasets) != 1:
        raise ValueError(
            f"Statistics must be of one dataset. Received: {path} with {len(found.datasets)}. "
            f"{_REMEDY}"
        )
    return found


def _get_shares(statistics: Statistics) -> dict[str, float]:
    """Returns by column the share of rows that have a value."""
    (dataset,) = statistics.datasets
    shares = {}
    for feature in dataset.features:
        kind = feature.WhichOneof("stats")
        counts = getattr(feature, kind).common_stats
        total = counts.num_non_missing + counts.num_missing
        shares[".".join(feature.path.step)] = counts.num_non_missing / total if total else 0.0
    return shares


@tfx.dsl.components.component
def DataDrift(  # noqa: N802 (components are named like classes)
    items: tfx.dsl.components.InputArtifact[ExampleStatistics],
    interactions: tfx.dsl.components.InputArtifact[ExampleStatistics],
    items_schema: tfx.dsl.components.InputArtifact[Schema],
    interactions_schema: tfx.dsl.components.InputArtifact[Schema],
    drift: tfx.dsl.components.OutputArtifact[DriftReport],
    fingerprint: tfx.dsl.components.Parameter[str],
    pushed_model: tfx.dsl.components.InputArtifact[PushedModel] = None,
) -> None:
    """Compare the data with those of the model in service; what drifted stops nothing.

    Nor does what goes wrong in the comparison: the reason is written down in its place.
    """
    del fingerprint  # A parameter only so that an edit of this file compares again.
    found = FIRST
    if pushed_model is not None:
        export = pushed_model.get_string_custom_property("pushed_destination")
        tables = {
            "interactions": (interactions, interactions_schema),
            "items": (items, items_schema),
        }
        try:
            found = compare_with(export, tables)
        except Exception as error:
            _logger.exception("the data could not be compared")
            what = str(error) or type(error).__name__
            found = Drift(os.path.basename(export), reason=what)
    write_drift(found, drift.uri)


def compare_with(export: str, tables: Mapping[str, tuple[ExampleStatistics, Schema]]) -> Drift:
    """Compare the data with those of a version.

    Args:
        export: Folder of the version.
        tables: Statistics and schema of each table.

    Returns:
        What drifted, or why nothing was compared.

    Raises:
        ValueError: Statistics are damaged.
    """
    version, carried = os.path.basename(export), find_statistics(export)
    if not set(carried) >= set(tables):
        reason = f"version {version} does not carry the statistics of its data, or is not there"
        return Drift(version, reason=reason)
    columns: list[ColumnDrift] = []
    sizes = []
    for table, (statistics, schema) in tables.items():
        more, size = compare(
            table,
            load_statistics(carried[table]),
            load_statistics(find_statistics_file(statistics, table)),
            io_utils.SchemaReader().read(os.path.join(schema.uri, _SCHEMA_FILE)),
        )
        columns += more
        sizes.append(size)
    return Drift(version, tuple(columns), tuple(sizes))
