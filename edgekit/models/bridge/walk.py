"""Walk the graph of a Keras 3 model, nested models included, with something else in each layer's place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from edgekit.errors import BridgeError, placed, require
from edgekit.models.source import SourceModel

# An operation, its positional and its keyword arguments, to its results.
Leaf = Callable[[Any, Any, Any], Any]


def graph_of(model: Any) -> Any:
    """The Functional graph of a model, None if it has none; a Sequential keeps one inside."""
    graph = getattr(model, "_functional", None) or model
    return graph if hasattr(graph, "_run_through_graph") else None


def run(source: SourceModel, tensors: list[Any], leaf: Leaf) -> list[Any]:
    """The model's results, flat, with `leaf` in place of each layer and operation.

    Nested models are walked through: their layers come to `leaf` one by one.

    Raises:
        BridgeError: `leaf` says so; with the model's path.
    """
    try:
        return _run(source.model, tensors, leaf)
    except BridgeError as error:
        raise BridgeError(placed(source.path, error)) from error


def _run(model: Any, tensors: list[Any], leaf: Leaf) -> list[Any]:
    keras = require("keras", "export", "Bridging")
    graph = graph_of(model)

    def operation(node: Any) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if isinstance(node, keras.Model) and graph_of(node) is not None:
                return _run(node, _given(keras, graph_of(node), args, kwargs), leaf)
            return leaf(node, args, _without_modes(kwargs))

        return call

    results: list[Any] = keras.tree.flatten(graph._run_through_graph(tensors, operation))
    return results


def _given(keras: Any, graph: Any, args: Any, kwargs: Any) -> list[Any]:
    """The tensors that a nested model is called with, in the order of its inputs."""
    given = args[0] if args else kwargs["inputs"]
    if isinstance(given, dict) and isinstance(graph._inputs_struct, dict):
        given = {key: given[key] for key in graph._inputs_struct}
    flat: list[Any] = keras.tree.flatten(given)
    return flat


def _without_modes(kwargs: dict[str, Any]) -> dict[str, Any]:
    # A call of the whole model says whether it trains, above what a layer was called with.
    return {key: value for key, value in kwargs.items() if key != "training" and value is not None}


@contextmanager
def in_float32(model: Any) -> Iterator[None]:
    """Let a Keras 3 model with 16-bit policies compute in float32, as its twin will."""
    keras = require("keras", "export", "Bridging")
    changed = []
    try:
        for layer in model._flatten_layers():
            policy = layer.dtype_policy
            if "16" in policy.compute_dtype and getattr(layer, "quantization_mode", None) is None:
                changed.append((layer, policy))
                layer.dtype_policy = keras.DTypePolicy("float32")
        yield
    finally:
        for layer, policy in changed:
            layer.dtype_policy = policy
