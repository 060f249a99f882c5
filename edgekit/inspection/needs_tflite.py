"""What a .tflite file asks of its interpreter, read with the standard library alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgekit.formats.flatbuffer import Table, follow, number
from edgekit.formats.metadata import TFLITE_IDENTIFIER
from edgekit.formats.tflite import _TYPES, _at, _code, _indices, _scales
from edgekit.inspection.needs import Need, Needs, signature

# Types whose numbers stand for real ones only together with scales.
_QUANTIZED = {"int8", "uint8", "int16", "int4", "int2", "uint4"}
_CONVOLUTIONS, _SAME = ("CONV_2D", "DEPTHWISE_CONV_2D"), 0

# Fields of the tables in schema.fbs, counted from 0.
_MODEL_CODES, _MODEL_SUBGRAPHS, _MODEL_BUFFERS = 1, 2, 4
_CODE_CUSTOM = 1
_GRAPH_TENSORS, _GRAPH_OPERATORS = 0, 3
_OPERATOR_CODE, _OPERATOR_INPUTS, _OPERATOR_OUTPUTS, _OPERATOR_OPTIONS = 0, 1, 2, 4
# Of Conv2DOptions and DepthwiseConv2DOptions alike.
_CONV_PADDING, _CONV_STRIDE_W, _CONV_STRIDE_H = 0, 1, 2
_TENSOR_SHAPE, _TENSOR_TYPE, _TENSOR_BUFFER, _TENSOR_NAME, _TENSOR_QUANTIZATION = range(5)
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
