"""Writing a fitted model as a SavedModel that TensorFlow Serving can serve."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from addrl_keras.recommender import Recommender
from addrl_keras.training import FitResult

Tensor = Any


def write_saved_model(result: FitResult, directory: str) -> None:
    """Writes the model with the signatures of the serving contract.

    `keras.export.ExportArchive` is used because `tf.saved_model.save` of a Keras 3 model makes a
    SavedModel that Python loads and TensorFlow Serving does not (keras-team/keras issue 19274).
    Optional inputs get their neutral value through `SignatureDef.defaults`, which the archive
    cannot write.

    Args:
        result: A fitted model.
        directory: Where to write; an existing SavedModel there is overwritten.
    """
    recommender = Recommender(result)
    archive = keras.export.ExportArchive()
    archive.track(recommender)
    # `serving_default` comes first: the archive makes its first endpoint the default one.
    signatures = dict(
        sorted(
            recommender.input_signatures().items(), key=lambda item: item[0] != "serving_default"
        )
    )
    for name, inputs in signatures.items():
        method = getattr(recommender, name)
        # TensorFlow takes specifications by position, these are by name.
        specs = [inputs[argument] for argument in inspect.signature(method).parameters]
        function = tf.function(method, input_signature=specs, autograph=False)
        archive.add_endpoint(name, function, input_signature=specs)
    archive.write_out(directory, verbose=False)
    write_defaults(directory, recommender.neutral_inputs())


def write_defaults(directory: str, defaults: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Adds default values of inputs to the signatures of a SavedModel.

    Args:
        directory: The SavedModel.
        defaults: Eager tensors by signature and input.

    Raises:
        ValueError: A signature or an input is not in the SavedModel.
    """
    path = os.path.join(directory, "saved_model.pb")
    with open(path, "rb") as file:
        saved_model = saved_model_pb2.SavedModel.FromString(file.read())
    signature_defs = saved_model.meta_graphs[0].signature_def
    for signature, values in defaults.items():
        if signature not in signature_defs:
            raise ValueError(
                f"The SavedModel has no signature {signature!r}. It has: {sorted(signature_defs)}"
            )
        for name, value in values.items():
            if name not in signature_defs[signature].inputs:
                raise ValueError(
                    f"The signature {signature!r} has no input {name!r}. "
                    f"It has: {sorted(signature_defs[signature].inputs)}"
                )
            signature_defs[signature].defaults[name].CopyFrom(tf.make_tensor_proto(value.numpy()))
    temporary = f"{path}.tmp"
    with open(temporary, "wb") as file:
        file.write(saved_model.SerializeToString())
    os.replace(temporary, path)
