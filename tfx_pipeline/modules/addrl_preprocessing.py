"""Transform's `preprocessing_fn`: raw item columns to bins, vocabulary indices and tf-idf weights.

Generic over the model's configuration, which comes as `custom_config["model"]`: nothing here knows
the name of an attribute. For an attribute `a` and a modality `m` of words or entities the outputs
are

    item_id, title      as they came (title only where the table has it)
    a_xf                int64, the index of each value; no value stays no value
    a_raw               the number itself, for a numeric `a`: bins are named after what is in them
    m_xf_index          int64, the terms of the item in the vocabulary `m_terms`
    m_xf_weight         float, the tf-idf weight of each

A categorical attribute's vocabulary is the file `a_values`; index `len(a_values)` stands for all
other values.
"""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from addrl_keras.config import Attribute, Config, Modality

# Letters and digits of any script make a word; everything else separates.
_SEPARATORS = r"[^\p{L}\p{N}]+"
# The quantile sketch is exact for catalogues below about a million items at this tolerance.
_QUANTILE_EPSILON = 1e-4


def preprocessing_fn(
    inputs: Mapping[str, tf.SparseTensor], custom_config: Mapping[str, Any]
) -> dict[str, Any]:
    """Map the raw columns of a batch of items to the model's inputs.

    Args:
        inputs: Sparse columns of the items table, `[batch, none]`.
        custom_config: Has the model's configuration as `model`, and as `schema` how messages name
            the schema of the items.

    Returns:
        The outputs named in this module's docstring, sparse, `[batch, none]`.

    Raises:
        ValueError: If the configuration names a column that the schema lacks.
    """
    config = Config.from_dict(custom_config["model"])
    _validate_columns(config, inputs, custom_config.get("schema", "the schema of the items"))
    outputs: dict[str, Any] = {"item_id": inputs["item_id"]}
    if "title" in inputs:
        outputs["title"] = inputs["title"]
    for attribute in config.attributes:
        outputs |= _make_attribute_outputs(attribute, inputs[attribute.column])
    for modality in _get_modalities(config):
        outputs |= _make_modality_outputs(modality, inputs[modality.column])
    return outputs


def _get_modalities(config: Config) -> list[Modality]:
    """The modalities made here; vectors go from the ContentEncoder straight to the Trainer."""
    return [modality for modality in config.content_modalities if not modality.is_vector]


def _validate_columns(config: Config, inputs: Mapping[str, Any], schema: str) -> None:
    needed = dict.fromkeys(part.column for part in (*config.attributes, *_get_modalities(config)))
    missing = [name for name in needed if name not in inputs]
    if missing:
        raise ValueError(
            f"The configuration names columns that {schema} lacks: {', '.join(missing)}. "
            f"Received: {', '.join(sorted(inputs))}. Add them to the schema, or take them out of "
            "the configuration."
        )


def _make_attribute_outputs(attribute: Attribute, column: tf.SparseTensor) -> dict[str, Any]:
    if attribute.kind == "numeric":
        numbers = tf.cast(column, tf.float32)
        # Only present values are counted and binned: a missing one is no bin.
        bins = tft.bucketize(numbers, attribute.bins, epsilon=_QUANTILE_EPSILON)
        return {f"{attribute.name}_xf": bins, f"{attribute.name}_raw": numbers}
    index = tft.compute_and_apply_vocabulary(
        column,
        top_k=attribute.max_values,
        num_oov_buckets=1,
        vocab_filename=f"{attribute.name}_values",
    )
    return {f"{attribute.name}_xf": index}


def _make_modality_outputs(modality: Modality, column: tf.SparseTensor) -> dict[str, Any]:
    terms = _tokenize(column) if modality.encoder == "text" else column
    vocabulary = tft.vocabulary(
        _keep_first_of_row(terms),  # so that the frequency of a term is the number of its items
        top_k=modality.max_tokens,
        frequency_threshold=modality.min_count,
        vocab_filename=f"{modality.name}_terms",
    )
    index = tft.apply_vocabulary(terms, vocabulary, default_value=-1)
    known = tf.sparse.retain(index, index.values >= 0)
    terms_index, weight = tft.tfidf(known, modality.max_tokens)
    return {f"{modality.name}_xf_index": terms_index, f"{modality.name}_xf_weight": weight}


def _tokenize(column: tf.SparseTensor) -> tf.SparseTensor:
    """Split strings `[batch, none]` into lower-case words `[batch, none]`."""
    rows = tf.RaggedTensor.from_sparse(column)
    lower = tf.strings.lower(rows.flat_values, encoding="utf-8")
    spaced = tf.strings.strip(tf.strings.regex_replace(lower, _SEPARATORS, " "))
    words = tf.strings.split(spaced)
    return rows.with_flat_values(words).merge_dims(1, 2).to_sparse()


def _keep_first_of_row(terms: tf.SparseTensor) -> tf.Tensor:
    """Return each term once for every row it occurs in, `[none]`."""
    separator = "\x1f"
    keys = tf.strings.join([tf.strings.as_string(terms.indices[:, 0]), terms.values], separator)
    unique, _ = tf.unique(keys)
    return tf.strings.regex_replace(unique, f"^[0-9]+{separator}", "", replace_global=False)
