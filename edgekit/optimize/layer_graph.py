"""LayerGraph: a tf_keras model as a flat list of calls of layers, to be built again with others in their place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from edgekit.errors import UsageError, require


@dataclass(frozen=True)
class Step:
    """One call of one layer.

    Attributes:
        layer: the model's own.
        name: the layer's, unique in the graph; calls of a shared layer have the same.
        inputs, outputs: numbers of tensors.
        arguments: makes the call's arguments from tensors by number.
    """

    layer: Any
    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    arguments: Callable[[dict[int, Any]], tuple[tuple[Any, ...], dict[str, Any]]]

    @property
    def kind(self) -> str:
        return type(self.layer).__name__


@dataclass(frozen=True)
class LayerGraph:
    """A model whose nested models are opened up.

    Attributes:
        inputs: the model's input layers and the numbers of their tensors.
        steps: in an order in which they can be computed.
        outputs: numbers of tensors, in the model's order.
    """

    inputs: tuple[tuple[Any, int], ...]
    steps: tuple[Step, ...]
    outputs: tuple[int, ...]

    def readers(self, tensor: int) -> list[Step]:
        """The steps that read a tensor."""
        return [step for step in self.steps if tensor in step.inputs]

    def only_reader(self, tensor: int) -> Step | None:
        """The step that reads a tensor which nobody else does, nor the model gives out."""
        readers = self.readers(tensor)
        return readers[0] if len(readers) == 1 and tensor not in self.outputs else None

    def build(
        self,
        call: Callable[[Step, tuple[Any, ...], dict[str, Any]], Any],
        after: Callable[[int, Any], Any],
    ) -> tuple[list[Any], dict[int, Any]]:
        """Go through the graph with symbolic tensors.

        Args:
            call: computes a step's result from its arguments.
            after: what is done to each tensor, model inputs too, before anyone reads it.

        Returns:
            The new input tensors, and all tensors by number.
        """
        tf = require("tensorflow", "export", "Optimising a model")
        tf_keras = require("tf_keras", "export", "Optimising a model")
        fresh, tensors = [], {}
        for layer, number in self.inputs:
            tensor = tf_keras.Input(
                tuple(layer.output.shape[1:]), name=layer.name, dtype=layer.output.dtype
            )
            fresh.append(tensor)
            tensors[number] = after(number, tensor)
        for step in self.steps:
            args, kwargs = step.arguments(tensors)
            results = tf.nest.flatten(call(step, args, kwargs))
            for number, tensor in zip(step.outputs, results, strict=True):
                tensors[number] = after(number, tensor)
        return fresh, tensors


def layer_graph(model: Any) -> LayerGraph:
    """The graph of a tf_keras Sequential or Functional model.

    Raises:
        UsageError: it is neither.
    """
    if not hasattr(model, "_nodes_by_depth"):
        raise UsageError(
            f"model {model.name!r}: received a {type(model).__name__}, expected a Sequential or "
            "Functional model, whose layers can be followed."
        )
    steps: list[Step] = []
    numbers = iter(range(1 << 30))
    inputs = [next(numbers) for _ in model.inputs]
    names: dict[int, str] = {}
    outputs = _flatten(model, inputs, numbers, steps, names, "")
    layers = [tensor._keras_history.layer for tensor in model.inputs]
    return LayerGraph(tuple(zip(layers, inputs, strict=True)), tuple(steps), tuple(outputs))


def _flatten(
    model: Any,
    inputs: Sequence[int],
    numbers: Iterator[int],
    steps: list[Step],
    names: dict[int, str],
    prefix: str,
) -> list[int]:
    """Append the model's calls to `steps`; gives the numbers of its outputs."""
    known = {str(id(x)): number for x, number in zip(model.inputs, inputs, strict=True)}
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            if node.is_input:
                continue
            layer = node.layer
            read = [known[key] for key in node.flat_input_ids]
            if hasattr(layer, "_nodes_by_depth"):
                written = _flatten(layer, read, numbers, steps, names, f"{prefix}{layer.name}_")
            else:
                written = [next(numbers) for _ in node.flat_output_ids]
                name = names.setdefault(id(layer), _unused(f"{prefix}{layer.name}", names, layer))
                step = Step(layer, name, tuple(read), tuple(written), _arguments(node, dict(known)))
                steps.append(step)
            known.update(zip(node.flat_output_ids, written, strict=True))
    return [known[str(id(x))] for x in model.outputs]


def _unused(name: str, names: dict[int, str], layer: Any) -> str:
    # Inside of a nested model the plain name is kept where it is free: it is the one users know.
    taken = {other for key, other in names.items() if key != id(layer)}
    plain = layer.name
    candidate, count = (plain if plain not in taken else name), 1
    while candidate in taken:
        candidate, count = f"{name}_{count}", count + 1
    return str(candidate)


def _arguments(node: Any, known: dict[str, int]) -> Callable[[dict[int, Any]], Any]:
    def of(tensors: dict[int, Any]) -> Any:
        # Each use of a tensor takes one from its list.
        uses = len(node.flat_input_ids)
        found = {key: [tensors[known[key]]] * uses for key in node.flat_input_ids}
        return node.map_arguments(found)

    return of
