"""What a .tflite file asks of its interpreter, read with the standard library alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from edgekit.convert.needs import Need, Needs, signature
from edgekit.errors import ArtifactError
from edgekit.flatbuffer import Table, follow, number
from edgekit.metadata import TFLITE_IDENTIFIER

T = TypeVar("T")

# TensorType in schema.fbs, in its order.
_TYPES = [
    "float32",
    "float16",
    "int32",
    "uint8",
    "int64",
    "string",
    "bool",
    "int16",
    "complex64",
    "int8",
    "float64",
    "complex128",
    "uint64",
    "resource",
    "variant",
    "uint32",
    "uint16",
    "int4",
    "bfloat16",
    "int2",
    "uint4",
    "float8e4m3",
    "float8e5m2",
]
# Types whose numbers stand for real ones only together with scales.
_QUANTIZED = {"int8", "uint8", "int16", "int4", "int2", "uint4"}
# Codes in schema.fbs: BuiltinOperator.CUSTOM, QuantizationDetails.BlockwiseQuantization.
_CUSTOM, _BLOCKWISE = 32, 2
_CONVOLUTIONS, _SAME = ("CONV_2D", "DEPTHWISE_CONV_2D"), 0

# Fields of the tables in schema.fbs, counted from 0.
_MODEL_CODES, _MODEL_SUBGRAPHS, _MODEL_BUFFERS = 1, 2, 4
_CODE_OLD, _CODE_CUSTOM, _CODE_VERSION, _CODE_BUILTIN = 0, 1, 2, 3
_GRAPH_TENSORS, _GRAPH_OPERATORS = 0, 3
_OPERATOR_CODE, _OPERATOR_INPUTS, _OPERATOR_OUTPUTS, _OPERATOR_OPTIONS = 0, 1, 2, 4
# Of Conv2DOptions and DepthwiseConv2DOptions alike.
_CONV_PADDING, _CONV_STRIDE_W, _CONV_STRIDE_H = 0, 1, 2
_TENSOR_SHAPE, _TENSOR_TYPE, _TENSOR_BUFFER, _TENSOR_NAME, _TENSOR_QUANTIZATION = range(5)
_QUANTIZATION_SCALE, _QUANTIZATION_KIND = 2, 4
_BUFFER_DATA, _BUFFER_OFFSET = 0, 1


def tflite_needs(content: bytes, builtins: Sequence[str]) -> Needs:
    """Read what a file asks.

    Args:
        content: the whole file.
        builtins: names of TFLite's built-in operators, by code.

    Raises:
        ArtifactError: the file is damaged or of another kind.
    """
    return Needs(tuple(_operators(content, builtins)))


def custom_codes(content: bytes) -> list[str]:
    """The names of operators in a file that are not TFLite's own.

    Raises:
        ArtifactError: the file is damaged or of another kind.
    """
    codes = Table.root(content, TFLITE_IDENTIFIER).tables(_MODEL_CODES)
    return [text for c in codes if (text := c.content(_CODE_CUSTOM).decode("utf-8", "replace"))]


def _operators(content: bytes, builtins: Sequence[str]) -> Iterator[Need]:
    model = Table.root(content, TFLITE_IDENTIFIER)
    codes = [_code(code, builtins) for code in model.tables(_MODEL_CODES)]
    buffers = model.tables(_MODEL_BUFFERS)
    filled = [
        b.vector(_BUFFER_DATA, 1)[1] > 0 or b.number(_BUFFER_OFFSET, "Q") > 1 for b in buffers
    ]
    for graph in model.tables(_MODEL_SUBGRAPHS):
        tensors = graph.tables(_GRAPH_TENSORS)
        types = [_type(tensor, filled) for tensor in tensors]
        ranks = [tensor.vector(_TENSOR_SHAPE, 4)[1] for tensor in tensors]
        for operator in graph.tables(_GRAPH_OPERATORS):
            op, version = _at(codes, operator.number(_OPERATOR_CODE, "I"), "operator code")
            inputs = _indices(operator, _OPERATOR_INPUTS, len(tensors))
            outputs = _indices(operator, _OPERATOR_OUTPUTS, len(tensors))
            first = tensors[outputs[0]].content(_TENSOR_NAME) if outputs else b""
            yield Need(
                op,
                signature(
                    op,
                    ["none" if i < 0 else types[i] for i in inputs],
                    [types[i] for i in outputs],
                )
                + _strides(op, operator, tensors, inputs),
                version,
                max((ranks[i] for i in [*inputs, *outputs] if i >= 0), default=0),
                first.decode("utf-8", "replace"),
            )


def _code(code: Table, builtins: Sequence[str]) -> tuple[str, int]:
    builtin = max(code.number(_CODE_OLD, "b"), code.number(_CODE_BUILTIN, "i"))
    version = code.number(_CODE_VERSION, "i", 1)
    if builtin == _CUSTOM:
        return code.content(_CODE_CUSTOM).decode("utf-8", "replace"), version
    # A newer schema's operator has no name here, and no interpreter that is known to run it.
    return (builtins[builtin] if builtin < len(builtins) else f"operator {builtin}"), version


def _type(tensor: Table, filled: Sequence[bool]) -> str:
    kind = tensor.number(_TENSOR_TYPE, "b")
    name = _TYPES[kind] if 0 <= kind < len(_TYPES) else f"type {kind}"
    if name in _QUANTIZED:
        at = tensor.find(_TENSOR_QUANTIZATION)
        if at is not None:
            name += _scales(Table(tensor.data, follow(tensor.data, at)))
    const = _at(filled, tensor.number(_TENSOR_BUFFER, "I"), "buffer")
    return f"const {name}" if const else name


def _strides(op: str, operator: Table, tensors: Sequence[Table], inputs: Sequence[int]) -> str:
    """Says of a convolution that it steps over values that its kernel never sees, and pads besides.

    XNNPACK padded such by negative amounts until ai-edge-litert 2.2, and gave other answers.
    """
    at = operator.find(_OPERATOR_OPTIONS)
    if op not in _CONVOLUTIONS or at is None or len(inputs) < 2:
        return ""
    options = Table(operator.data, follow(operator.data, at))
    strides = [options.number(field, "i") for field in (_CONV_STRIDE_H, _CONV_STRIDE_W)]
    start, count = tensors[inputs[1]].vector(_TENSOR_SHAPE, 4)
    # Both kinds of kernels have height and width in the middle.
    kernel = [number(operator.data, start + 4 * i, "i") for i in (1, 2)] if count == 4 else [1, 1]
    skips = any(1 < size < stride for size, stride in zip(kernel, strides, strict=True))
    same = options.number(_CONV_PADDING, "b") == _SAME
    return ", strides beyond the kernel" if skips and same else ""


def _scales(quantization: Table) -> str:
    if quantization.number(_QUANTIZATION_KIND, "B") == _BLOCKWISE:
        return "/block"
    start, count = quantization.vector(_QUANTIZATION_SCALE, 4)
    if count < 2:
        return "/tensor" if count else ""
    scales = bytes(quantization.data[start : start + 4 * count])
    # tflite-runtime takes equal scales for one, and gives other answers.
    return "/equal channels" if scales == scales[:4] * count else "/channel"


def _indices(table: Table, field: int, count: int) -> list[int]:
    start, length = table.vector(field, 4)
    indices = [number(table.data, start + 4 * i, "i") for i in range(length)]
    if any(not -1 <= i < count for i in indices):
        raise ArtifactError(f"an operator names a tensor beyond {count}. The file is damaged.")
    return indices


def _at(items: Sequence[T], index: int, what: str) -> T:
    if index >= len(items):
        raise ArtifactError(f"names {what} {index} of {len(items)}. The file is damaged.")
    return items[index]
