"""The serving contract: which signatures the SavedModel has, as plain data.

Clients, dashboards and tests depend on the names below, so a change here is a change of the
product's interface. The servability gate compares a SavedModel with `CONTRACT` before it may be
pushed; the client builds its requests from the same table.

Dimension names: B requests in the call, K chunks (contributions), A attributes, M modalities, k
the length of the list, H history, E exclusions (inputs) or evidence (outputs), T targets,
F filters, C candidates, V values of all attributes together. A dimension's name says what must
agree; its size is never fixed here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

# Names of numpy for the members of tensorflow.DataType that a signature may use.
DTYPE_NAMES = {
    1: "float32",
    2: "float64",
    3: "int32",
    7: "string",
    9: "int64",
    10: "bool",
}


@dataclasses.dataclass(frozen=True)
class TensorSpec:
    """One input or output of a signature.

    Attributes:
        dtype: numpy's name of the type, or `string`.
        shape: one entry a dimension: a name where the size is free, an int where it is fixed.
            None when the rank is unknown.
        optional: whether a request may leave the input out, because SignatureDef.defaults holds
            its neutral value.
    """

    dtype: str
    shape: tuple[str | int, ...] | None
    optional: bool = False


@dataclasses.dataclass(frozen=True)
class SignatureSpec:
    """The inputs and outputs of one signature, by name.

    Attributes:
        inputs: specification of each input.
        outputs: specification of each output.
        free_outputs: the signature may have any outputs of string type beside (or instead of)
            those listed.
    """

    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]
    free_outputs: bool = False


def _spec(dtype: str, *shape: str | int) -> TensorSpec:
    return TensorSpec(dtype, shape)


def _optional(dtype: str, *shape: str | int) -> TensorSpec:
    return TensorSpec(dtype, shape, optional=True)


# The same in `recommend` and `explain`, so that what explains a list is asked like the list.
_STEERING = {
    "attribute_weights": _optional("float32", "B", "K"),
    "attribute_targets": _optional("string", "B", "T"),
    "target_strength": _optional("float32", "B"),
    "hold_weights": _optional("float32", "B", "K"),
}

_RECOMMEND_OUTPUTS = {
    "item_ids": _spec("string", "B", "k"),
    "scores": _spec("float32", "B", "k"),
    "contributions": _spec("float32", "B", "k", "K"),
    "average_contributions": _spec("float32", "B", "K"),
    "contribution_names": _spec("string", "K"),
    "attribute_values": _spec("string", "B", "k", "A"),
    "source": _spec("string", "B"),
}

CONTRACT: Mapping[str, SignatureSpec] = {
    "recommend": SignatureSpec(
        inputs={
            "user_id": _spec("string", "B"),
            "k": _optional("int32"),
            "history_ids": _optional("string", "B", "H"),
            "exclude_ids": _optional("string", "B", "E"),
            "exclude_seen": _optional("bool"),
            "attribute_filters": _optional("string", "B", "F"),
            **_STEERING,
        },
        outputs=_RECOMMEND_OUTPUTS,
    ),
    "explain": SignatureSpec(
        inputs={
            "user_id": _spec("string", "B"),
            "history_ids": _optional("string", "B", "H"),
            "item_id": _spec("string", "B"),
            **_STEERING,
        },
        outputs={
            "score": _spec("float32", "B"),
            "contributions": _spec("float32", "B", "K"),
            "average_contributions": _spec("float32", "B", "K"),
            "target_contributions": _spec("float32", "B", "K"),
            "modality_weights": _spec("float32", "B", "K", "M"),
            "contribution_names": _spec("string", "K"),
            "modality_names": _spec("string", "M"),
            "evidence_ids": _spec("string", "B", "E"),
            "evidence_contributions": _spec("float32", "B", "E", "K"),
            "attribute_values": _spec("string", "B", "A"),
            "typical_values": _spec("string", "B", "A"),
            "history_shares": _spec("float32", "B", "A"),
            "catalogue_shares": _spec("float32", "B", "A"),
        },
    ),
    "profile": SignatureSpec(
        inputs={"user_id": _spec("string", "B"), "history_ids": _optional("string", "B", "H")},
        outputs={
            "source": _spec("string", "B"),
            "importance": _spec("float32", "B", "K"),
            "population_importance": _spec("float32", "K"),
            "contribution_names": _spec("string", "K"),
            "value_names": _spec("string", "V"),
            "value_affinities": _spec("float32", "B", "V"),
            "value_expected_shares": _spec("float32", "B", "V"),
            "population_expected_shares": _spec("float32", "V"),
            "value_history_shares": _spec("float32", "B", "V"),
            "value_catalogue_shares": _spec("float32", "V"),
            "hold_weights": _spec("float32", "A", "K"),
        },
    ),
    "similar_items": SignatureSpec(
        inputs={
            "item_id": _spec("string", "B"),
            "k": _optional("int32"),
            "attribute_weights": _optional("float32", "B", "K"),
        },
        outputs={
            "item_ids": _spec("string", "B", "k"),
            "scores": _spec("float32", "B", "k"),
            "contributions": _spec("float32", "B", "k", "K"),
        },
    ),
    "score": SignatureSpec(
        inputs={"user_id": _spec("string", "B"), "item_ids": _spec("string", "B", "C")},
        outputs={"scores": _spec("float32", "B", "C")},
    ),
    "serving_default": SignatureSpec(
        inputs={"examples": _spec("string", "B")},
        # One row of names an example, because TFX's RunInference (and REST in row form) cut every
        # output into rows and refuse one whose first dimension is not the batch.
        outputs={**_RECOMMEND_OUTPUTS, "contribution_names": _spec("string", "B", "K")},
    ),
    "evaluate": SignatureSpec(
        inputs={"examples": _spec("string", "B")},
        # `rank` is the 1-based rank of the row's item, so 0 never occurs.
        outputs={"rank": _spec("int64", "B"), "relevant_count": _spec("int64", "B")},
    ),
    "evaluate_slices": SignatureSpec(
        inputs={"examples": _spec("string", "B")}, outputs={}, free_outputs=True
    ),
}


def spec_from_signature_def(signature_def: Any) -> SignatureSpec:
    """Converts a SignatureDef message to a `SignatureSpec`.

    Works on TensorFlow's message and on this project's own (`serving.protos`), because it reads
    fields by name only. Sizes that are unknown become names: `d0`, `d1` and so on.

    Args:
        signature_def: a tensorflow.SignatureDef.

    Returns:
        The signature's inputs (optional where `defaults` has a value) and outputs.
    """
    defaults = getattr(signature_def, "defaults", {})
    inputs = {
        name: dataclasses.replace(_spec_from_tensor_info(info), optional=name in defaults)
        for name, info in signature_def.inputs.items()
    }
    outputs = {name: _spec_from_tensor_info(info) for name, info in signature_def.outputs.items()}
    return SignatureSpec(inputs, outputs)


def _spec_from_tensor_info(info: Any) -> TensorSpec:
    dtype = DTYPE_NAMES.get(info.dtype, f"DataType({info.dtype})")
    if info.tensor_shape.unknown_rank:
        return TensorSpec(dtype, None)
    sizes = [dim.size for dim in info.tensor_shape.dim]
    return TensorSpec(
        dtype, tuple(size if size >= 0 else f"d{axis}" for axis, size in enumerate(sizes))
    )


def compare_signatures(
    actual: Mapping[str, SignatureSpec],
    expected: Mapping[str, SignatureSpec] = CONTRACT,
    require_defaults: bool = True,
) -> list[str]:
    """Lists how a model's signatures differ from the contract.

    Signatures and outputs that the contract does not name are allowed. An input it does not name
    is a difference unless it has a default: no client would send it.

    Args:
        actual: the model's signatures, for example from `spec_from_signature_def`.
        expected: what they are compared with.
        require_defaults: whether an input that the contract calls optional must have a default.

    Returns:
        One readable line a difference, empty if the model honours the contract.

    Example:
        >>> compare_signatures({}, {"score": CONTRACT["score"]})
        ["signature 'score' is missing"]
    """
    differences = []
    for name, wanted in expected.items():
        if name not in actual:
            differences.append(f"signature {name!r} is missing")
            continue
        differences += _compare_inputs(name, actual[name].inputs, wanted.inputs, require_defaults)
        differences += _compare_outputs(name, actual[name].outputs, wanted)
    return differences


def _compare_inputs(
    signature: str,
    actual: Mapping[str, TensorSpec],
    wanted: Mapping[str, TensorSpec],
    require_defaults: bool,
) -> list[str]:
    differences = []
    for name, spec in wanted.items():
        where = f"signature {signature!r}: input {name!r}"
        if name not in actual:
            differences.append(f"{where} is missing")
            continue
        differences += _compare_tensor(where, actual[name], spec)
        if require_defaults and spec.optional and not actual[name].optional:
            differences.append(f"{where} is optional but SignatureDef.defaults has no value for it")
    for name in _extra_required(actual, wanted):
        differences.append(
            f"signature {signature!r}: input {name!r} is not in the contract and has no default"
        )
    return differences


def _extra_required(
    actual: Mapping[str, TensorSpec], wanted: Mapping[str, TensorSpec]
) -> Iterable[str]:
    return sorted(name for name, spec in actual.items() if name not in wanted and not spec.optional)


def _compare_outputs(
    signature: str, actual: Mapping[str, TensorSpec], wanted: SignatureSpec
) -> list[str]:
    differences = []
    for name, spec in wanted.outputs.items():
        where = f"signature {signature!r}: output {name!r}"
        if name in actual:
            differences += _compare_tensor(where, actual[name], spec)
        else:
            differences.append(f"{where} is missing")
    if wanted.free_outputs:
        differences += [
            f"signature {signature!r}: output {name!r} has dtype {spec.dtype}, expected string"
            for name, spec in sorted(actual.items())
            if name not in wanted.outputs and spec.dtype != "string"
        ]
    return differences


def _compare_tensor(where: str, actual: TensorSpec, wanted: TensorSpec) -> list[str]:
    differences = []
    if actual.dtype != wanted.dtype:
        differences.append(f"{where} has dtype {actual.dtype}, expected {wanted.dtype}")
    # A graph may lose an output's rank (string ops do); only a rank that contradicts is wrong.
    if actual.shape is None or wanted.shape is None:
        return differences
    if len(actual.shape) != len(wanted.shape):
        differences.append(
            f"{where} has rank {len(actual.shape)}, expected {len(wanted.shape)}"
            f" [{', '.join(map(str, wanted.shape))}]"
        )
        return differences
    if wanted.shape and wanted.shape[0] == "B" and isinstance(actual.shape[0], int):
        differences.append(f"{where} has a fixed batch size {actual.shape[0]}, expected any")
    return differences
