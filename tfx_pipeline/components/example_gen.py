"""Parquet to tf.Examples, without the loss in TFX's own executor (`tfx_pipeline/examples.py`)."""

import os
from collections.abc import Mapping

import apache_beam as beam
import tensorflow as tf
from google.protobuf import wrappers_pb2
from tfx.components.example_gen.base_example_gen_executor import BaseExampleGenExecutor
from tfx.components.example_gen.component import FileBasedExampleGen
from tfx.dsl.components.base import executor_spec
from tfx.proto import example_gen_pb2
from tfx.types import Artifact, artifact_utils, standard_component_specs
from tfx.utils import io_utils

from tfx_pipeline.datasets.canonical import INTERACTIONS_PATTERN, ITEMS_PATTERN
from tfx_pipeline.datasets.splits import list_splits
from tfx_pipeline.examples import make_example
from tfx_pipeline.fingerprint import compute_module_fingerprint

ITEMS_SPLIT = "catalogue"


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


def make_interactions_gen(data_dir: str, auxiliary: bool = False) -> ParquetExampleGen:
    """Make the ExampleGen of the interactions, with the splits of the canonical form.

    Args:
        data_dir: Canonical directory.
        auxiliary: Whether to read the auxiliary interactions too.

    Returns:
        The component `InteractionsGen`.
    """
    patterns = {split: INTERACTIONS_PATTERN.format(split=split) for split in list_splits(auxiliary)}
    return _make_example_gen(data_dir, patterns).with_id("InteractionsGen")


def make_items_gen(data_dir: str) -> ParquetExampleGen:
    """Make the ExampleGen of the items, all in one split.

    Args:
        data_dir: Canonical directory.

    Returns:
        The component `ItemsGen`.
    """
    return _make_example_gen(data_dir, {ITEMS_SPLIT: ITEMS_PATTERN}).with_id("ItemsGen")


def make_patterns(artifacts: list[Artifact], split: str) -> list[str]:
    """Make the patterns of a split's files, none where no artifact has the split."""
    having = [
        each for each in artifacts if split in artifact_utils.decode_split_names(each.split_names)
    ]
    uris = artifact_utils.get_split_uris(having, split)
    return [io_utils.all_files_pattern(uri) for uri in uris]


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
    modules = (__name__, "tfx_pipeline.examples")
    custom = example_gen_pb2.CustomConfig()
    custom.custom_config.Pack(wrappers_pb2.StringValue(value=compute_module_fingerprint(*modules)))
    return ParquetExampleGen(
        input_base=data_dir,
        input_config=example_gen_pb2.Input(splits=splits),
        output_config=output,
        custom_config=custom,
    )
