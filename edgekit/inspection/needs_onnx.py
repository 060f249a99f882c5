"""What an .onnx file asks of its interpreter, read with the standard library alone."""

from __future__ import annotations

from collections.abc import Iterator

from edgekit.formats.onnx import _given, _type
from edgekit.formats.protobuf import Message
from edgekit.inspection.needs import Need, Needs, signature

# Fields of the messages in onnx.proto.
_MODEL_IR, _MODEL_GRAPH, _MODEL_OPSETS = 1, 7, 8
_OPSET_DOMAIN, _OPSET_VERSION = 1, 2
_GRAPH_NODES, _GRAPH_CONSTANTS, _GRAPH_INPUTS, _GRAPH_OUTPUTS, _GRAPH_VALUES = 1, 5, 11, 12, 13
_NODE_INPUTS, _NODE_OUTPUTS, _NODE_OP, _NODE_ATTRIBUTES, _NODE_DOMAIN = 1, 2, 4, 5, 7
_ATTRIBUTE_NAME, _ATTRIBUTE_INT, _ATTRIBUTE_TENSOR, _ATTRIBUTE_GRAPH = 1, 3, 5, 6
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_NAME = 1, 2, 8
_VALUE_NAME, _VALUE_TYPE, _TYPE_TENSOR, _TENSOR_ELEMENT = 1, 2, 1, 1

_SCALED = {"QuantizeLinear", "DequantizeLinear"}


def onnx_needs(content: bytes) -> Needs:
    """Read what a file asks.

    Types of inner tensors follow from those that the file declares; a file need not say them.

    Raises:
        ArtifactError: the file is damaged or of another kind.
    """
    model = Message.whole(content)
    opsets = {
        o.text(_OPSET_DOMAIN): o.number(_OPSET_VERSION) for o in model.messages(_MODEL_OPSETS)
    }
    # Both are names of ONNX's own operators.
    opsets = {"" if domain == "ai.onnx" else domain: v for domain, v in sorted(opsets.items())}
    operators = [
        n for graph in model.messages(_MODEL_GRAPH) for n in _Graph(graph, {}).needs(opsets)
    ]
    return Needs(tuple(operators), model.number(_MODEL_IR), opsets)


class _Graph:
    """One graph and the types of its tensors, those of the graphs around it included."""

    def __init__(self, graph: Message, outer: dict[str, str]) -> None:
        self._graph = graph
        self._types = dict(outer)
        self._ranks: dict[str, int] = {}
        # By tensor, the operator that gives it.
        self._makers: dict[str, str] = {}
        self._rearranged: set[str] = set()
        for field in (_GRAPH_VALUES, _GRAPH_OUTPUTS, _GRAPH_INPUTS):
            for value in graph.messages(field):
                name, found = value.text(_VALUE_NAME), _declared(value)
                if found:
                    self._types[name] = found
        for tensor in graph.messages(_GRAPH_CONSTANTS):
            name = tensor.text(_TENSOR_NAME)
            self._types[name] = _type(tensor.number(_TENSOR_TYPE))
            self._ranks[name] = _rank(tensor)

    @property
    def outputs(self) -> list[str]:
        """Types of what the graph gives, once its operators were walked."""
        names = [value.text(_VALUE_NAME) for value in self._graph.messages(_GRAPH_OUTPUTS)]
        return [self._types.get(name, "?") for name in names]

    def needs(self, opsets: dict[str, int]) -> Iterator[Need]:
        for node in self._graph.messages(_GRAPH_NODES):
            op, domain = node.text(_NODE_OP), node.text(_NODE_DOMAIN)
            domain = "" if domain == "ai.onnx" else domain
            names = node.texts(_NODE_INPUTS)
            inputs = [self._types.get(name, "?") if name else "none" for name in names]
            if op in _SCALED and len(names) > 1:
                inputs[0] += ("/tensor", "/channel", "/block")[min(self._ranks.get(names[1], 0), 2)]
            attributes = {a.text(_ATTRIBUTE_NAME): a for a in node.messages(_NODE_ATTRIBUTES)}
            bodies = []
            for _, attribute in sorted(attributes.items()):
                for graph in attribute.messages(_ATTRIBUTE_GRAPH):
                    bodies.append(_Graph(graph, self._types))
                    yield from bodies[-1].needs(opsets)
            # Known of constants alone, and of what is made real of them.
            rank = max((self._ranks.get(name, 0) for name in names), default=0)
            results = node.texts(_NODE_OUTPUTS)
            given = _given(op, inputs, attributes, [body.outputs for body in bodies], len(results))
            for name, kind in zip(results, given, strict=True):
                self._types.setdefault(name, kind)
                if op == "DequantizeLinear":
                    self._types[name], self._ranks[name] = kind + _grain(inputs[0]), rank
            self._makers.update(dict.fromkeys(results, op))
            mark = ""
            if op == "Transpose" and self._makers.get(names[0]) == "Reshape":
                self._rearranged.update(results)
            elif op == "QuantizeLinear" and names[0] in self._rearranged:
                # onnxruntime 1.16 moves both on, to a convolution that then has no types.
                mark = ", reshaped and transposed before"
            outputs = [self._types[name] if name else "none" for name in results]
            yield Need(
                f"{domain}.{op}" if domain else op,
                signature(op, inputs, outputs) + mark,
                opsets.get(domain, 1),
                rank,
                next(iter(results), ""),
            )


def _grain(kind: str) -> str:
    """How finely weights were quantised decides how what reads them is computed."""
    return "/channel" if kind.endswith("/channel") else "/block" if kind.endswith("/block") else ""


def _declared(value: Message) -> str:
    for kind in value.messages(_VALUE_TYPE):
        for tensor in kind.messages(_TYPE_TENSOR):
            return _type(tensor.number(_TENSOR_ELEMENT))
    return ""


def _rank(tensor: Message) -> int:
    return len(tensor.numbers(_TENSOR_DIMS))
