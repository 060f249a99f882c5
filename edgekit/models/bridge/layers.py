"""A Keras 3 layer's counterpart in tf_keras, made from its arguments."""

from __future__ import annotations

import inspect
from typing import Any

from edgekit.errors import BridgeError, one_line, require
from edgekit.models.bridge import activations

# Arguments that matter to training alone, that pick a kernel, or that the twin finds out by itself.
_DROPPED = {"dtype", "build_config", "seed", "use_cudnn", "flash_attention", "optional"}
# What tf_keras' LeakyReLU calls otherwise.
_RENAMED = {"negative_slope": "alpha"}
# tf_keras' own takes tf.keras for tf_keras and fails where that is Keras 3.
_BROKEN = {"SpectralNormalization"}
# Where a step is masked for one input and not for another, or every step is, the flavours differ.
_MASKED_OTHERWISE = {
    *("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate"),
    *("Softmax", "MultiHeadAttention"),
}


class NoCounterpart(Exception):
    """tf_keras has no layer that does the same."""


def rebuild(layer: Any, name: str, masked: bool = False) -> Any:
    """A layer of tf_keras that answers as `layer` does, unbuilt, without its weights.

    Args:
        layer: a built Keras 3 layer.
        name: the new layer's.
        masked: it will be called with masks.

    Raises:
        BridgeError: there is none, and the layer cannot be carried as it is.
    """
    kind = type(layer).__name__
    if getattr(layer, "quantization_mode", None) is not None:
        raise BridgeError(
            f"layer {layer.name!r} ({kind}) is quantised by Keras ({layer.quantization_mode}), "
            "expected float weights."
        )
    if getattr(layer, "stateful", False):
        raise BridgeError(
            f"layer {layer.name!r} ({kind}) is stateful: its state is no weight and would be lost. "
            "Build it with stateful=False."
        )
    try:
        if masked and kind in _MASKED_OTHERWISE:
            raise NoCounterpart(f"tf_keras' {kind} treats masks otherwise")
        return _counterpart(layer, name)
    except NoCounterpart as reason:
        return _carried(layer, name, reason)


def is_constant(layer: Any) -> bool:
    """Whether a layer's weights become constants: tf_keras would want to be told after each copy."""
    return type(layer).__name__ == "Normalization" and layer.input_mean is None


def _counterpart(layer: Any, name: str) -> Any:
    tf_keras = require("tf_keras", "export", "Bridging to tf_keras")
    kind = type(layer).__name__
    if not type(layer).__module__.startswith("keras."):
        raise NoCounterpart(f"{kind} is a layer of your own")
    if kind == "Lambda":
        # The user has trusted the code, or it would not have been loaded.
        return tf_keras.layers.Lambda(layer.function, arguments=layer.arguments, name=name)
    cls = _class(tf_keras, kind)
    given = layer.get_config()
    if is_constant(layer):
        given = {
            **given,
            "mean": _listed(layer.adapt_mean),
            "variance": _listed(layer.adapt_variance),
        }
    config = _arguments(tf_keras, type(layer), cls, given)
    config["name"] = name
    try:
        # Its from_config looks for what Keras 3 does not write.
        return cls(**config) if kind == "MultiHeadAttention" else cls.from_config(config)
    # KeyError and AttributeError: the class looks for what Keras 3 does not write.
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise NoCounterpart(
            f"tf_keras does not take its arguments: {type(error).__name__}: {one_line(error)}"
        ) from error


def _carried(layer: Any, name: str, reason: NoCounterpart) -> Any:
    """The layer itself inside one of tf_keras."""
    keras = require("keras", "export", "Bridging to tf_keras")
    from edgekit.models.bridge.carried import Carried

    try:
        config = keras.saving.serialize_keras_object(layer)
        return Carried(layer=config, name=name, trainable=layer.trainable)
    # What a layer's own get_config and from_config raise; NotImplementedError is Keras' for none.
    except (TypeError, ValueError, KeyError, AttributeError, NotImplementedError) as error:
        raise BridgeError(
            f"layer {layer.name!r} ({type(layer).__name__}) cannot be carried to tf_keras: {reason}, "
            f"and it cannot be made anew from its configuration: {type(error).__name__}: "
            f"{one_line(error)}"
        ) from error


def _class(tf_keras: Any, kind: str) -> Any:
    cls = getattr(tf_keras.layers, kind, None)
    if cls is None or kind in _BROKEN:
        raise NoCounterpart(f"tf_keras has no {kind} like it")
    return cls


def _arguments(tf_keras: Any, kind: Any, cls: Any, given: dict[str, Any]) -> dict[str, Any]:
    """What of a Keras 3 layer's arguments its tf_keras twin takes.

    Raises:
        NoCounterpart: an argument that tf_keras does not know asks for something.
    """
    known = set(inspect.signature(cls.__init__).parameters) | {"name", "trainable"}
    if issubclass(cls, tf_keras.layers.RNN):
        known.add("zero_output_for_mask")
    if cls.__name__.startswith("Global"):
        known.add("keepdims")
    defaults = inspect.signature(kind.__init__).parameters
    config = {}
    for key, value in given.items():
        if key not in known:
            key = _RENAMED.get(key, key)
        # Weights are copied, so how they were initialised does not matter.
        if key in _DROPPED or key.endswith("_initializer"):
            continue
        if key == "data_format" and value == "channels_first" and cls.__name__ != "Flatten":
            raise NoCounterpart("TensorFlow computes channels first on no CPU")
        if key not in known:
            # Channels last is all that layers without the argument know.
            plain = key == "data_format" or value in (None, False)
            if not plain and (key not in defaults or value != defaults[key].default):
                raise NoCounterpart(f"tf_keras' {cls.__name__} knows no {key}={value!r}")
        elif key.endswith("activation"):
            config[key] = activations.for_tf_keras(value)
        else:
            config[key] = _plain(tf_keras, value)
    return config


def _plain(tf_keras: Any, value: Any) -> Any:
    """Keras 3's serialised objects, reduced to what tf_keras reads: class name and config."""
    if isinstance(value, dict) and "class_name" in value:
        name, config = value["class_name"], value.get("config", {})
        if str(value.get("module", "")).startswith("keras.layers"):
            # A wrapper such as Bidirectional holds a layer.
            keras = require("keras", "export", "Bridging to tf_keras")
            kind, cls = getattr(keras.layers, name), _class(tf_keras, name)
            return {"class_name": name, "config": _arguments(tf_keras, kind, cls, config)}
        if value.get("registered_name") and value.get("module") is None:
            raise NoCounterpart(f"{name} is an object of your own")
        return {"class_name": name, "config": _plain(tf_keras, config)}
    if isinstance(value, dict):
        return {key: _plain(tf_keras, item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(tf_keras, item) for item in value]
    return value


def _listed(variable: Any) -> Any:
    return variable.numpy().tolist()
