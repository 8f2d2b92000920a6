"""compare_signatures names every kind of difference; conversion reads any SignatureDef."""

import dataclasses

import pytest

from serving import protos
from serving.contract import (
    CONTRACT,
    SignatureSpec,
    TensorSpec,
    compare_signatures,
    spec_from_signature_def,
)


def _change(signature="recommend", part="inputs", name="k", **changes):
    """Returns the contract with one tensor changed, or left out where `changes` is empty."""
    tensors = dict(getattr(CONTRACT[signature], part))
    if changes:
        tensors[name] = dataclasses.replace(tensors.get(name, TensorSpec("string", ())), **changes)
    else:
        del tensors[name]
    return {**CONTRACT, signature: dataclasses.replace(CONTRACT[signature], **{part: tensors})}


def test_contract_honours_itself():
    assert compare_signatures(CONTRACT) == []


def test_names_that_clients_depend_on():
    assert set(CONTRACT) == {
        "recommend", "explain", "profile", "similar_items", "score",
        "serving_default", "evaluate", "evaluate_slices",
    }  # fmt: skip
    required = {
        name: [key for key, spec in signature.inputs.items() if not spec.optional]
        for name, signature in CONTRACT.items()
    }
    assert required["recommend"] == ["user_id"]
    assert required["explain"] == ["user_id", "item_id"]
    assert required["similar_items"] == ["item_id"]
    assert required["score"] == ["user_id", "item_ids"]


@pytest.mark.parametrize(
    ("actual", "words"),
    [
        ({k: v for k, v in CONTRACT.items() if k != "score"}, ["'score' is missing"]),
        (_change(name="user_id"), ["input 'user_id' is missing"]),
        (_change(dtype="int64"), ["'k'", "int64", "expected int32"]),
        (_change(shape=("d0",)), ["'k'", "rank 1", "expected 0"]),
        (_change(name="user_id", shape=(1,)), ["'user_id'", "fixed batch size 1"]),
        (_change(optional=False), ["'k'", "defaults has no value"]),
        (_change(name="extra", dtype="int32"), ["'extra'", "no default"]),
        (_change(part="outputs", name="scores"), ["output 'scores' is missing"]),
        (_change(part="outputs", name="scores", dtype="string"), ["'scores'", "float32"]),
    ],
)
def test_each_difference_is_named_once(actual, words):
    differences = compare_signatures(actual)
    assert len(differences) == 1
    for word in words:
        assert word in differences[0]


def test_what_is_allowed():
    assert compare_signatures(_change(optional=False), require_defaults=False) == []
    assert compare_signatures(_change(part="outputs", name="scores", shape=None)) == []
    assert compare_signatures(_change(part="outputs", name="more", dtype="string")) == []
    assert compare_signatures(_change(name="extra", dtype="int32", optional=True)) == []


def test_slices_may_have_any_strings():
    good = SignatureSpec(
        CONTRACT["evaluate_slices"].inputs, {"genre": TensorSpec("string", ("B",))}
    )
    assert compare_signatures({**CONTRACT, "evaluate_slices": good}) == []
    bad = dataclasses.replace(good, outputs={"year": TensorSpec("int64", ("B",))})
    assert "'year'" in compare_signatures({**CONTRACT, "evaluate_slices": bad})[0]


def test_default_signature_has_one_row_an_example():
    # tfx_bsl's RunInference refuses an output whose first dimension is not the batch.
    outputs = CONTRACT["serving_default"].outputs
    assert all(spec.shape[0] == "B" for spec in outputs.values())


def test_conversion_of_a_signature_def():
    message = protos.SignatureDef()
    message.inputs["k"].dtype = 3
    message.defaults["k"].int_val.append(10)
    rows = message.inputs["history_ids"]
    rows.dtype = 7
    rows.tensor_shape.dim.add(size=-1)
    rows.tensor_shape.dim.add(size=4)
    message.outputs["odd"].dtype = 14
    message.outputs["odd"].tensor_shape.unknown_rank = True
    assert spec_from_signature_def(message) == SignatureSpec(
        inputs={
            "k": TensorSpec("int32", (), optional=True),
            "history_ids": TensorSpec("string", ("d0", 4)),
        },
        outputs={"odd": TensorSpec("DataType(14)", None)},
    )
