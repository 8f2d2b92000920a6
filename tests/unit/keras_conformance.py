"""What every Keras layer of the project must do, whatever it computes."""

import keras
import numpy as np
import tensorflow as tf


def check_layer(layer, inputs, seed=0):
    """Checks building, symbolic calls, the config round trip, batch sizes and one training step.

    Args:
        layer: Not built yet.
        inputs: Arrays of one batch, the positional arguments of the call.
    """
    symbolic = [keras.Input(x.shape[1:], dtype=x.dtype.name) for x in inputs]
    specs = keras.tree.map_structure(lambda x: x.shape, layer(*symbolic))
    shapes = [(None, *x.shape[1:]) for x in inputs]
    expected = layer.compute_output_shape(*shapes)
    assert keras.tree.flatten(specs) == keras.tree.flatten(expected)

    outputs = _call(layer, inputs)
    for size in (1, 2):
        for part, whole in zip(_call(layer, [x[:size] for x in inputs]), outputs, strict=True):
            np.testing.assert_allclose(part, whole[:size], atol=1e-5)
    _check_round_trip(layer, inputs, outputs)
    return _check_step(layer, inputs, seed)


def _call(layer, inputs):
    return [np.asarray(x) for x in keras.tree.flatten(layer(*map(tf.constant, inputs)))]


def _check_round_trip(layer, inputs, outputs):
    config = keras.saving.serialize_keras_object(layer)
    again = keras.saving.deserialize_keras_object(config)
    assert again.get_config() == layer.get_config()
    again(*map(tf.constant, inputs))
    again.set_weights(layer.get_weights())
    for one, other in zip(_call(again, inputs), outputs, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def _check_step(layer, inputs, seed):
    """One step of gradient descent on a random projection of the outputs moves every weight."""
    generator = np.random.default_rng(seed)
    with tf.GradientTape() as tape:
        outputs = keras.tree.flatten(layer(*map(tf.constant, inputs)))
        loss = sum(
            tf.reduce_sum(x * generator.standard_normal(x.shape).astype(np.float32))
            for x in outputs
        )
    gradients = tape.gradient(loss, layer.trainable_variables)
    for gradient, variable in zip(gradients, layer.trainable_variables, strict=True):
        assert gradient is not None, f"{variable.path} takes no part in the output"
        assert np.isfinite(gradient).all(), variable.path
    frozen = [variable.numpy() for variable in layer.non_trainable_variables]
    if layer.trainable_variables:
        keras.optimizers.SGD(0.1).apply(gradients, layer.trainable_variables)
    for before, variable in zip(frozen, layer.non_trainable_variables, strict=True):
        np.testing.assert_array_equal(before, variable.numpy())
    return gradients
