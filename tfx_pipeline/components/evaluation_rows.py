"""Test interactions to evaluation rows: one per user and relevant item, with the user's count."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
import tensorflow as tf
from tfx import v1 as tfx
from tfx.components.util import examples_utils
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils
from tfx.types.standard_artifacts import Examples

from tfx_pipeline.components.example_gen import ITEMS_SPLIT

KNOWN_SPLITS = ("train", "validation")
TEST_SPLIT = "test"


def make_rows(user: tuple[str, Mapping[str, Iterable]]) -> Iterator[tf.train.Example]:
    """Make the evaluation rows of one user.

    Users that are new in the test cannot be ranked by a history, so, as the protocol has it, only
    those with at least one known item count. Only items of the catalogue count, as known and as
    test items: `datasets/loading.py` has the same rule.

    Args:
        user: The user's id and a dictionary with `known`, one entry for each known interaction, and
            `test`, the ids of the test items.

    Yields:
        tf.Examples with `user_id`, `item_id` and `relevant_count`, the number of the user's test
        items.
    """
    user_id, groups = user
    if not any(True for _ in groups["known"]):
        return
    items = sorted(set(groups["test"]))
    for item_id in items:
        yield tf.train.Example(
            features=tf.train.Features(
                feature={
                    "user_id": _make_bytes(user_id),
                    "item_id": _make_bytes(item_id),
                    "relevant_count": tf.train.Feature(
                        int64_list=tf.train.Int64List(value=[len(items)])
                    ),
                }
            )
        )


@beam.ptransform_fn
def MakeEvaluationRows(pairs, catalogue):  # noqa: N802 (Beam names transforms so)
    """Make the rows of all users.

    Args:
        pairs: Dictionary of two PCollections of (user id, item id): `known` and `test`.
        catalogue: PCollection of the catalogue's item ids; pairs with other items are left out.

    Returns:
        PCollection of serialised tf.Examples.
    """
    items = beam.pvalue.AsDict(catalogue | "ItemAsKey" >> beam.Map(lambda item: (item, True)))
    kept = {
        name: group | f"InCatalogue_{name}" >> beam.Filter(_is_in_catalogue, items)
        for name, group in pairs.items()
    }
    return (
        kept
        | "GroupUser" >> beam.CoGroupByKey()
        | "MakeRows" >> beam.FlatMap(make_rows)
        | "Serialize" >> beam.Map(lambda example: example.SerializeToString(deterministic=True))
    )


def _make_bytes(text: str) -> tf.train.Feature:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[text.encode()]))


def _is_in_catalogue(pair: tuple[str, str], items: Mapping[str, bool]) -> bool:
    return pair[1] in items


def _parse_pair(record: bytes) -> tuple[str, str]:
    feature = tf.train.Example.FromString(record).features.feature
    return _get_text(feature, "user_id"), _get_text(feature, "item_id")


def _parse_item(record: bytes) -> str:
    return _get_text(tf.train.Example.FromString(record).features.feature, "item_id")


def _get_text(feature: Mapping[str, tf.train.Feature], name: str) -> str:
    return feature[name].bytes_list.value[0].decode()


def _read(
    pipeline: beam.Pipeline, artifact: Examples, split: str, parse: Callable[[bytes], Any]
) -> beam.PCollection:
    pattern = os.path.join(artifact_utils.get_split_uri([artifact], split), "*")
    return (
        pipeline
        | f"Read_{split}" >> beam.io.ReadFromTFRecord(pattern)
        | f"Parse_{split}" >> beam.Map(parse)
    )


@tfx.dsl.components.component(use_beam=True)
def EvaluationRows(  # noqa: N802 (components are named like classes)
    interactions: tfx.dsl.components.InputArtifact[Examples],
    items: tfx.dsl.components.InputArtifact[Examples],
    rows: tfx.dsl.components.OutputArtifact[Examples],
    fingerprint: tfx.dsl.components.Parameter[str],
    beam_pipeline: tfx.dsl.components.BeamComponentParameter[beam.Pipeline] = None,
) -> None:
    """Write the evaluation rows of the test split as sharded TFRecords."""
    del fingerprint  # A parameter only so that an edit of this file runs the component again.
    rows.splits = [TEST_SPLIT]
    examples_utils.set_payload_format(rows, example_gen_pb2.FORMAT_TF_EXAMPLE)
    prefix = os.path.join(artifact_utils.get_split_uri([rows], TEST_SPLIT), "rows")
    with beam_pipeline as pipeline:
        known = [_read(pipeline, interactions, split, _parse_pair) for split in KNOWN_SPLITS]
        catalogue = _read(pipeline, items, ITEMS_SPLIT, _parse_item)
        _ = (
            {
                "known": known | "Known" >> beam.Flatten(),
                "test": _read(pipeline, interactions, TEST_SPLIT, _parse_pair),
            }
            | "EvaluationRows" >> MakeEvaluationRows(catalogue)
            | "Write" >> beam.io.WriteToTFRecord(prefix, file_name_suffix=".gz")
        )
