"""tf_keras to Keras 3."""

from __future__ import annotations

from typing import Any

from edgekit.errors import BridgeError, one_line, require
from edgekit.models.bridge import layers_back, operators_back, walk_tf, weights
from edgekit.models.bridge.layers import NoCounterpart, is_constant
from edgekit.models.bridge.twin import Twin, unique, wrapped
from edgekit.models.bridge.verify import Traced, tables_of, verify
from edgekit.models.source import SourceModel


def to_keras(source: SourceModel) -> Twin:
    """Rebuild a tf_keras model in Keras 3 and check that both answer alike.

    The twin is a Functional model without nested models, as `to_tf_keras` makes it, and computes in
    float32. What that carried over comes out as it went in.

    Args:
        source: a Sequential or Functional model; one of Keras 3's own is its own twin.

    Raises:
        BridgeError: a layer that cannot be carried over, or one that answers differently; names it.
    """
    require("keras", "export", "Bridging to Keras 3")
    if source.flavour == "keras":
        return Twin(source, [])
    if source.flavour != "tf_keras":
        raise BridgeError(
            f"{source.path}: a SavedModel has no Keras layers. Save the model as .keras or .h5."
        )
    if not source.model._is_graph_network:
        raise BridgeError(
            f"{source.path}: {type(source.model).__name__} is no Sequential or Functional model; its "
            "layers cannot be followed."
        )
    with walk_tf.in_float32(source.model):
        return _bridge(source)


def _bridge(source: SourceModel) -> Twin:
    keras = require("keras", "export", "Bridging to Keras 3")
    inputs = [
        keras.Input(
            batch_shape=tuple(tensor.shape),
            name=spec.name,
            dtype="float32" if spec.dtype.endswith("float16") else spec.dtype,
        )
        for tensor, spec in zip(source.model.inputs, source.inputs, strict=True)
    ]
    build = _Builder(*(spec.name for spec in source.inputs))
    outputs = walk_tf.run(source, inputs, build)
    model = keras.Model(_one(inputs), _one(outputs), name=source.model.name.replace("/", "_"))
    twin = wrapped(source, "keras", model)
    names = [f"{layer.name!r} ({type(layer).__name__})" for layer, _ in build.steps]

    def original(tensors: list[Any]) -> list[list[Any]]:
        steps: list[list[Any]] = []

        def leaf(layer: Any, args: Any, kwargs: Any) -> Any:
            results = layer(*args, **kwargs)
            steps.append(_flat(results))
            return results

        walk_tf.run(source, tensors, leaf)
        return steps

    def of_twin(tensors: list[Any]) -> list[list[Any]]:
        results: list[list[Any]] = keras.Model(inputs, [step for _, step in build.steps])(tensors)
        return results

    made = build.layers.values()
    verify(source, twin, Traced(names, original, of_twin), tables_of(layer for layer, _ in made))
    return Twin(twin, [(layer, copy) for layer, copy in made if copy.weights and layer.weights])


class _Builder:
    """Makes a layer of Keras 3 for each of tf_keras, and calls it.

    Attributes:
        layers: (tf_keras layer, its twin) by the former's identity.
        steps: each call that was walked: the layer, and the twin's results.
    """

    def __init__(self, *names: str) -> None:
        self.layers: dict[int, tuple[Any, Any]] = {}
        self.steps: list[tuple[Any, list[Any]]] = []
        self._name = unique(names)

    def __call__(self, layer: Any, args: Any, kwargs: Any) -> Any:
        kwargs = {key: value for key, value in kwargs.items() if value is not None}
        try:
            results = self._call(layer, args, kwargs)
        # Keras 3 infers shapes where it is called; what it says is about this layer.
        except (TypeError, ValueError, NotImplementedError) as error:
            raise BridgeError(
                f"layer {layer.name!r} ({type(layer).__name__}) cannot be called in Keras 3: "
                f"{one_line(error)}"
            ) from error
        self.steps.append((layer, _flat(results)))
        return results

    def _call(self, layer: Any, args: Any, kwargs: Any) -> Any:
        kind = type(layer).__name__
        if hasattr(layer, "of_keras"):
            return layer.of_keras(_flat(args))
        if kind == "Unmasked":
            # Keras 3 drops masks itself in front of what does not take them.
            return args[0]
        fresh = id(layer) not in self.layers
        if fresh:
            try:
                made = layers_back.rebuild(layer, self._name(layer.name))
            except NoCounterpart as reason:
                if layer.weights:
                    raise BridgeError(
                        f"layer {layer.name!r} ({kind}) has weights, and {reason}."
                    ) from reason
                return operators_back.call(layer, args, kwargs, self._name(layer.name))
            self.layers[id(layer)] = (layer, made)
        twin = self.layers[id(layer)][1]
        args, kwargs = _states_apart(layer, args, kwargs)
        results = twin(*args, **kwargs)
        if fresh and not is_constant(layer):
            weights.copy(layer, twin)
        return results


def _states_apart(layer: Any, args: Any, kwargs: Any) -> Any:
    """tf_keras writes initial states down behind the input, Keras 3 takes them by name."""
    tf_keras = require("tf_keras", "export", "Bridging to Keras 3")
    recurrent = isinstance(layer, (tf_keras.layers.RNN, tf_keras.layers.Bidirectional))
    if recurrent and args and isinstance(args[0], (list, tuple)):
        first, *states = args[0]
        return (first,), {**kwargs, "initial_state": states}
    return args, kwargs


def _one(tensors: list[Any]) -> Any:
    # As most users build models, and read them.
    return tensors[0] if len(tensors) == 1 else tensors


def _flat(structure: Any) -> list[Any]:
    keras = require("keras", "export", "Bridging to Keras 3")
    flat: list[Any] = keras.tree.flatten(structure)
    return flat
