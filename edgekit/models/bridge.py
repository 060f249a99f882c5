"""The bridge: a Keras 3 model's twin in tf_keras, rebuilt layer by layer, weights copied, verified.

tensorflow-model-optimization works on tf_keras alone, and tf_keras cannot read Keras 3's
configurations. So the graph is walked and each layer is made anew from its own arguments.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgekit.errors import BridgeError, require
from edgekit.models.source import SourceModel, from_keras

# Largest difference that counts as equal, as a share of the output's range.
TOLERANCE = 1e-5

# Arguments that matter to training alone or that the twin finds out by itself.
_DROPPED = {"dtype", "build_config", "quantization_config", "seed", "lora_rank", "optional"}
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
    known = set(inspect.signature(cls.__init__).parameters) | {"name", "trainable"}
    config = {}
    for key, value in layer.get_config().items():
        # Weights are copied, so how they were initialised does not matter.
        if key in _DROPPED or key.endswith("_initializer") or key not in known:
            continue
        config[key] = _plain(value)
    config["name"] = _identifier(layer.name)
    try:
        return cls.from_config(config)
    except (TypeError, ValueError) as error:
        raise BridgeError(f"layer {layer.name!r} ({kind}) cannot be rebuilt: {error}") from error


def _plain(value: Any) -> Any:
    """Keras 3's serialised objects, reduced to what tf_keras reads: class name and config."""
    if isinstance(value, dict) and "class_name" in value:
        return {"class_name": value["class_name"], "config": _plain(value.get("config", {}))}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


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
    tf = require("tensorflow", "export", "Bridging to tf_keras")
    rng = np.random.default_rng(0)
    tensors = {
        spec.name: tf.constant(rng.uniform(0, 1, spec.concrete_shape(4)), spec.dtype)
        if spec.dtype.startswith("float")
        else tf.zeros(spec.concrete_shape(4), spec.dtype)
        for spec in source.inputs
    }
    expected, received = source.call(tensors), twin.call(tensors)
    if all(_close(expected[name], received[name]) for name in expected):
        return

    # Find the layer: feed each twin what the original layer got.
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
