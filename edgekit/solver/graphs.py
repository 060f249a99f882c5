"""A graph as a problem: operators that have to share a label become one part."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from edgekit.formats.graph import Graph, Operator, Tensor
from edgekit.solver.costs import Costs
from edgekit.solver.problem import Part, Problem, Wire


@dataclass(frozen=True)
class Stated:
    """A graph's problem.

    Attributes:
        problem: its parts and wires.
        members: of each part by name, the operators in it by their first outputs.
    """

    problem: Problem
    members: Mapping[str, tuple[str, ...]]

    def operators(self, left: Iterable[str]) -> frozenset[str]:
        """The operators of these parts, by their first outputs."""
        return frozenset(name for part in left for name in self.members[part])


def stated(
    graph: Graph, operators: Mapping[str, float], tensors: Mapping[str, float], costs: Costs
) -> Stated:
    """The problem of a float file.

    What flows between two operators and is not rounded even where all are in int8 leaves them no choice but
    one label: a convolution and the rectifier that its kernel applies are one part.

    Args:
        graph: of the float file.
        operators: the loss of each that can compute in int8, by the name of its first output.
        tensors: the loss of each tensor that is rounded in the int8 file, by name.
        costs: what kernels and conversions cost.
    """
    groups = _Groups([operator.tensor for operator in graph.operators])
    makers = {t.name: o for o in graph.operators for t in o.outputs if t}
    for operator in graph.operators:
        for tensor in _computed(operator.inputs):
            maker = makers.get(tensor.name)
            if maker is None or tensor.name in tensors:
                continue
            if {maker.tensor, operator.tensor} <= operators.keys():
                groups.join(maker.tensor, operator.tensor)
    members: dict[str, list[Operator]] = {}
    for operator in graph.operators:
        members.setdefault(groups.of(operator.tensor), []).append(operator)
    parts = tuple(_part(name, own, operators, tensors, costs) for name, own in members.items())
    known = {t.name: t for o in graph.operators for t in _computed((*o.inputs, *o.outputs))}
    wires = {
        name: Wire(name, tensors[name], costs.quantize(tensor), costs.dequantize(tensor))
        for name, tensor in known.items()
        if name in tensors
    }
    names = {name: tuple(o.tensor for o in own) for name, own in members.items()}
    return Stated(Problem(parts, wires), names)


def _part(
    name: str,
    own: list[Operator],
    operators: Mapping[str, float],
    tensors: Mapping[str, float],
    costs: Costs,
) -> Part:
    reads = [t.name for o in own for t in _computed(o.inputs) if t.name in tensors]
    gives = [t.name for o in own for t in _computed(o.outputs) if t.name in tensors]
    kernels = [costs.kernels(operator) for operator in own if operator.tensor in operators]
    return Part(
        name,
        tuple(dict.fromkeys(n for n in reads if n not in gives)),
        tuple(dict.fromkeys(gives)),
        sum(operators.get(o.tensor, 0.0) for o in own),
        sum(floats - integers for floats, integers in kernels),
        any(o.tensor in operators for o in own),
    )


def _computed(tensors: Iterable[Tensor | None]) -> list[Tensor]:
    return [tensor for tensor in tensors if tensor and not tensor.constant]


class _Groups:
    """Names that belong together (union-find)."""

    def __init__(self, names: Iterable[str]) -> None:
        self._above = {name: name for name in names}

    def of(self, name: str) -> str:
        while self._above[name] != name:
            name = self._above[name]
        return name

    def join(self, one: str, other: str) -> None:
        self._above[self.of(other)] = self.of(one)
