"""Nodes of keras.ops as layers of tf_keras: a layer of its own where there is one, else carried."""

from __future__ import annotations

import json
import math
from typing import Any

from edgekit.errors import BridgeError, one_line, require

_MERGING = {"Add", "Subtract", "Multiply", "Maximum", "Minimum"}
_ACTIVATIONS = {
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "Silu": "silu",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Selu": "selu",
}
# Axes that are pooled, and the dimensions in the layer's name.
_POOLED = {(1,): "1D", (1, 2): "2D", (1, 2, 3): "3D"}


def layer_for(operation: Any, args: Any, kwargs: Any, name: str) -> tuple[Any, Any]:
    """A layer of tf_keras for one call of an operation, and what to call that layer with.

    Args:
        operation: a Keras 3 operation that is no layer.
        args, kwargs: what it was called with: tensors of tf_keras and constants.
        name: the new layer's.

    Raises:
        BridgeError: the operation cannot be written down.
    """
    tensors = [leaf for leaf in _flat([args, kwargs]) if is_symbolic(leaf)]
    # Operations drop masks, layers hand them on.
    if type(operation).__module__.startswith("keras.") and not is_masked(tensors):
        found = _layer(operation, args, kwargs, tensors, name)
        if found is not None:
            return found
    return _carried(operation, args, kwargs, name), tensors


def key_of(operation: Any, args: Any, kwargs: Any) -> str:
    """What is the same for two calls that one layer can answer."""
    return json.dumps([_serialised(operation), template(args, kwargs)[0]])


def is_symbolic(value: Any) -> bool:
    """Whether it is a tensor of a graph, of either flavour, not a constant."""
    return hasattr(value, "_keras_history")


def is_masked(values: list[Any]) -> bool:
    return any(getattr(value, "_keras_mask", None) is not None for value in values)


def _layer(
    operation: Any, args: Any, kwargs: Any, tensors: list[Any], name: str
) -> tuple[Any, Any] | None:
    layers = require("tf_keras", "export", "Bridging to tf_keras").layers
    kind, x = type(operation).__name__, tensors[0]
    two = len(args) == 2 and not kwargs
    if kind in _MERGING and two and len(tensors) == 2 and _alike(tensors):
        return getattr(layers, kind)(name=name), tensors
    scaled = _scaled(kind, args) if two and len(tensors) == 1 and x.dtype.is_floating else None
    if scaled is not None:
        return layers.Rescaling(*scaled, name=name), x
    if kind == "Concatenate" and len(tensors) == len(args[0]) > 1 and _alike(tensors):
        return layers.Concatenate(operation.axis, name=name), tensors
    if kwargs or len(args) != 1 or len(tensors) != 1:
        return None
    made = _of_one(layers, operation, x, name)
    return None if made is None else (made, x)


def _of_one(layers: Any, operation: Any, x: Any, name: str) -> Any:
    kind, shape = type(operation).__name__, tuple(x.shape)
    if kind in ("Relu", "Relu6"):
        return layers.ReLU(6.0 if kind == "Relu6" else None, name=name)
    if kind == "Softmax" and operation.axis is not None:
        return layers.Softmax(operation.axis, name=name)
    if kind in _ACTIVATIONS:
        return layers.Activation(_ACTIVATIONS[kind], name=name)
    if kind == "Reshape" and None not in shape[1:]:
        wanted = tuple(operation.newshape[1:])
        if -1 not in wanted and None not in wanted and math.prod(wanted) == math.prod(shape[1:]):
            return layers.Reshape(wanted, name=name)
    if kind == "Transpose" and operation.axes is not None and operation.axes[0] == 0:
        return layers.Permute(tuple(operation.axes[1:]), name=name)
    if kind in ("Mean", "Max") and operation.axis is not None and x.dtype.is_floating:
        axes = operation.axis if isinstance(operation.axis, (list, tuple)) else [operation.axis]
        pooled = tuple(sorted(axis % len(shape) for axis in axes))
        if len(shape) == len(pooled) + 2 and pooled in _POOLED:
            what = "Average" if kind == "Mean" else "Max"
            cls = getattr(layers, f"Global{what}Pooling{_POOLED[pooled]}")
            return cls(keepdims=bool(operation.keepdims), name=name)
    return None


def _scaled(kind: str, args: Any) -> tuple[float, float] | None:
    """Scale and offset of an operation between a tensor and a number."""
    first = is_symbolic(args[0])
    number = args[1] if first else args[0]
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        return None
    if kind == "Multiply":
        return float(number), 0.0
    if kind == "Add":
        return 1.0, float(number)
    if kind == "Subtract":
        return (1.0, -float(number)) if first else (-1.0, float(number))
    if kind in ("Divide", "TrueDivide") and first and number:
        return 1 / number, 0.0
    return None


def _carried(operation: Any, args: Any, kwargs: Any, name: str) -> Any:
    from edgekit.models.bridge.carried import Operator

    kind = type(operation).__name__
    try:
        arguments, places = template(args, kwargs)
        serialised = _serialised(operation)
        return Operator(operation=serialised, arguments=arguments, places=places, name=name)
    # What an operation's own get_config raises, and what JSON does not hold.
    except (TypeError, ValueError, KeyError, AttributeError, NotImplementedError) as error:
        raise BridgeError(
            f"operation {operation.name!r} ({kind}) cannot be carried to tf_keras: "
            f"{type(error).__name__}: {one_line(error)}"
        ) from error


def template(args: Any, kwargs: Any) -> tuple[Any, list[int]]:
    """A call's ``[args, kwargs]``, serialised with None where tensors go, and where those are."""
    keras = require("keras", "export", "Bridging")
    leaves = keras.tree.flatten([list(args), kwargs])
    places = [place for place, leaf in enumerate(leaves) if is_symbolic(leaf)]
    emptied = [None if is_symbolic(leaf) else leaf for leaf in leaves]
    arguments = keras.tree.pack_sequence_as([list(args), kwargs], emptied)
    return keras.saving.serialize_keras_object(arguments), places


def _serialised(operation: Any) -> Any:
    keras = require("keras", "export", "Bridging to tf_keras")
    return keras.saving.serialize_keras_object(operation)


def _flat(structure: Any) -> list[Any]:
    keras = require("keras", "export", "Bridging to tf_keras")
    flat: list[Any] = keras.tree.flatten(structure)
    return flat


def _alike(tensors: list[Any]) -> bool:
    return len({(len(tensor.shape), tensor.dtype) for tensor in tensors}) == 1
