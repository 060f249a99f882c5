"""TensorFlow's operators in a tf_keras graph as nodes of keras.ops, where there is one, else as they are."""

from __future__ import annotations

from typing import Any

from edgekit.errors import BridgeError, one_line, require
from edgekit.models.bridge.operators import is_symbolic, template

# Functions of keras.ops that take the same arguments in the same order.
_SAME: str = (
    "abs add cos divide einsum equal exp expand_dims greater greater_equal less less_equal "
    "logical_and logical_not logical_or matmul maximum minimum multiply negative not_equal reshape "
    "round sigmoid sign sin softplus sqrt square squeeze subtract tanh transpose"
)
_RENAMED = {
    "truediv": "divide",
    "pow": "power",
    "concat": "concatenate",
    "reduce_mean": "mean",
    "reduce_sum": "sum",
    "reduce_max": "max",
    "reduce_min": "min",
    "relu": "relu",
    "relu6": "relu6",
    "elu": "elu",
    "selu": "selu",
    "silu": "silu",
    "softmax": "softmax",
    "log": "log",
    "rsqrt": "rsqrt",
    "cast": "cast",
}
# Arguments that keras.ops names otherwise.
_ARGUMENTS = {"perm": "axes", "shape": "newshape", "y": "x2"}
_PLACES = ("__operators__.", "math.", "nn.", "linalg.")


def call(layer: Any, args: Any, kwargs: Any, name: str) -> Any:
    """One call of a layer without weights that Keras 3 has no counterpart of.

    Args:
        layer: of tf_keras.
        args, kwargs: what it is called with: tensors of Keras 3 and constants.
        name: of the layer that carries it, if one has to.

    Raises:
        BridgeError: it cannot be written down.
    """
    keras = require("keras", "export", "Bridging to Keras 3")
    function = _function(keras, layer, args, kwargs)
    if function is not None:
        given = {_ARGUMENTS.get(key, key): value for key, value in kwargs.items()}
        try:
            return function(*args, **given)
        # Not every argument of the one is an argument of the other.
        except (TypeError, ValueError):
            pass
    return _carried(layer, args, kwargs, name)


def _function(keras: Any, layer: Any, args: Any, kwargs: Any) -> Any:
    symbol = str(getattr(layer, "symbol", None) or "")
    short = symbol
    for place in _PLACES:
        short = short.removeprefix(place)
    if short == "getitem":
        return _item
    if "." in short or not args or not any(map(is_symbolic, keras.tree.flatten([args, kwargs]))):
        return None
    name = short if short in _SAME.split() else _RENAMED.get(short)
    return getattr(keras.ops, name) if name else None


def _item(x: Any, slice_spec: Any) -> Any:
    def restored(item: Any) -> Any:
        return slice(item["start"], item["stop"], item["step"]) if isinstance(item, dict) else item

    if isinstance(slice_spec, (list, tuple)):
        return x[tuple(map(restored, slice_spec))]
    return x[restored(slice_spec)]


def _carried(layer: Any, args: Any, kwargs: Any, name: str) -> Any:
    tf_keras = require("tf_keras", "export", "Bridging to Keras 3")
    keras = require("keras", "export", "Bridging to Keras 3")
    from edgekit.models.bridge.foreign import Foreign

    kind = type(layer).__name__
    try:
        arguments, places = template(args, kwargs)
        serialised = tf_keras.layers.serialize(layer)
        foreign = Foreign(layer=serialised, arguments=arguments, places=places, name=name)
    # What a layer's own get_config raises, and tf_keras for functions that are not TensorFlow's.
    except (TypeError, ValueError, KeyError, AttributeError, NotImplementedError) as error:
        raise BridgeError(
            f"layer {layer.name!r} ({kind}) cannot be carried to Keras 3: {type(error).__name__}: "
            f"{one_line(error)}"
        ) from error
    tensors = [leaf for leaf in keras.tree.flatten([list(args), kwargs]) if is_symbolic(leaf)]
    return foreign(tensors)
