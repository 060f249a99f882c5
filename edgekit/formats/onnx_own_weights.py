"""Give each operator of an .onnx file an int8 weight and a zero point of its own, in the bytes.

onnxruntime's exact mode on x86 (``session.x64quantprecision``) makes uint8 weights of int8 ones,
operator by operator. It refuses a file in which two operators share a weight or a zero point. It
skips constants of an outer graph and those among the inputs. Where a zero point is left out, it
makes one of the wrong shape, and 1.18 ends the process. None of that happens with what
`own_weights` gives, which computes the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from math import prod

from edgekit.errors import ArtifactError
from edgekit.formats.onnx_schema import (
    TYPES,
    AttributeProto,
    GraphProto,
    ModelProto,
    NodeProto,
    TensorProto,
    ValueInfoProto,
)
from edgekit.formats.protobuf import Message, delimited, fields, varint_bytes

_INT8 = TYPES.index("int8")

# Which inputs of an operator are a weight, its scale and its zero point. MatMulInteger has no scale,
# and takes one zero point for all columns.
_WEIGHTS: dict[str, tuple[tuple[int, int | None, int], ...]] = {
    "DequantizeLinear": ((0, 1, 2),),
    "DynamicQuantizeLSTM": ((1, 8, 9), (2, 10, 11)),
    "DynamicQuantizeMatMul": ((1, 2, 3),),
    "MatMulInteger": ((1, None, 3),),
    "MatMulIntegerToFloat": ((1, 3, 5),),
    "QAttention": ((1, 4, 7),),
    "QGemm": ((3, 4, 5),),
    "QLinearConv": ((3, 4, 5),),
    "QLinearMatMul": ((3, 4, 5),),
}
_WITH_BODIES = {"If", "Loop", "Scan"}
_MOST_DEPTH = 32
_MOST_BYTES = (1 << 31) - 1


def own_weights(content: bytes) -> bytes:
    """The file in which no two operators share an int8 weight or its zero point.

    Args:
        content: a ModelProto. Weights in other files stay there; their copies refer to them.

    Returns:
        `content` itself where each operator has its own already.

    Raises:
        ArtifactError: `content` is damaged, no ONNX file, or would grow beyond 2 GiB.
    """
    # Most files need no look at their operators.
    if not any(op.encode() in content for op in _WEIGHTS):
        return content
    copies = _Copies()
    parts = []
    for field, start, body, end in fields(content, 0, len(content)):
        new = None
        if field == ModelProto.GRAPH:
            new = copies.graph(Message(content, body, end), {})
        parts.append(content[start:end] if new is None else delimited(field, new))
    return b"".join(parts) if copies.count else content


@dataclass(frozen=True)
class _Node:
    """An operator: as it stands in the file, and what it reads, gives and contains from now on.

    Attributes:
        taken: the fields of `message` that stand elsewhere here, or nowhere.
    """

    message: Message
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: tuple[bytes, ...] = ()
    taken: Collection[int] = frozenset({NodeProto.INPUT, NodeProto.OUTPUT})

    @classmethod
    def read(cls, message: Message) -> _Node:
        inputs, outputs = message.texts(NodeProto.INPUT), message.texts(NodeProto.OUTPUT)
        return cls(message, message.text(NodeProto.OP_TYPE), tuple(inputs), tuple(outputs))

    @property
    def tensor(self) -> Message | None:
        """The value of a Constant."""
        if self.op != "Constant":
            return None
        attributes = self.message.messages(NodeProto.ATTRIBUTE)
        return next((t for a in attributes for t in a.messages(AttributeProto.TENSOR)), None)

    def reading(self, inputs: list[str]) -> _Node:
        """This operator with these inputs."""
        given = tuple(inputs)
        return self if given == self.inputs else replace(self, inputs=given)

    def giving(self, output: str) -> _Node:
        """A copy of this operator with another output, and without its name, which is unique."""
        return replace(self, outputs=(output,), taken={*self.taken, NodeProto.NAME})

    def containing(self, attributes: list[bytes]) -> _Node:
        """This operator with these attributes."""
        return replace(self, attributes=tuple(attributes), taken={*self.taken, NodeProto.ATTRIBUTE})

    def written(self) -> bytes:
        parts = [delimited(NodeProto.INPUT, name.encode()) for name in self.inputs]
        parts += [delimited(NodeProto.OUTPUT, name.encode()) for name in self.outputs]
        parts += [delimited(NodeProto.ATTRIBUTE, attribute) for attribute in self.attributes]
        return b"".join((*parts, self.message.without(self.taken)))


class _Scope:
    """The constants that a graph's operators can read, by name.

    Attributes:
        free: those of the graph itself that no operator has for a weight or zero point yet.
    """

    def __init__(self, graph: Message, nodes: list[_Node], outer: Mapping[str, Message]) -> None:
        local = {t.text(TensorProto.NAME): t for t in graph.messages(GraphProto.INITIALIZER)}
        local |= {n.outputs[0]: t for n in nodes if n.outputs and (t := n.tensor)}
        self.known = {**outer, **local}
        self.free = local.keys() - {
            v.text(ValueInfoProto.NAME) for v in graph.messages(GraphProto.INPUT)
        }

    def int8(self, name: str) -> bool:
        return name in self.known and self.known[name].number(TensorProto.DATA_TYPE) == _INT8


class _Copies:
    """Makes copies for one file.

    Attributes:
        count: how many it made; where that stays, nothing changed.
    """

    def __init__(self) -> None:
        self.count = 0
        self._bytes = 0

    def graph(self, graph: Message, outer: Mapping[str, Message], depth: int = 0) -> bytes | None:
        """The graph, below `depth` others, with what it lacked; None where it lacked nothing."""
        if depth > _MOST_DEPTH:
            raise ArtifactError("graphs lie in graphs too deep to be read. It is hostile.")
        before = self.count
        nodes = [_Node.read(message) for message in graph.messages(GraphProto.NODE)]
        scope = _Scope(graph, nodes, outer)
        made: list[bytes] = []
        nodes = [self._own(node, scope, made) for node in self._one_reader_each(nodes, scope)]
        nodes = [self._bodies(n, scope, depth) if n.op in _WITH_BODIES else n for n in nodes]
        if self.count == before:
            return None
        parts = [delimited(GraphProto.NODE, node.written()) for node in nodes]
        parts += [delimited(GraphProto.INITIALIZER, tensor) for tensor in made]
        return b"".join((*parts, graph.without([GraphProto.NODE])))

    def _one_reader_each(self, nodes: list[_Node], scope: _Scope) -> Iterator[_Node]:
        """The nodes, and a DequantizeLinear for each further one that reads the same weight's."""
        weights = {
            node.outputs[0]: node
            for node in nodes
            if node.op == "DequantizeLinear" and node.inputs and node.outputs
            if scope.int8(node.inputs[0])
        }
        read = set()
        for node in nodes:
            inputs = list(node.inputs)
            for i, name in enumerate(inputs):
                if name in read:
                    inputs[i] = self._name(name)
                    yield weights[name].giving(inputs[i])
                elif name in weights:
                    read.add(name)
            yield node.reading(inputs)

    def _own(self, node: _Node, scope: _Scope, made: list[bytes]) -> _Node:
        """The node with weights and zero points that nothing else reads; copies go to `made`."""
        inputs = list(node.inputs)

        def add(name: str, *parts: bytes) -> str:
            name = self._name(name, size=sum(map(len, parts)))
            made.append(b"".join((delimited(TensorProto.NAME, name.encode()), *parts)))
            return name

        def own(name: str) -> str:
            if name in scope.free:
                scope.free.remove(name)
                return name
            return add(name, scope.known[name].without([TensorProto.NAME]))

        for weight, scale, zero in _WEIGHTS.get(node.op, ()):
            if weight >= len(inputs) or not scope.int8(inputs[weight]):
                continue
            inputs[weight] = own(inputs[weight])
            inputs += [""] * (zero + 1 - len(inputs))
            if scope.int8(inputs[zero]):
                inputs[zero] = own(inputs[zero])
            elif not inputs[zero] and (scale is None or inputs[scale] in scope.known):
                like = None if scale is None else scope.known[inputs[scale]]
                inputs[zero] = add("zero_point", _zeros(like))
        return node.reading(inputs)

    def _bodies(self, node: _Node, scope: _Scope, depth: int) -> _Node:
        """The node with the graphs in it as `graph` gives them."""
        attributes = []
        for attribute in node.message.messages(NodeProto.ATTRIBUTE):
            content = attribute.without([])
            for body in attribute.messages(AttributeProto.GRAPH):
                new = self.graph(body, scope.known, depth + 1)
                if new is not None:
                    rest = attribute.without([AttributeProto.GRAPH])
                    content = rest + delimited(AttributeProto.GRAPH, new)
            attributes.append(content)
        return node.containing(attributes)

    def _name(self, name: str, size: int = 0) -> str:
        """A new name for a copy of `name`, of so many bytes."""
        self.count += 1
        self._bytes += size
        if self._bytes > _MOST_BYTES:
            raise ArtifactError(f"copies of shared weights take more than {_MOST_BYTES} bytes.")
        return f"{name}/own_{self.count}"


def _zeros(like: Message | None) -> bytes:
    """An int8 tensor of zeros with the shape of `like`, a scalar if that is None; it has no name."""
    shape = [] if like is None else like.numbers(TensorProto.DIMS)
    if prod(shape) > _MOST_BYTES:
        raise ArtifactError(f"a scale has the shape {shape}: damaged or no ONNX file.")
    dims = b"".join(bytes([TensorProto.DIMS << 3]) + varint_bytes(n) for n in shape)
    return (
        dims
        + bytes([TensorProto.DATA_TYPE << 3, _INT8])
        + delimited(TensorProto.RAW_DATA, bytes(prod(shape)))
    )
