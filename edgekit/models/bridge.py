"""The bridge: a Keras 3 model's twin in tf_keras, rebuilt layer by layer, weights copied, verified.

tensorflow-model-optimization works on tf_keras alone, and tf_keras cannot read Keras 3's
configurations. So the graph is walked and each layer is made anew from its own arguments.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from edgekit.errors import BridgeError, one_line, require
from edgekit.models.source import SourceModel, from_keras

# Largest difference that counts as equal, as a share of the output's range.
TOLERANCE = 1e-5

# Ranges of the inputs on which both must agree: a ReLU's slope shows below zero only, and images
# that the model scales itself reach to 255.
_PROBES = ((-1.0, 1.0), (0.0, 1.0), (0.0, 255.0))

# Arguments that matter to training alone or that the twin finds out by itself.
_DROPPED = {"dtype", "build_config", "quantization_config", "seed", "lora_rank", "optional"}
# What tf_keras' LeakyReLU calls otherwise.
_RENAMED = {"negative_slope": "alpha"}
_CALL_KEYWORDS_DROPPED = {"training", "mask"}


@dataclass(frozen=True)
class Twin:
    """A tf_keras model and the Keras 3 layers it was made from.

    Attributes:
        source: the twin, callable by name.
        pairs: (Keras 3 layer, tf_keras layer) wherever there are weights, in graph order.
    """

    source: SourceModel
    pairs: list[tuple[Any, Any]]


def to_tf_keras(source: SourceModel) -> Twin:
    """Rebuild a Keras 3 model in tf_keras and check that both answer alike.

    Args:
        source: a Sequential or Functional model; one of tf_keras' own is its own twin.

    Raises:
        BridgeError: a layer without a counterpart, or one that answers differently; names it.
    """
    tf_keras = require("tf_keras", "export", "Bridging to tf_keras")
    if source.flavour == "tf_keras":
        return Twin(source, [])
    if source.flavour != "keras":
        raise BridgeError(
            f"{source.path}: a SavedModel has no Keras layers. Save the model as .keras or .h5."
        )
    graph = _graph(source)
    twins: dict[int, Any] = {}

    def twin_of(layer: Any) -> Any:
        if id(layer) not in twins:
            twins[id(layer)] = _rebuild(tf_keras, layer)
        return _without_keywords(twins[id(layer)])

    inputs = [
        tf_keras.Input(tuple(tensor.shape[1:]), name=spec.name, dtype=spec.dtype)
        for tensor, spec in zip(graph.inputs, source.inputs, strict=True)
    ]
    outputs = _walk(graph, inputs, twin_of, source)
    model = tf_keras.Model(inputs, outputs, name=_identifier(source.model.name))
    pairs = []
    for layer in graph.layers:
        weights = layer.get_weights()
        if weights:
            _copy(layer, weights, twins[id(layer)])
            pairs.append((layer, twins[id(layer)]))
    twin = from_keras(source.path, "tf_keras", model)
    # Outputs are the same tensors in the same order; their names are the original's.
    call = twin.call
    own = [spec.name for spec in twin.outputs]

    def renamed(tensors: Any) -> dict[str, Any]:
        results = call(tensors)
        return {spec.name: results[name] for spec, name in zip(source.outputs, own, strict=True)}

    twin = SourceModel(
        source.path, "tf_keras", model, source.inputs, source.outputs, renamed, twin.variables
    )
    _verify(source, twin, graph, twins)
    return Twin(twin, pairs)


def copy_back(twin: Twin) -> None:
    """Write the twin's weights into the Keras 3 layers it was made from."""
    for layer, copy in twin.pairs:
        layer.set_weights(copy.get_weights())


def _graph(source: SourceModel) -> Any:
    """The Functional graph of a model; a Sequential keeps one inside."""
    graph = getattr(source.model, "_functional", None) or source.model
    if not hasattr(graph, "_run_through_graph"):
        raise BridgeError(
            f"{source.path}: {type(source.model).__name__} is no Sequential or Functional model; its "
            "layers cannot be followed."
        )
    return graph


def _walk(graph: Any, inputs: list[Any], operation: Any, source: SourceModel) -> list[Any]:
    """Run the graph with `operation(layer)` in place of each layer."""
    keras = require("keras", "export", "Bridging to tf_keras")
    try:
        results = graph._run_through_graph(inputs, operation_fn=operation)
    except BridgeError as error:
        raise BridgeError(f"{source.path}: {error}") from error
    flat: list[Any] = keras.tree.flatten(results)
    return flat


def _without_keywords(layer: Any) -> Any:
    def call(*args: Any, **kwargs: Any) -> Any:
        kept = {
            key: value
            for key, value in kwargs.items()
            if key not in _CALL_KEYWORDS_DROPPED and value is not None
        }
        return layer(*args, **kept)

    return call


def _rebuild(tf_keras: Any, layer: Any) -> Any:
    """A tf_keras layer with the same arguments, unbuilt."""
    keras = require("keras", "export", "Bridging to tf_keras")
    kind = type(layer).__name__
    cls = getattr(tf_keras.layers, kind, None)
    if not isinstance(layer, keras.layers.Layer) or isinstance(layer, keras.Model) or cls is None:
        raise BridgeError(
            f"layer {layer.name!r} ({kind}) has no counterpart in tf_keras that edgekit knows."
        )
    config = _config(tf_keras, cls, layer.get_config())
    config["name"] = _identifier(layer.name)
    try:
        return cls.from_config(config)
    # KeyError and AttributeError: the twin's class looks for what Keras 3 does not write.
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise BridgeError(
            f"layer {layer.name!r} ({kind}) cannot be rebuilt in tf_keras: "
            f"{type(error).__name__}: {one_line(error)}"
        ) from error


def _config(tf_keras: Any, cls: Any, given: dict[str, Any]) -> dict[str, Any]:
    """What of a Keras 3 layer's arguments its tf_keras twin takes."""
    known = set(inspect.signature(cls.__init__).parameters) | {"name", "trainable"}
    config = {}
    for key, value in given.items():
        if key not in known:
            key = _RENAMED.get(key, key)
        # Weights are copied, so how they were initialised does not matter.
        if key in _DROPPED or key.endswith("_initializer") or key not in known:
            continue
        if key.endswith("activation") and value in _ACTIVATIONS:
            config[key] = _ACTIVATIONS[value]
        else:
            config[key] = _plain(tf_keras, value)
    return config


def _plain(tf_keras: Any, value: Any) -> Any:
    """Keras 3's serialised objects, reduced to what tf_keras reads: class name and config."""
    if isinstance(value, dict) and "class_name" in value:
        name, config = value["class_name"], value.get("config", {})
        # A wrapper such as Bidirectional holds a layer.
        cls = getattr(tf_keras.layers, name, None)
        config = _plain(tf_keras, config) if cls is None else _config(tf_keras, cls, config)
        return {"class_name": name, "config": config}
    if isinstance(value, dict):
        return {key: _plain(tf_keras, item) for key, item in value.items()}
    return value


def _hard_sigmoid(x: Any) -> Any:
    tf = require("tensorflow", "export", "Bridging to tf_keras")
    return tf.nn.relu6(x + 3.0) / 6.0


def _hard_silu(x: Any) -> Any:
    return x * _hard_sigmoid(x)


# tf_keras computes clip(0.2 x + 0.5) under the first name and has none of the others.
_ACTIVATIONS = {
    "hard_sigmoid": _hard_sigmoid,
    "hard_silu": _hard_silu,
    "hard_swish": _hard_silu,
}


def _identifier(name: str) -> str:
    # tf_keras makes variable scopes of layer names, which take fewer characters.
    return name.replace("/", "_")


def _copy(layer: Any, weights: list[Any], twin: Any) -> None:
    shapes = [tuple(w.shape) for w in weights]
    wanted = [tuple(w.shape) for w in twin.weights]
    if shapes != wanted:
        raise BridgeError(
            f"layer {layer.name!r} ({type(layer).__name__}): its weights have shapes {shapes}, its "
            f"tf_keras twin's {wanted}."
        )
    twin.set_weights(weights)


def _verify(source: SourceModel, twin: SourceModel, graph: Any, twins: dict[int, Any]) -> None:
    probed = False
    for low, high in _PROBES:
        tensors = _probe(source, low, high)
        expected, received = source.call(tensors), twin.call(tensors)
        if not all(np.isfinite(x).all() for x in expected.values()):
            # Not in the model's domain, such as the root of a negative number.
            continue
        probed = True
        if not all(_close(expected[name], received[name]) for name in expected):
            _blame(source, tensors, graph, twins)
    if not probed:
        raise BridgeError(
            f"{source.path}: the model's answers to random inputs are not finite, so its tf_keras "
            "twin cannot be verified."
        )


def _probe(source: SourceModel, low: float, high: float) -> dict[str, Any]:
    tf = require("tensorflow", "export", "Bridging to tf_keras")
    rng = np.random.default_rng(0)
    return {
        spec.name: tf.constant(rng.uniform(low, high, spec.concrete_shape(4)), spec.dtype)
        if spec.dtype.startswith("float")
        else tf.zeros(spec.concrete_shape(4), spec.dtype)
        for spec in source.inputs
    }


def _blame(
    source: SourceModel, tensors: dict[str, Any], graph: Any, twins: dict[int, Any]
) -> NoReturn:
    """Find the first layer whose twin answers differently to what the original layer got."""

    def compared(layer: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            kwargs.pop("training", None)
            right = layer(*args, **kwargs)
            if not _close(right, _without_keywords(twins[id(layer)])(*args, **kwargs)):
                raise BridgeError(
                    f"layer {layer.name!r} ({type(layer).__name__}) answers differently in tf_keras, "
                    f"by more than {TOLERANCE:g} of its output's range."
                )
            return right

        return call

    _walk(graph, list(tensors.values()), compared, source)
    raise BridgeError(f"{source.path}: the tf_keras twin answers differently.")


def _close(expected: Any, received: Any) -> bool:
    a, b = np.asarray(expected, np.float64), np.asarray(received, np.float64)
    span = float(np.ptp(a)) or 1.0
    return a.shape == b.shape and bool(np.max(np.abs(a - b), initial=0.0) <= TOLERANCE * span)
