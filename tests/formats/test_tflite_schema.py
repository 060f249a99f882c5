"""The numbers of TFLite's schema are those of the code that ai-edge-litert generates of it."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest
from support import needs

from edgekit.formats import tflite_schema as ours

schema = needs.package("ai_edge_litert.schema_py_generated")
TABLES = [
    ours.Model,
    ours.OperatorCode,
    ours.SubGraph,
    ours.Tensor,
    ours.QuantizationParameters,
    ours.SparsityParameters,
    ours.DimensionMetadata,
    ours.VariantSubType,
    ours.Operator,
    ours.Buffer,
    ours.Metadata,
    ours.SignatureDef,
    ours.TensorMap,
    ours.ExternalBufferGroup,
    ours.ExternalBuffer,
    ours.Conv2DOptions,
    ours.DepthwiseConv2DOptions,
    ours.FullyConnectedOptions,
    ours.BatchMatMulOptions,
    ours.CallOnceOptions,
]
# Whose vectors must all be known, so that all of them are checked.
UNIONS = [
    ("BuiltinOptions", ours.VECTORS_OF_OPTIONS),
    ("BuiltinOptions2", ours.VECTORS_OF_OPTIONS_2),
    ("QuantizationDetails", ours.VECTORS_OF_DETAILS),
    ("SparseIndexVector", ours.VECTORS_OF_SPARSE_INDICES),
]


def numbers(namespace: Any) -> dict[str, int]:
    return {name: value for name, value in vars(namespace).items() if isinstance(value, int)}


def fields(table: str) -> dict[str, tuple[int, int]]:
    """Of each field, in lower case: its number, and the bytes of an element if it is a vector or text."""
    found = {}
    for name, function in vars(schema).items():
        if match := re.fullmatch(f"{table}Add(\\w+)", name):
            added = re.search(r"Prepend(\w+)Slot\((\d+),", inspect.getsource(function))
            assert added
            kind, number = added.groups()
            start = getattr(schema, f"{table}Start{match[1]}Vector", None)
            width = 1 if kind == "UOffsetTRelative" else 0
            if start is not None:
                vector = re.search(r"StartVector\((\d+),", inspect.getsource(start))
                assert vector
                width = int(vector[1])
            found[match[1].lower()] = int(number), width
    return found


def test_what_the_generated_code_looks_like() -> None:
    assert fields("OperatorCode")["customcode"] == (1, 1)
    assert fields("QuantizationParameters")["zeropoint"] == (3, 8)
    assert fields("Buffer")["offset"] == (1, 0)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
def test_fields(table: type) -> None:
    theirs = fields(table.__name__)
    for name, number in numbers(table).items():
        assert theirs[name.replace("_", "").lower()][0] == number, name


@pytest.mark.parametrize(("table", "shared"), [("DepthwiseConv2D", 3), ("TransposeConv", 4)])
def test_other_convolutions_have_the_same_first_options(table: str, shared: int) -> None:
    theirs = fields(f"{table}Options")
    first = [name for name, number in numbers(ours.Conv2DOptions).items() if number < shared]
    assert len(first) == shared
    for name in first:
        assert theirs[name.replace("_", "").lower()][0] == numbers(ours.Conv2DOptions)[name]


def test_every_field_of_the_root_is_carried_over_when_metadata_are_written() -> None:
    assert len(numbers(ours.Model)) == len(fields("Model"))


@pytest.mark.parametrize(("union", "vectors"), UNIONS, ids=[union for union, _ in UNIONS])
def test_every_vector_in_a_union_is_known(union: str, vectors: dict[int, dict[int, int]]) -> None:
    for name, code in numbers(getattr(schema, union)).items():
        theirs = {number: width for number, width in fields(name).values() if width}
        assert vectors.get(code, {}) == theirs, name


def test_operators() -> None:
    theirs = numbers(schema.BuiltinOperator)
    assert {name: code for code, name in enumerate(ours.OPERATORS)} == theirs
    assert ours.operator_name(len(theirs)) == f"operator {len(theirs)}"
    assert ours.operator_name(-1) == "operator -1"


def test_types() -> None:
    theirs = numbers(schema.TensorType)
    names = {
        name.replace("_", "").lower().removesuffix("fn"): code for name, code in theirs.items()
    }
    assert {name: code for code, name in enumerate(ours.TYPES)} == names
    assert ours.type_name(len(theirs)) == f"type {len(theirs)}"


def test_other_codes() -> None:
    for ours_, theirs in (
        (ours.Padding, schema.Padding),
        (ours.ActivationFunctionType, schema.ActivationFunctionType),
        (ours.QuantizationDetails, schema.QuantizationDetails),
    ):
        known = {name.replace("_", "").lower(): code for name, code in numbers(theirs).items()}
        for name, code in numbers(ours_).items():
            assert known[name.replace("_", "").lower()] == code
