"""All vector modalities of the items: the Beam transform of the ContentEncoder, free of TFX.

Modalities with the same encoder are encoded together, so that a text that two columns have is
encoded once.
"""

import dataclasses
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow as tf

from addrl_keras.config import Modality
from tfx_pipeline.encoders import report
from tfx_pipeline.encoders.encode import (
    COUNTS,
    PROBLEMS,
    VECTORS,
    EncodeContents,
    EncoderSpec,
    make_problem,
)
from tfx_pipeline.encoders.errors import ContentError
from tfx_pipeline.encoders.given import check_vector, choose_dim
from tfx_pipeline.encoders.handles import resolve_handle

# An item's id and the value of each modality's column: a text, or the numbers of a vector.
Item = tuple[str, dict[str, Any]]


@dataclasses.dataclass(frozen=True)
class EncoderGroup:
    """The modalities that one encoder works for.

    Attributes:
        spec: The encoder.
        names: Names of the modalities.
    """

    spec: EncoderSpec
    names: tuple[str, ...]


def parse_item(record: bytes, modalities: Sequence[Modality]) -> Item:
    """Parse what the vector modalities need of an item.

    Args:
        record: A serialised tf.Example.
        modalities: The vector modalities.

    Returns:
        The id, and by modality the text (empty where there is none) or the numbers.
    """
    feature = tf.train.Example.FromString(record).features.feature
    values: dict[str, Any] = {}
    for modality in modalities:
        if modality.encoder == "precomputed":
            values[modality.name] = np.array(feature[modality.column].float_list.value, np.float32)
        else:
            texts = feature[modality.column].bytes_list.value
            values[modality.name] = texts[0].decode() if texts else ""
    return feature["item_id"].bytes_list.value[0].decode(), values


def make_groups(
    modalities: Sequence[Modality], cache_dir: str | os.PathLike, totals: Mapping[str, int]
) -> list[EncoderGroup]:
    """Make the encoders of the `hub` modalities: builds or fetches them, and tries new ones.

    Args:
        modalities: The vector modalities.
        cache_dir: Folder of all caches.
        totals: Number of items that have something to encode, by modality.

    Returns:
        A group for each encoder.

    Raises:
        EncoderError: If an encoder cannot be found, loaded or used.
    """
    grouped: dict[tuple[str, str], list[str]] = {}
    for modality in modalities:
        if modality.encoder == "hub":
            grouped.setdefault((modality.handle, modality.preprocessing), []).append(modality.name)
    groups = []
    for (handle, preprocessing), names in grouped.items():
        spec = EncoderSpec(
            resolve_handle(handle, cache_dir),
            preprocessing,
            str(cache_dir),
            label=f"ContentEncoder {' and '.join(names)}",
            total=sum(totals.get(name, 0) for name in names),
        )
        cache = spec.load_cache()
        if cache.dim is None:
            # Here and not in a worker, so that what is wrong with it is said in its own words.
            cache.write_dim(spec.load_encoder().dim)
        groups.append(EncoderGroup(spec, tuple(names)))
    return groups


def get_encoder_hashes(groups: Iterable[EncoderGroup]) -> dict[str, str]:
    """Get what the vectors of each `hub` modality depend on.

    Args:
        groups: What `make_groups` returned.

    Returns:
        The hash of the encoder by modality.
    """
    return {name: group.spec.encoder_hash for group in groups for name in group.names}


@beam.ptransform_fn
def EncodeItems(items, modalities, groups, dims=None):  # noqa: N802 (Beam names transforms so)
    """Make the vectors of all modalities.

    Args:
        items: PCollection of what `parse_item` returns.
        modalities: The vector modalities.
        groups: What `make_groups` returned.
        dims: Length that the vectors of a `precomputed` modality must have, by its name; where it
            is not given, the most common one is right.

    Returns:
        The PCollections `vectors` of (item id, bytes of float32 by modality), one for each item,
        `problems` of `Problem`, and `counts` of ((modality, name of a count), number).
    """
    parts = [
        items
        | f"References{index}" >> beam.FlatMap(_make_references, group.names)
        | f"Encoder{index}" >> EncodeContents(group.spec)
        for index, group in enumerate(groups)
    ]
    parts += [
        items
        | f"Numbers_{modality.name}"
        >> beam.Map(lambda item, name: (item[0], item[1][name]), modality.name)
        | f"Check_{modality.name}" >> CheckVectors(modality, (dims or {}).get(modality.name))
        for modality in modalities
        if modality.encoder == "precomputed"
    ]
    joined = {
        key: [part[key] for part in parts] | f"Join_{key}" >> beam.Flatten()
        for key in (VECTORS, PROBLEMS, COUNTS)
    }
    every = items | "EveryItem" >> beam.Map(lambda item: (item[0], None))
    vectors = (
        (joined[VECTORS], every)
        | "WithEvery" >> beam.Flatten()
        | "GroupItem" >> beam.GroupByKey()
        | "Collect" >> beam.MapTuple(lambda item_id, found: (item_id, dict(filter(None, found))))
    )
    return {
        VECTORS: vectors,
        PROBLEMS: joined[PROBLEMS],
        COUNTS: joined[COUNTS] | "SumCounts" >> beam.CombinePerKey(sum),
    }


@beam.ptransform_fn
def CheckVectors(vectors, modality, dim=None):  # noqa: N802
    """Check the vectors that a column gives; the most common length is the right one.

    Args:
        vectors: PCollection of (item id, numbers).
        modality: The modality.
        dim: The right length, where it is known.

    Returns:
        As `EncodeContents`.
    """
    most_common = (
        vectors
        | "Length" >> beam.Map(lambda pair: len(pair[1]))
        | "CountLengths" >> beam.combiners.Count.PerElement()
        | "Lengths" >> beam.combiners.ToDict()
        | "Choose" >> beam.Map(lambda counts: dim or choose_dim(counts))
    )
    found = vectors | "Check" >> beam.FlatMap(
        _check, modality, beam.pvalue.AsSingleton(most_common)
    ).with_outputs(PROBLEMS, COUNTS, main=VECTORS)
    return {key: found[key] for key in (VECTORS, PROBLEMS, COUNTS)}


def make_vector_example(vectors: tuple[str, Mapping[str, bytes]]) -> tf.train.Example:
    """Make the tf.Example of an item's vectors.

    Args:
        vectors: The item's id and the bytes of float32 by modality.

    Returns:
        The example: `item_id`, and a list of floats for each modality that the item has.
    """
    item_id, by_name = vectors
    feature = {
        name: tf.train.Feature(float_list=tf.train.FloatList(value=np.frombuffer(data, "<f4")))
        for name, data in by_name.items()
    }
    feature["item_id"] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[item_id.encode()]))
    return tf.train.Example(features=tf.train.Features(feature=feature))


def _make_references(item: Item, names: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    item_id, values = item
    for name in names:
        yield name, item_id, values[name]


def _check(pair: tuple[str, np.ndarray], modality: Modality, dim: int | None) -> Iterator[Any]:
    item_id, numbers = pair
    try:
        vector = check_vector(numbers, dim)
    except ContentError as error:
        yield from make_problem((modality.name, item_id, f"column {modality.column!r}"), error)
    else:
        yield item_id, (modality.name, vector.tobytes())
        yield beam.pvalue.TaggedOutput(COUNTS, ((modality.name, report.GIVEN), 1))
