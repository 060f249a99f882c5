"""What an .onnx file asks of its interpreter, from its graphs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from edgekit.formats.graph import Graph, Model, Operator, Tensor
from edgekit.inspection.needs import Need, signature

_SCALED = {"QuantizeLinear", "DequantizeLinear"}
# How finely weights were quantised decides how what reads them, made float, is computed.
_KEPT = ("/channel", "/block")


def onnx_needs(model: Model) -> tuple[Need, ...]:
    """What every operator asks, those of a body before the operator that it is of."""
    return tuple(_Graph(model.graphs[model.main], {}).needs())


class _Graph:
    """One graph, and how finely what flows in it was quantised."""

    def __init__(self, graph: Graph, outer: Mapping[str, str]) -> None:
        self._graph = graph
        # By tensor, of those that were made float of integers.
        self._granularity = dict(outer)
        made = {t.key for operator in graph.operators for t in operator.outputs if t}
        self._ranks = {t.key: len(t.shape or ()) for t in graph.constants if t.key not in made}
        # By tensor, the operator that gives it.
        self._makers: dict[str, str] = {}
        self._rearranged: set[str] = set()

    def needs(self) -> Iterator[Need]:
        for operator in self._graph.operators:
            for body in operator.bodies:
                yield from _Graph(body, self._granularity).needs()
            yield self._need(operator)

    def _need(self, operator: Operator) -> Need:
        # Without the domain: onnxruntime has quantisers of its own that are called as ONNX's are.
        op, read = operator.op.rpartition(".")[2], operator.inputs
        inputs = [self._type(tensor) for tensor in read]
        if op in _SCALED and len(read) > 1:
            inputs[0] += ("/tensor", "/channel", "/block")[min(self._rank(read[1]), 2)]
        # Known of constants alone, and of what is made float of them.
        rank = max(map(self._rank, read), default=0)
        given = [tensor.key for tensor in operator.outputs if tensor]
        if op == "DequantizeLinear":
            granularity = next((g for g in _KEPT if inputs and inputs[0].endswith(g)), "")
            self._granularity.update(dict.fromkeys(given, granularity))
            self._ranks.update(dict.fromkeys(given, rank))
        self._makers.update(dict.fromkeys(given, op))
        types = signature(op, inputs, [self._type(tensor) for tensor in operator.outputs])
        mark = self._mark(op, operator)
        return Need(operator.op, types + mark, operator.version, rank, operator.tensor)

    def _type(self, tensor: Tensor | None) -> str:
        if tensor is None:
            return "none"
        return tensor.dtype + self._granularity.get(tensor.key, "")

    def _rank(self, tensor: Tensor | None) -> int:
        return self._ranks.get(tensor.key, 0) if tensor else 0

    def _mark(self, op: str, operator: Operator) -> str:
        """Says that values were reshaped and transposed before they are quantised.

        onnxruntime 1.16 moves both on, to a convolution that then has no types.
        """
        first = operator.inputs[0] if operator.inputs else None
        if first is None:
            return ""
        if op == "Transpose" and self._makers.get(first.key) == "Reshape":
            self._rearranged.update(tensor.key for tensor in operator.outputs if tensor)
        elif op == "QuantizeLinear" and first.key in self._rearranged:
            return ", reshaped and transposed before"
        return ""
