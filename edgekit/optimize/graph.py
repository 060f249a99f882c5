"""Graph: who passes what to whom inside a Keras model, of either flavour."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from edgekit.errors import UsageError
from edgekit.models.source import SourceModel


@dataclass(frozen=True)
class Call:
    """One call of a layer.

    Attributes:
        layer: a layer, or another operation of Keras 3.
        inputs, outputs: the tensors that go in and come out, by identity.
        input_shapes, output_shapes: theirs, the batch first and None for dynamic dimensions.
    """

    layer: Any
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    input_shapes: tuple[tuple[int | None, ...], ...]
    output_shapes: tuple[tuple[int | None, ...], ...]

    @property
    def kind(self) -> str:
        return type(self.layer).__name__


@dataclass(frozen=True)
class Graph:
    """All calls in an order in which they can be made, and the tensors the model answers with."""

    calls: tuple[Call, ...]
    outputs: tuple[int, ...]


def graph_of(source: SourceModel) -> Graph:
    """The graph of a Sequential or Functional model.

    Raises:
        UsageError: it is neither.
    """
    model = getattr(source.model, "_functional", None) or source.model
    nodes_by_depth = getattr(model, "_nodes_by_depth", None)
    if not nodes_by_depth:
        raise UsageError(
            f"{source.path}: {type(source.model).__name__} is no Sequential or Functional model; its "
            "layers cannot be followed."
        )
    depths = sorted(nodes_by_depth, reverse=True)
    calls = tuple(_call(node) for depth in depths for node in nodes_by_depth[depth])
    return Graph(calls, tuple(id(tensor) for tensor in model.outputs))


def _call(node: Any) -> Call:
    # Keras 3's names, then tf_keras'.
    layer = node.operation if hasattr(node, "operation") else node.layer
    inputs = node.input_tensors if hasattr(node, "operation") else node.keras_inputs
    outputs = list(_flat(node.output_tensors if hasattr(node, "operation") else node.outputs))
    given = list(_flat(inputs)) if not node.is_input else []
    return Call(
        layer,
        tuple(map(id, given)),
        tuple(map(id, outputs)),
        tuple(tuple(tensor.shape) for tensor in given),
        tuple(tuple(tensor.shape) for tensor in outputs),
    )


def _flat(tensors: Any) -> Iterator[Any]:
    if isinstance(tensors, dict):
        tensors = [tensors[key] for key in sorted(tensors)]
    if isinstance(tensors, (list, tuple)):
        for tensor in tensors:
            yield from _flat(tensor)
    else:
        yield tensors
