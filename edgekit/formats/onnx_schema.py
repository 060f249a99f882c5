"""The numbers of ONNX's ``onnx.proto``: fields and types. They stand nowhere else.

A class holds the fields of the message of its name that edgekit reads or writes, by the schema's names.
"""

from __future__ import annotations


class ModelProto:
    IR_VERSION, GRAPH, OPSET_IMPORT, METADATA_PROPS = 1, 7, 8, 14


class OperatorSetIdProto:
    DOMAIN, VERSION = 1, 2


class StringStringEntryProto:
    KEY, VALUE = 1, 2


class GraphProto:
    NODE, INITIALIZER, INPUT, OUTPUT, VALUE_INFO = 1, 5, 11, 12, 13


class NodeProto:
    INPUT, OUTPUT, NAME, OP_TYPE, ATTRIBUTE, DOMAIN = 1, 2, 3, 4, 5, 7


class AttributeProto:
    # The last four are i, s, t and g in the schema.
    NAME, INT, TEXT, TENSOR, GRAPH = 1, 3, 4, 5, 6


class TensorProto:
    DIMS, DATA_TYPE, FLOAT_DATA, INT32_DATA, NAME, RAW_DATA, EXTERNAL_DATA = 1, 2, 4, 5, 8, 9, 13


class ValueInfoProto:
    NAME, TYPE = 1, 2


class TypeProto:
    TENSOR_TYPE = 1

    class Tensor:
        ELEM_TYPE, SHAPE = 1, 2


class TensorShapeProto:
    DIM = 1

    class Dimension:
        DIM_VALUE = 1


# TensorProto.DataType, by code, as edgekit calls them.
TYPES = (
    "?",
    "float32",
    "uint8",
    "int8",
    "uint16",
    "int16",
    "int32",
    "int64",
    "string",
    "bool",
    "float16",
    "float64",
    "uint32",
    "uint64",
    "complex64",
    "complex128",
    "bfloat16",
    "float8e4m3fn",
    "float8e4m3fnuz",
    "float8e5m2",
    "float8e5m2fnuz",
    "uint4",
    "int4",
)


def type_name(code: int) -> str:
    """A tensor's type; ``"type 99"`` for one of a newer schema."""
    return TYPES[code] if 0 <= code < len(TYPES) else f"type {code}"


def short_names(full: list[str]) -> list[str]:
    """`full` without TensorFlow's ``:0`` at the end, unless it is what tells tensors apart."""
    short = [name.split(":")[0] for name in full]
    return short if len(set(short)) == len(short) else full
