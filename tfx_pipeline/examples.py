"""Rows of the canonical tables as tf.Examples.

TFX's `parquet_executor` drops every value that Python calls false: a popularity of 0 becomes a
missing popularity. Here only what is null, an empty text or an empty list is missing.
"""

import math
from collections.abc import Mapping
from typing import Any

import tensorflow as tf


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
