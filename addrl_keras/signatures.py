"""The inputs of the recommender's signatures as data: names, types, shapes and neutral values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

Tensor = Any
# Length of the list where a request does not say `k`.
DEFAULT_K = 10


def make_input_specs(num_chunks: int) -> dict[str, dict[str, tf.TensorSpec]]:
    """Makes the specification of every input, by signature.

    Args:
        num_chunks: Number of chunks a score is a sum over.

    Returns:
        By signature and input name the type and the shape, where None is any size.
    """
    strings, ragged = tf.TensorSpec([None], tf.string), tf.TensorSpec([None, None], tf.string)
    k = tf.TensorSpec([], tf.int32)
    weights = tf.TensorSpec([None, num_chunks], tf.float32)
    whose = {"user_id": strings, "history_ids": ragged}
    steering = {
        "attribute_weights": weights,
        "attribute_targets": ragged,
        "target_strength": tf.TensorSpec([None], tf.float32),
        "hold_weights": weights,
    }
    signatures = {
        "recommend": {
            **whose,
            "k": k,
            "exclude_ids": ragged,
            "exclude_seen": tf.TensorSpec([], tf.bool),
            "attribute_filters": ragged,
            **steering,
        },
        "explain": {**whose, "item_id": strings, **steering},
        "profile": whose,
        "similar_items": {"item_id": strings, "k": k, "attribute_weights": weights},
        "score": {"user_id": strings, "item_ids": ragged},
        "serving_default": {"examples": strings},
        "evaluate": {"examples": strings},
        "evaluate_slices": {"examples": strings},
    }
    return {
        signature: {
            name: tf.TensorSpec(spec.shape, spec.dtype, name=name) for name, spec in inputs.items()
        }
        for signature, inputs in signatures.items()
    }


def make_neutral_inputs(
    num_chunks: int, num_items: int, target_strength: float
) -> dict[str, dict[str, Tensor]]:
    """Makes the neutral value of every optional input, by signature.

    A row `[1, ...]` stands for any batch.

    Args:
        num_chunks: Number of chunks a score is a sum over.
        num_items: Size of the catalogue, which bounds `k`.
        target_strength: How much a wanted value counts by default.

    Returns:
        Eager tensors by signature and input name, of the types of `make_input_specs`; only for
        signatures that have optional inputs.
    """
    nothing = tf.fill([1, 1], "")
    k = tf.constant(min(DEFAULT_K, num_items), tf.int32)
    weights = tf.ones((1, num_chunks))
    steering = {
        "attribute_weights": weights,
        "attribute_targets": nothing,
        "target_strength": tf.constant([target_strength], tf.float32),
        "hold_weights": weights,
    }
    return {
        "recommend": {
            "k": k,
            "history_ids": nothing,
            "exclude_ids": nothing,
            "exclude_seen": tf.constant(True),
            "attribute_filters": nothing,
            **steering,
        },
        "explain": {"history_ids": nothing, **steering},
        "profile": {"history_ids": nothing},
        "similar_items": {"k": k, "attribute_weights": weights},
    }


def make_inputs(
    specs: Mapping[str, tf.TensorSpec], neutral: Mapping[str, Tensor], given: Mapping[str, Any]
) -> dict[str, Tensor]:
    """Turns what a caller gave into tensors; what is None becomes its neutral value.

    Args:
        specs: Specification of each input.
        neutral: Neutral value of each optional input.
        given: Tensor, array, number or list by input. Lists of lists may differ in length.

    Returns:
        A tensor by input of `given`, of the type and rank of its specification. Shorter lists of
        strings are filled up with `""`.

    Raises:
        ValueError: An input does not have the rank of its specification, or a fixed size.
        KeyError: An input without a neutral value is None.
    """
    inputs = {}
    for name, value in given.items():
        if value is None:
            inputs[name] = neutral[name]
            continue
        tensor = _to_tensor(value, specs[name])
        if not specs[name].shape.is_compatible_with(tensor.shape):
            raise ValueError(
                f"{name} must have the shape {specs[name].shape.as_list()}, where None is any "
                f"size. Received: shape {tensor.shape.as_list()}"
            )
        inputs[name] = tensor
    return inputs


def parse_rows(examples: Tensor) -> dict[str, Tensor]:
    """Parses the rows of an evaluation.

    Args:
        examples: Serialised tf.Examples `[batch]`; further features are ignored.

    Returns:
        `user_id` and `item_id`, string `[batch]`, and `relevant_count`, int64 `[batch]`: how many
        rows of the evaluation are of that user.

    Raises:
        tf.errors.InvalidArgumentError: What is sent is no tf.Example, or lacks a feature.
    """
    return tf.io.parse_example(
        examples,
        {
            "user_id": tf.io.FixedLenFeature([], tf.string),
            "item_id": tf.io.FixedLenFeature([], tf.string),
            "relevant_count": tf.io.FixedLenFeature([], tf.int64),
        },
    )


def _to_tensor(value: Any, spec: tf.TensorSpec) -> Tensor:
    if spec.dtype == tf.string and spec.shape.rank == 2 and _is_nested(value):
        return tf.ragged.constant(value, dtype=tf.string, ragged_rank=1).to_tensor("")
    return tf.convert_to_tensor(value, spec.dtype)


def _is_nested(value: Any) -> bool:
    return isinstance(value, Sequence) and all(isinstance(row, list | tuple) for row in value)
