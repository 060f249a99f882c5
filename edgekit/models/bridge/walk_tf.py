"""Walk the graph of a tf_keras model, nested models included, with something else in each layer's place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from edgekit.errors import BridgeError, placed, require
from edgekit.models.bridge.walk import Leaf
from edgekit.models.source import SourceModel


def run(source: SourceModel, tensors: list[Any], leaf: Leaf) -> list[Any]:
    """The model's results, flat, with `leaf` in place of each layer.

    Nested models are walked through: their layers come to `leaf` one by one.

    Raises:
        BridgeError: `leaf` says so; with the model's path.
    """
    try:
        return _run(source.model, tensors, leaf)
    except BridgeError as error:
        raise BridgeError(placed(source.path, error)) from error


def _run(model: Any, tensors: list[Any], leaf: Leaf) -> list[Any]:
    tf = require("tensorflow", "export", "Bridging to Keras 3")
    tf_keras = require("tf_keras", "export", "Bridging to Keras 3")
    known = {id(mine): given for mine, given in zip(model.inputs, tensors, strict=True)}

    def fill(value: Any) -> Any:
        return known.get(id(value), value)

    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            if node.is_input or any(id(tensor) not in known for tensor in node.keras_inputs):
                continue
            args, kwargs = tf.nest.map_structure(fill, (node.call_args, node.call_kwargs))
            layer = node.layer
            if isinstance(layer, tf_keras.Model) and layer._is_graph_network:
                given = tf.nest.flatten(args[0] if args else kwargs["inputs"])
                results = _run(layer, given, leaf)
            else:
                kwargs = {key: kwargs[key] for key in kwargs if key != "training"}
                results = tf.nest.flatten(leaf(layer, args, kwargs))
            outputs = tf.nest.flatten(node.outputs)
            known.update((id(mine), got) for mine, got in zip(outputs, results, strict=True))
    return [known[id(tensor)] for tensor in model.outputs]


@contextmanager
def in_float32(model: Any) -> Iterator[None]:
    """Let a tf_keras model with 16-bit policies compute in float32, as its twin will."""
    changed = []
    try:
        for layer in model._flatten_layers():
            policy = layer.dtype_policy
            if policy.compute_dtype and "16" in policy.compute_dtype:
                changed.append((layer, policy))
                layer._set_dtype_policy("float32")
        yield
    finally:
        for layer, policy in changed:
            layer._set_dtype_policy(policy)
