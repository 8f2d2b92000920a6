"""Parquet to tf.Examples, without the loss in TFX's own executor.

TFX's `parquet_executor` drops every value that Python calls false: a popularity of 0 becomes a
missing popularity. Here only what is null, an empty text or an empty list is missing.
"""

import math
import os
from collections.abc import Mapping
from typing import Any

import apache_beam as beam
import tensorflow as tf
from google.protobuf import wrappers_pb2
from tfx.components.example_gen.base_example_gen_executor import BaseExampleGenExecutor
from tfx.components.example_gen.component import FileBasedExampleGen
from tfx.dsl.components.base import executor_spec
from tfx.proto import example_gen_pb2
from tfx.types import standard_component_specs

from tfx_pipeline.datasets.canonical import INTERACTIONS_PATTERN, ITEMS_PATTERN
from tfx_pipeline.datasets.splits import SPLITS
from tfx_pipeline.fingerprint import compute_module_fingerprint

ITEMS_SPLIT = "catalogue"


def make_example(row: Mapping[str, Any]) -> tf.train.Example:
    """Make a tf.Example of one row of a table.

    Args:
        row: Value of each column: a text, an int, a float, a list of these, or None.

    Returns:
        The example. A missing value is a feature without a list; in a list of several floats it is
        NaN.

    Raises:
        TypeError: If a value is of another type, naming the column.

    Example:
    >>> make_example({"popularity": 0}).features.feature["popularity"].int64_list.value[0]
    0
    """
    features = {name: _make_feature(name, value) for name, value in row.items()}
    return tf.train.Example(features=tf.train.Features(feature=features))


def _make_feature(name: str, value: Any) -> tf.train.Feature:
    values = value if isinstance(value, (list, tuple)) else [value]
    if len(values) > 1 and any(isinstance(entry, float) for entry in values):
        # A vector: without its gaps it would be a shorter one, and the reason would be lost.
        values = [math.nan if entry is None else entry for entry in values]
    else:
        values = [entry for entry in values if not _is_missing(entry)]
    if not values:
        return tf.train.Feature()
    if all(isinstance(entry, str) for entry in values):
        encoded = [entry.encode() for entry in values]
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=encoded))
    if all(isinstance(entry, int) for entry in values):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    if all(isinstance(entry, (int, float)) for entry in values):
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    raise TypeError(
        f"Column {name!r} must hold texts or numbers. Received: {value!r}. Write it as one of "
        "string, list<string>, int64 or float."
    )


def _is_missing(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


@beam.ptransform_fn
@beam.typehints.with_input_types(beam.Pipeline)
@beam.typehints.with_output_types(tf.train.Example)
def _ParquetToExamples(pipeline, exec_properties, split_pattern):  # noqa: N802 (a Beam transform)
    pattern = os.path.join(exec_properties[standard_component_specs.INPUT_BASE_KEY], split_pattern)
    return (
        pipeline
        | "ReadParquet" >> beam.io.ReadFromParquet(pattern)
        | "ToExample" >> beam.Map(make_example)
    )


class ParquetExecutor(BaseExampleGenExecutor):
    """Executor of an ExampleGen over Parquet files."""

    def GetInputSourceToExamplePTransform(self) -> beam.PTransform:  # noqa: N802 (TFX's name)
        """Return the transform from a pattern of files to tf.Examples."""
        return _ParquetToExamples


class ParquetExampleGen(FileBasedExampleGen):
    """ExampleGen over the Parquet files of the canonical form."""

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(ParquetExecutor)


def make_interactions_gen(data_dir: str) -> ParquetExampleGen:
    """Make the ExampleGen of the interactions, with the splits of the canonical form.

    Args:
        data_dir: Canonical directory.

    Returns:
        The component `InteractionsGen`.
    """
    patterns = {split: INTERACTIONS_PATTERN.format(split=split) for split in SPLITS}
    return _make_example_gen(data_dir, patterns).with_id("InteractionsGen")


def make_items_gen(data_dir: str) -> ParquetExampleGen:
    """Make the ExampleGen of the items, all in one split.

    Args:
        data_dir: Canonical directory.

    Returns:
        The component `ItemsGen`.
    """
    return _make_example_gen(data_dir, {ITEMS_SPLIT: ITEMS_PATTERN}).with_id("ItemsGen")


def _make_example_gen(data_dir: str, patterns: Mapping[str, str]) -> ParquetExampleGen:
    splits = [
        example_gen_pb2.Input.Split(name=name, pattern=pattern)
        for name, pattern in patterns.items()
    ]
    output = example_gen_pb2.Output()
    if len(splits) == 1:
        # Without an output configuration TFX cuts a single split in two, train and eval.
        output.split_config.splits.add(name=splits[0].name, hash_buckets=1)
    # Read by nobody: it is there so that an edit of this file reads the tables again.
    custom = example_gen_pb2.CustomConfig()
    custom.custom_config.Pack(wrappers_pb2.StringValue(value=compute_module_fingerprint(__name__)))
    return ParquetExampleGen(
        input_base=data_dir,
        input_config=example_gen_pb2.Input(splits=splits),
        output_config=output,
        custom_config=custom,
    )
