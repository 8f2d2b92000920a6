"""A SavedModel as tensorflow-hub loads it: contents in, one vector each out."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfx_pipeline.encoders import preprocessing as preprocessings
from tfx_pipeline.encoders.errors import EncoderError
from tfx_pipeline.encoders.handles import Resolved

_DEFAULT_SIZE = (224, 224)
_DEFAULT_OUTPUT = "default"
_MESSAGE_LETTERS = 300


class Module:
    """A loaded module and what it says about its input.

    Args:
        resolved: Where it is.

    Raises:
        EncoderError: If it cannot be loaded.
    """

    def __init__(self, resolved: Resolved):
        import tensorflow_hub as hub

        self.handle = resolved.handle
        try:
            self._module = hub.load(str(resolved.folder))
        except Exception as error:  # A damaged SavedModel can fail in any way.
            raise EncoderError(
                f"The encoder cannot be loaded: {_word(error)}. Received: {resolved.handle!r} in "
                f"{resolved.folder}. Save it again with `tf.saved_model.save`."
            ) from error
        self._call = self._module if callable(self._module) else self._find_signature()

    def __call__(self, inputs: Any) -> np.ndarray:
        """Call the module; returns what its output `default`, or its only one, is."""
        outputs = self._call(inputs)
        if isinstance(outputs, dict):
            name = _DEFAULT_OUTPUT if _DEFAULT_OUTPUT in outputs else next(iter(outputs))
            if len(outputs) > 1 and name != _DEFAULT_OUTPUT:
                raise EncoderError(
                    "A module with several outputs must call one 'default'. Received: "
                    f"{', '.join(sorted(outputs))} from {self.handle!r}."
                )
            outputs = outputs[name]
        return np.asarray(outputs)

    def find_image_size(self) -> tuple[int, int]:
        """Find height and width of the photos that the module takes; 224 x 224 where it is free."""
        for spec in self._list_inputs():
            if spec.shape.rank == 4 and None not in spec.shape[1:3]:
                return spec.shape[1], spec.shape[2]
        return _DEFAULT_SIZE

    def find_vocabulary(self) -> tuple[str, bool] | None:
        """Find the file of the vocabulary and whether it is in lower case; None without one."""
        asset = getattr(self._module, "vocab_file", None)
        if asset is None:
            return None
        lower_case = getattr(self._module, "do_lower_case", None)
        path = asset.asset_path.numpy().decode()
        return path, True if lower_case is None else bool(lower_case.numpy())

    def _find_signature(self) -> Any:
        signature = getattr(self._module, "signatures", {}).get("serving_default")
        if signature is None:
            raise EncoderError(
                "An encoder must be callable or have the signature 'serving_default'. Received: "
                f"{self.handle!r}, which has neither."
            )
        name = next(iter(signature.structured_input_signature[1]), "inputs")
        return lambda inputs: signature(**(inputs if isinstance(inputs, dict) else {name: inputs}))

    def _list_inputs(self) -> list[Any]:
        import tensorflow as tf

        call = self._module.__call__ if callable(self._module) else None
        functions = list(getattr(call, "concrete_functions", ()))
        functions += getattr(self._module, "signatures", {}).values()
        return [
            spec
            for function in functions
            for spec in tf.nest.flatten(function.structured_input_signature)
            if isinstance(spec, tf.TensorSpec)
        ]


class HubEncoder:
    """A module with its preprocessing: prepared contents to vectors.

    Args:
        resolved: Where the module is.
        preprocessing: Name of the preprocessing.

    Attributes:
        preprocessing: What `prepare`s contents.
        dim: Length of the vectors.

    Raises:
        EncoderError: If the module cannot be loaded, does not take this input, or returns
            something else than one vector for each content.

    Example:
        encoder = HubEncoder(resolve_handle("minilm", cache_dir), "wordpiece")
        vectors = encoder.encode([encoder.preprocessing.prepare("a short text")])  # [1, 384]
    """

    def __init__(self, resolved: Resolved, preprocessing: str):
        self._module = Module(resolved)
        self.preprocessing = preprocessings.make_preprocessing(preprocessing, self._module)
        self.dim = self._try(preprocessing)

    def encode(self, prepared: Sequence[Any]) -> np.ndarray:
        """Encode prepared contents.

        Args:
            prepared: What `preprocessing.prepare` returned.

        Returns:
            float32 `[len(prepared), dim]`.
        """
        return self.call(self.preprocessing.collate(prepared))

    def call(self, inputs: Any) -> np.ndarray:
        """Run the bare forward pass.

        Args:
            inputs: What `preprocessing.collate` returned, for a batch.

        Returns:
            float32 `[batch, dim]`.
        """
        return self._module(inputs).astype(np.float32, copy=False)

    def _try(self, name: str) -> int:
        """Encode two samples; returns the length of a vector."""
        try:
            vectors = self.encode([self.preprocessing.sample] * 2)
        except EncoderError:
            raise
        except Exception as error:  # Whatever TensorFlow says about inputs that do not fit.
            raise EncoderError(
                f"The encoder does not take what the preprocessing {name!r} makes: {_word(error)}. "
                f"Received: {self._module.handle!r}. Choose the preprocessing that fits: none for "
                "strings, wordpiece for BERT's inputs, image for photos."
            ) from error
        if vectors.ndim != 2 or vectors.shape[0] != 2 or not vectors.shape[1]:
            raise EncoderError(
                "An encoder must return one vector for each content, [batch, dim]. Received: "
                f"shape {vectors.shape} for a batch of 2 from {self._module.handle!r}."
            )
        return vectors.shape[1]


def compute_encoder_hash(identity: str, preprocessing: str) -> str:
    """Compute what the vectors of an encoder are kept under.

    Args:
        identity: Of the module, as `resolve_handle` returns it.
        preprocessing: Name of the preprocessing.

    Returns:
        32 hexadecimal digits.
    """
    parts = {
        "module": identity,
        "preprocessing": preprocessing,
        "version": preprocessings.VERSION,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def _word(error: Exception) -> str:
    """The first line of an error that says something; TensorFlow's go on for pages."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:_MESSAGE_LETTERS].rstrip(".")
