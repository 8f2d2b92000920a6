"""What every Keras layer of the project must do, whatever it computes."""

import tempfile

import keras
import numpy as np
import tensorflow as tf


def check_layer(layer, inputs, seed=0):
    """Checks building, symbolic calls, batch sizes, the config round trip, a file, mixed precision,
    and one training step.

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
    _check_file(layer, symbolic, inputs, outputs)
    _check_mixed_precision(layer, inputs, outputs)
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


def _check_file(layer, symbolic, inputs, outputs):
    model = keras.Model(symbolic, layer(*symbolic))
    with tempfile.TemporaryDirectory() as directory:
        model.save(f"{directory}/model.keras")
        again = keras.saving.load_model(f"{directory}/model.keras")
    for one, other in zip(
        keras.tree.flatten(again([*map(tf.constant, inputs)])), outputs, strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-6)


def _check_mixed_precision(layer, inputs, outputs):
    """Computes in bfloat16 what it computes in float32, to its three digits."""
    half = type(layer).from_config({**layer.get_config(), "dtype": "mixed_bfloat16"})
    half(*map(tf.constant, inputs))
    half.set_weights(layer.get_weights())
    found = keras.tree.flatten(half(*map(tf.constant, inputs)))
    for one, other in zip(found, outputs, strict=True):
        assert one.dtype == tf.bfloat16
        close = {"rtol": 0.05, "atol": 0.05}
        np.testing.assert_allclose(tf.cast(one, tf.float32), other, **close)


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
