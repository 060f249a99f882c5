"""Which operators of an .onnx file saturate in onnxruntime's fast kernels on x86 without VNNI.

Those that multiply unsigned activations with int8 weights of which a pair is too large
(`edgekit.formats.onnx_pairs`), or with int8 values that are computed. onnxruntime makes such kernels
of DequantizeLinear, operator, QuantizeLinear as well. Signed times signed bytes do not saturate, nor do
uint8 weights, int8 values on the left of a product, and operators that are left in float.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import ArtifactError
from edgekit.formats.onnx_pairs import CONVOLUTIONS, excess, takes_pairs, to_columns
from edgekit.formats.onnx_schema import (
    TYPES,
    AttributeProto,
    GraphProto,
    ModelProto,
    NodeProto,
    TensorProto,
    TypeProto,
    ValueInfoProto,
)
from edgekit.formats.protobuf import Message

_INT8, _UINT8 = TYPES.index("int8"), TYPES.index("uint8")

# The inputs of an operator that is fused: values and weights.
_FUSED = ("Conv", "Gemm", "MatMul")
# Of integer operators: where the values, their zero point (None: they are uint8) and the weights stand.
_INTEGER: dict[str, tuple[int, int | None, tuple[int, ...]]] = {
    "DynamicQuantizeLSTM": (0, None, (1, 2)),
    "DynamicQuantizeMatMul": (0, None, (1,)),
    "MatMulInteger": (0, 2, (1,)),
    "MatMulIntegerToFloat": (0, 4, (1,)),
    "QAttention": (0, 6, (1,)),
    "QGemm": (0, 2, (3,)),
    "QLinearConv": (0, 2, (3,)),
    "QLinearMatMul": (0, 2, (3,)),
}
# What hands values on without computing, so that onnxruntime sees through it.
_HANDS_ON = frozenset(
    {"Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Identity", "MaxPool", "Slice"}
)
_MOST_DEPTH = 32


@dataclass(frozen=True)
class Saturating:
    """An operator whose sums may saturate.

    Attributes:
        op: its name.
        tensor: its first output.
        cured: whether onnxruntime's exact mode gives the right sums; not where int8 values are computed.
    """

    op: str
    tensor: str
    cured: bool


def saturating(content: bytes) -> tuple[Saturating, ...]:
    """The operators whose sums may saturate, in the file's order, bodies of loops included.

    Weights in other files are not looked at: they count as too large.

    Args:
        content: a ModelProto.

    Raises:
        ArtifactError: `content` is damaged or no ONNX file.
    """
    if not any(op.encode() in content for op in (*_INTEGER, "DequantizeLinear")):
        return ()
    found: list[Saturating] = []
    for graph in Message.whole(content).messages(ModelProto.GRAPH):
        found += _of_graph(graph, None, 0)
    return tuple(found)


def _of_graph(graph: Message, outer: _Scope | None, depth: int) -> Iterator[Saturating]:
    if depth > _MOST_DEPTH:
        raise ArtifactError("graphs lie in graphs too deep to be read. It is hostile.")
    nodes = [_Node.read(message) for message in graph.messages(GraphProto.NODE)]
    scope = _Scope(graph, nodes, outer)
    for node in nodes:
        verdicts = [scope.cured(node, *place) for place in _places(node, scope)]
        known = [verdict for verdict in verdicts if verdict is not None]
        if known:
            yield Saturating(node.op, node.outputs[0] if node.outputs else "", all(known))
        for attribute in node.attributes.values():
            for body in attribute.messages(AttributeProto.GRAPH):
                yield from _of_graph(body, scope, depth + 1)


def _places(node: _Node, scope: _Scope) -> Iterator[tuple[str, bool]]:
    """Names of the weights that an operator multiplies uint8 values with; whether it is to be fused."""
    if node.op in _FUSED:
        if scope.is_dequantised(node.input(0)):
            yield node.input(1), True
    elif node.op in _INTEGER:
        values, zero, weights = _INTEGER[node.op]
        known = (
            None
            if zero is None
            else scope.dtype(node.input(zero)) or scope.dtype(node.input(values))
        )
        if known != _INT8:
            for weight in weights:
                yield node.input(weight), False


@dataclass(frozen=True)
class _Node:
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Message]

    @classmethod
    def read(cls, message: Message) -> _Node:
        attributes = message.messages(NodeProto.ATTRIBUTE)
        return cls(
            message.text(NodeProto.OP_TYPE),
            tuple(message.texts(NodeProto.INPUT)),
            tuple(message.texts(NodeProto.OUTPUT)),
            {attribute.text(AttributeProto.NAME): attribute for attribute in attributes},
        )

    def input(self, i: int) -> str:
        """The name of an input; empty if it is left out."""
        return self.inputs[i] if i < len(self.inputs) else ""

    def number(self, name: str, default: int) -> int:
        found = self.attributes.get(name)
        return default if found is None else found.number(AttributeProto.INT, default)


class _Scope:
    """What the operators of a graph can read, by name."""

    def __init__(self, graph: Message, nodes: list[_Node], outer: _Scope | None) -> None:
        self._constants: dict[str, Message] = dict(outer._constants) if outer else {}
        self._makers: dict[str, _Node] = dict(outer._makers) if outer else {}
        self._inputs: dict[str, Message] = dict(outer._inputs) if outer else {}
        self._inputs.update(
            (value.text(ValueInfoProto.NAME), value) for value in graph.messages(GraphProto.INPUT)
        )
        for tensor in graph.messages(GraphProto.INITIALIZER):
            self._constants[tensor.text(TensorProto.NAME)] = tensor
        for node in nodes:
            self._makers.update((name, node) for name in node.outputs)
            if node.op == "Constant" and node.outputs and "value" in node.attributes:
                for tensor in node.attributes["value"].messages(AttributeProto.TENSOR):
                    self._constants[node.outputs[0]] = tensor

    def cured(self, node: _Node, name: str, fused: bool) -> bool | None:
        """Whether the exact mode cures an operator with these weights; None if nothing saturates."""
        maker = self._source(name)
        if fused:
            if maker is None or maker.op != "DequantizeLinear":
                return None
            moved, name = name not in maker.outputs, maker.input(0)
            # Stacked matrices with several scales have no integer kernel.
            if self._rank(name) > 2 and self._rank(maker.input(1)) and node.op == "MatMul":
                return None
            quantizer = self._source(name)
            if quantizer is not None and quantizer.op == "QuantizeLinear":
                # Of a constant, they are weights; values are made uint8 by onnxruntime.
                known = quantizer.input(0) in self._constants and self.dtype(name) == _INT8
                return True if known else None
            if moved and self.dtype(name) == _INT8 and name in self._constants:
                return True
        if self.dtype(name) != _INT8:
            return None
        if name not in self._constants:
            return False
        return True if _has_excess(node, self._constants[name]) else None

    def _rank(self, name: str) -> int:
        known = self._constants.get(name)
        return 0 if known is None else len(known.numbers(TensorProto.DIMS))

    def is_dequantised(self, name: str) -> bool:
        """Whether a tensor holds values that were integers."""
        maker = self._source(name)
        return maker is not None and maker.op == "DequantizeLinear"

    def dtype(self, name: str) -> int:
        """The type of a tensor, as far as it can be seen that it is one of bytes; 0 if it cannot."""
        if name in self._constants:
            return self._constants[name].number(TensorProto.DATA_TYPE)
        maker = self._source(name)
        if maker is not None and maker.op == "QuantizeLinear":
            return self.dtype(maker.input(2)) if maker.input(2) else _UINT8
        if maker is not None:
            return self.dtype(maker.input(7)) if maker.op.startswith("QLinear") else 0
        for kind in (
            self._inputs[name].messages(ValueInfoProto.TYPE) if name in self._inputs else ()
        ):
            for tensor in kind.messages(TypeProto.TENSOR_TYPE):
                return tensor.number(TypeProto.Tensor.ELEM_TYPE)
        return 0

    def _source(self, name: str) -> _Node | None:
        """What computes a tensor, beyond what only hands it on."""
        seen = set()
        while (maker := self._makers.get(name)) is not None and name not in seen:
            seen.add(name)
            if maker.op not in _HANDS_ON or not maker.inputs:
                return maker
            name = maker.inputs[0]
        return None


def _has_excess(node: _Node, tensor: Message) -> bool:
    """Whether a pair of an operator's weights is too large; true where they cannot be read."""
    weights = _values(tensor)
    groups = node.number("group", 1)
    if weights is None or weights.ndim < 2:
        return weights is None or bool(excess(weights.reshape(1, -1, 1)).any())
    if not takes_pairs(node.op, weights.shape, groups):
        return False
    convolution = node.op in CONVOLUTIONS
    if convolution and (groups < 1 or len(weights) % groups):
        return True
    transposed = weights.ndim == 2 and bool(node.number("transB", 0))
    return bool(excess(to_columns(node.op, weights, groups, transposed)).any())


def _values(tensor: Message) -> NDArray[np.int8] | None:
    """The values of an int8 tensor; None where they are in another file, or not as many as it says."""
    raw = tensor.blocks(TensorProto.RAW_DATA)
    if raw:
        found = np.frombuffer(raw[-1], np.int8)
    else:
        numbers = np.array(tensor.numbers(TensorProto.INT32_DATA), np.uint64)
        found = numbers.astype(np.uint8).view(np.int8)
    shape = [int(n) for n in tensor.numbers(TensorProto.DIMS)]
    if any(n >> 31 for n in shape) or int(np.prod(shape, dtype=object)) != found.size:
        return None
    return found.reshape(shape)
