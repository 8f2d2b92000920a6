"""One loaded version of a model, run the way the C++ server runs it."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from serving.errors import ServingError
from serving.messages import clean_op_message

DEFAULT_SIGNATURE = "serving_default"


class Servable:
    """A SavedModel in a V1 session of its own.

    The V1 loader and a session see what TensorFlow Serving sees: the graph and the checkpoint.
    `tf.saved_model.load` rebuilds Python objects instead, and so serves models that the C++ server
    cannot (a Keras 3 model saved by tf.saved_model.save loads there and fails here, as it should).

    Args:
        version: number of the version.
        path: folder of the SavedModel.
        tags: tags of the meta graph.
        session_config: a ConfigProto, None for TensorFlow's default.

    Raises:
        ServingError: the folder holds no SavedModel that can be loaded.
    """

    def __init__(
        self,
        version: int,
        path: Path,
        tags: Sequence[str] = ("serve",),
        session_config: Any = None,
    ):
        import tensorflow as tf

        self.version = version
        self._tf = tf
        self._graph = tf.Graph()
        self._session = tf.compat.v1.Session(graph=self._graph, config=session_config)
        self._callables: dict[tuple[str, tuple[str, ...]], Any] = {}
        self._lock = threading.Lock()
        try:
            with self._graph.as_default():
                meta_graph = tf.compat.v1.saved_model.loader.load(
                    self._session, list(tags), str(path)
                )
            self.signatures: Mapping[str, Any] = dict(meta_graph.signature_def)
            self._defaults = {
                name: {key: tf.make_ndarray(value) for key, value in signature.defaults.items()}
                for name, signature in self.signatures.items()
            }
        except Exception as error:
            # Whatever a damaged export makes the loader raise, the version must be refused and
            # the server must go on with the one it has.
            self._session.close()
            raise _load_error(error, path) from error

    def close(self) -> None:
        """Frees the session; no request may be running."""
        self._session.close()
        self._callables.clear()

    def predict(
        self,
        signature_name: str,
        inputs: Mapping[str, Any],
        output_filter: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Runs a signature.

        Args:
            signature_name: its name; empty for `serving_default`.
            inputs: numpy arrays by input name; those with a default may be missing.
            output_filter: outputs to return; empty for all.

        Returns:
            Numpy arrays by output name.

        Raises:
            ServingError: with the code that TensorFlow Serving gives in the same case.
        """
        name = signature_name or DEFAULT_SIGNATURE
        if name not in self.signatures:
            raise ServingError("FAILED_PRECONDITION", f'Serving signature key "{name}" not found.')
        signature = self.signatures[name]
        feeds = self._make_feeds(name, signature, inputs)
        outputs = _select_outputs(signature, output_filter)
        run = self._get_callable(name, signature, outputs)
        try:
            values = run(*feeds)
        except self._tf.errors.OpError as error:
            raise ServingError(_code_name(error), clean_op_message(error.message)) from error
        return dict(zip(outputs, values, strict=True))

    def _make_feeds(self, name: str, signature: Any, inputs: Mapping[str, Any]) -> list[Any]:
        """Returns one array an input, in the order of the signature's names."""
        defaults = self._defaults[name]
        expected = sorted(signature.inputs)
        unknown = sorted(set(inputs) - set(expected))
        missing = [key for key in expected if key not in inputs and key not in defaults]
        if unknown or missing:
            raise ServingError(
                "INVALID_ARGUMENT",
                f'inputs do not match signature "{name}". Sent extra: {{{",".join(unknown)}}}. '
                f"Missing but required: {{{','.join(missing)}}}. "
                f"Signature inputs: {{{','.join(expected)}}}.",
            )
        for key, array in inputs.items():
            self._validate_input(name, key, array, signature.inputs[key])
        return [inputs[key] if key in inputs else defaults[key] for key in expected]

    def _validate_input(self, name: str, key: str, array: Any, info: Any) -> None:
        tf = self._tf
        wanted = tf.as_dtype(info.dtype)
        actual = tf.as_dtype(array.dtype)
        where = f'Signature "{name}" expects input "{key}" to be'
        if actual != wanted:
            raise ServingError(
                "INVALID_ARGUMENT", f"{where} {wanted.name} but {actual.name} is provided"
            )
        shape = tf.TensorShape(info.tensor_shape)
        if not shape.is_compatible_with(array.shape):
            raise ServingError(
                "INVALID_ARGUMENT",
                f"{where} of shape {shape} but shape {tuple(array.shape)} is provided",
            )

    def _get_callable(self, name: str, signature: Any, outputs: tuple[str, ...]) -> Any:
        # make_callable resolves names once; session.run would do it for every request.
        key = (name, outputs)
        with self._lock:
            if key not in self._callables:
                feeds = [signature.inputs[alias].name for alias in sorted(signature.inputs)]
                fetches = [signature.outputs[alias].name for alias in outputs]
                self._callables[key] = self._session.make_callable(fetches, feeds)
            return self._callables[key]


def _select_outputs(signature: Any, output_filter: Sequence[str]) -> tuple[str, ...]:
    known = sorted(signature.outputs)
    for alias in output_filter:
        if alias not in known:
            raise ServingError(
                "INVALID_ARGUMENT",
                f"output tensor alias not found in signature: {alias} "
                f"Outputs expected to be in the set {{{','.join(known)}}}.",
            )
    if len(set(output_filter)) != len(output_filter):
        raise ServingError("INVALID_ARGUMENT", f"duplicate output tensor alias in {output_filter}")
    return tuple(output_filter) or tuple(known)


def _code_name(error: Any) -> str:
    """Returns the gRPC name of an OpError's code; the numbers are the same."""
    import grpc

    return next(
        (code.name for code in grpc.StatusCode if code.value[0] == error.error_code), "INTERNAL"
    )


def _load_error(error: Exception, path: Path) -> ServingError:
    if hasattr(error, "error_code"):
        return ServingError(
            _code_name(error), clean_op_message(str(getattr(error, "message", error)))
        )
    if isinstance(error, OSError) and not (path / "saved_model.pb").exists():
        return ServingError("NOT_FOUND", f"Could not find saved_model.pb in {path}")
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return ServingError("INTERNAL", f"{path} cannot be loaded: {lines[0]}")
