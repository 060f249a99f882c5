"""The numbers of onnx.proto are those of the package onnx."""

from __future__ import annotations

import pytest
from support import needs

from edgekit.formats import onnx_schema as ours

onnx = needs.package("onnx")
MESSAGES = [
    (ours.ModelProto, onnx.ModelProto),
    (ours.OperatorSetIdProto, onnx.OperatorSetIdProto),
    (ours.StringStringEntryProto, onnx.StringStringEntryProto),
    (ours.GraphProto, onnx.GraphProto),
    (ours.NodeProto, onnx.NodeProto),
    (ours.AttributeProto, onnx.AttributeProto),
    (ours.TensorProto, onnx.TensorProto),
    (ours.ValueInfoProto, onnx.ValueInfoProto),
    (ours.TypeProto, onnx.TypeProto),
    (ours.TypeProto.Tensor, onnx.TypeProto.Tensor),
    (ours.TensorShapeProto, onnx.TensorShapeProto),
    (ours.TensorShapeProto.Dimension, onnx.TensorShapeProto.Dimension),
]
ABBREVIATED = {"int": "i", "text": "s", "tensor": "t", "graph": "g"}


@pytest.mark.parametrize(("mine", "theirs"), MESSAGES, ids=lambda message: message.__name__)
def test_fields(mine: type, theirs: type) -> None:
    fields = theirs.DESCRIPTOR.fields_by_name  # type: ignore[attr-defined]
    for name, number in vars(mine).items():
        if isinstance(number, int):
            key = name.lower()
            key = ABBREVIATED.get(key, key) if mine is ours.AttributeProto else key
            assert fields[key].number == number, name


def test_types() -> None:
    spelled = {"undefined": "?", "float": "float32", "double": "float64"}
    known = {code: name.lower() for name, code in onnx.TensorProto.DataType.items()}
    for code, name in enumerate(ours.TYPES):
        assert spelled.get(known[code], known[code]) == name
    assert ours.type_name(99) == "type 99"


@pytest.mark.parametrize(
    ("full", "short"),
    [([], []), (["a:0", "b"], ["a", "b"]), (["a:0", "a:1"], ["a:0", "a:1"])],
)
def test_short_names(full: list[str], short: list[str]) -> None:
    assert ours.short_names(full) == short
