"""A tf_keras layer's counterpart in Keras 3, made from its arguments."""

from __future__ import annotations

import inspect
from copy import deepcopy
from typing import Any

from edgekit.errors import BridgeError, one_line, require
from edgekit.models.bridge import activations
from edgekit.models.bridge.layers import NoCounterpart, is_constant

# Arguments that pick a kernel, matter to training alone, or that the twin finds out by itself.
_DROPPED = {
    "dtype",
    "batch_input_shape",
    "seed",
    "rng_type",
    "implementation",
    "input_length",
    "input_dim",
    "sparse",
    "query_shape",
    "key_shape",
    "value_shape",
}
# What Keras 3's LeakyReLU calls otherwise.
_RENAMED = {"alpha": "negative_slope"}


def rebuild(layer: Any, name: str) -> Any:
    """A layer of Keras 3 that answers as `layer` does, unbuilt, without its weights.

    Args:
        layer: a built tf_keras layer; what `carried.Carried` holds comes out as it was.
        name: the new layer's.

    Raises:
        NoCounterpart: Keras 3 has none.
        BridgeError: tensorflow-model-optimization's wrapper is still around it.
    """
    keras = require("keras", "export", "Bridging to Keras 3")
    kind = type(layer).__name__
    if hasattr(layer, "carries"):
        config = deepcopy(layer.get_config()["layer"])
        config["config"]["name"] = name
        return keras.saving.deserialize_keras_object(config)
    if kind in ("PruneLowMagnitude", "ClusterWeights") or kind.startswith("Quantize"):
        raise BridgeError(
            f"layer {layer.name!r} ({kind}) is still wrapped for training, expected the layer in it. "
            "Strip the wrappers first."
        )
    if not type(layer).__module__.startswith("tf_keras."):
        raise NoCounterpart(f"{kind} is a layer of your own")
    given = layer.get_config()
    if kind == "Lambda":
        return keras.layers.Lambda(layer.function, arguments=layer.arguments, name=name)
    if kind == "ThresholdedReLU":
        return keras.layers.ReLU(threshold=float(given["theta"]), name=name)
    if is_constant(layer):
        given = {
            **given,
            "mean": layer.adapt_mean.numpy().tolist(),
            "variance": layer.adapt_variance.numpy().tolist(),
        }
    cls = _class(keras, kind)
    config = _arguments(keras, type(layer), cls, given)
    config["name"] = name
    try:
        return cls.from_config(config)
    # What Keras 3's classes raise for arguments they do not take.
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise NoCounterpart(
            f"Keras 3 does not take its arguments: {type(error).__name__}: {one_line(error)}"
        ) from error


def _class(keras: Any, kind: str) -> Any:
    cls = getattr(keras.layers, kind, None)
    if cls is None:
        raise NoCounterpart(f"Keras 3 has no {kind}")
    return cls


def _arguments(keras: Any, kind: Any, cls: Any, given: dict[str, Any]) -> dict[str, Any]:
    known = set(inspect.signature(cls.__init__).parameters) | {"name", "trainable"}
    if issubclass(cls, keras.layers.RNN):
        known.add("zero_output_for_mask")
    defaults = inspect.signature(kind.__init__).parameters
    config = {}
    for key, value in given.items():
        if key not in known:
            key = _RENAMED.get(key, key)
        # An embedding's table has a size; other layers do not call for one.
        dropped = key in _DROPPED and not (key == "input_dim" and cls.__name__ == "Embedding")
        if dropped or key.endswith("_initializer"):
            continue
        if key not in known:
            plain = value in (None, False) or (key == "groups" and value == 1)
            if not plain and (key not in defaults or value != defaults[key].default):
                raise NoCounterpart(f"Keras 3's {cls.__name__} knows no {key}={value!r}")
        elif key.endswith("activation"):
            config[key] = activations.for_keras(value)
        elif key == "axis" and cls.__name__ == "BatchNormalization":
            config[key] = value if isinstance(value, int) else next(iter(value))
        else:
            config[key] = _plain(keras, value)
    return config


def _plain(keras: Any, value: Any) -> Any:
    """tf_keras' serialised objects as Keras 3 reads them."""
    if isinstance(value, dict) and "class_name" in value:
        tf_keras = require("tf_keras", "export", "Bridging to Keras 3")
        name, config = value["class_name"], value.get("config", {})
        kind = getattr(tf_keras.layers, name, None)
        if kind is None:
            return {"class_name": name, "config": _plain(keras, config)}
        # A wrapper such as Bidirectional holds a layer.
        return {
            "module": "keras.layers",
            "class_name": name,
            "config": _arguments(keras, kind, _class(keras, name), config),
            "registered_name": None,
        }
    if isinstance(value, dict):
        return {key: _plain(keras, item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(keras, item) for item in value]
    return value
