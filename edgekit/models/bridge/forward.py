"""Keras 3 to tf_keras."""

from __future__ import annotations

from typing import Any

from edgekit.errors import BridgeError, one_line, require
from edgekit.models.bridge import layers, operators, walk, weights
from edgekit.models.bridge.twin import Twin, unique, wrapped
from edgekit.models.bridge.verify import Traced, tables_of, verify
from edgekit.models.source import SourceModel

# What layers call the masks that come with tensors; `attention_mask` is always the user's.
_MASKS = {"mask", "query_mask", "value_mask", "key_mask"}


def to_tf_keras(source: SourceModel) -> Twin:
    """Rebuild a Keras 3 model in tf_keras and check that both answer alike.

    The twin is a Functional model without nested models: what was nested are layers among others,
    which is what tensorflow-model-optimization takes. Operations of `keras.ops` and layers that
    tf_keras has no counterpart of are run inside layers of edgekit's own. It computes in float32.

    Args:
        source: a Sequential or Functional model; one of tf_keras' own is its own twin.

    Raises:
        BridgeError: a layer that cannot be carried over, or one that answers differently; names it.
    """
    require("tf_keras", "export", "Bridging to tf_keras")
    if source.flavour == "tf_keras":
        return Twin(source, [])
    if source.flavour != "keras":
        raise BridgeError(
            f"{source.path}: a SavedModel has no Keras layers. Save the model as .keras or .h5."
        )
    graph = walk.graph_of(source.model)
    if graph is None:
        raise BridgeError(
            f"{source.path}: {type(source.model).__name__} is no Sequential or Functional model; its "
            "layers cannot be followed."
        )
    with walk.in_float32(source.model):
        return _bridge(source, graph)


def _bridge(source: SourceModel, graph: Any) -> Twin:
    tf_keras = require("tf_keras", "export", "Bridging to tf_keras")
    inputs = [
        tf_keras.Input(
            tuple(tensor.shape[1:]),
            batch_size=tensor.shape[0],
            name=spec.name,
            dtype=spec.dtype if not spec.dtype.endswith("float16") else "float32",
        )
        for tensor, spec in zip(graph.inputs, source.inputs, strict=True)
    ]
    build = _Builder(*(spec.name for spec in source.inputs))
    outputs = walk.run(source, inputs, build)
    model = tf_keras.Model(inputs, outputs, name=source.model.name.replace("/", "_"))
    pairs = [(layer, twin) for layer, twin in build.layers.values() if twin.weights]
    twin = wrapped(source, "tf_keras", model)
    names = [f"{op.name!r} ({type(op).__name__})" for op, _ in build.steps]

    def original(tensors: list[Any]) -> list[list[Any]]:
        steps: list[list[Any]] = []

        def leaf(operation: Any, args: Any, kwargs: Any) -> Any:
            results = operation(*args, **kwargs)
            steps.append(_flat(results))
            return results

        walk.run(source, tensors, leaf)
        return steps

    def of_twin(tensors: list[Any]) -> list[list[Any]]:
        results: list[list[Any]] = tf_keras.Model(inputs, [step for _, step in build.steps])(
            tensors
        )
        return results

    tables = tables_of(layer for layer, _ in build.layers.values())
    verify(source, twin, Traced(names, original, of_twin), tables)
    return Twin(twin, pairs)


class _Builder:
    """Makes a layer of tf_keras for each of Keras 3, and calls it.

    Attributes:
        layers: (Keras 3 layer, its twin) by the former's identity.
        steps: each call that was walked: the operation, and the twin's results.
    """

    def __init__(self, *names: str) -> None:
        self.layers: dict[int, tuple[Any, Any]] = {}
        self.steps: list[tuple[Any, list[Any]]] = []
        self._operations: dict[tuple[int, str], Any] = {}
        self._name = unique(names)

    def __call__(self, operation: Any, args: Any, kwargs: Any) -> Any:
        keras = require("keras", "export", "Bridging to tf_keras")
        try:
            if isinstance(operation, keras.layers.Layer):
                results = self._call_layer(operation, args, kwargs)
            else:
                results = self._call_operation(operation, args, kwargs)
        # tf_keras infers shapes where it is called; what it says is about this layer.
        except (TypeError, ValueError, NotImplementedError) as error:
            raise BridgeError(
                f"layer {operation.name!r} ({type(operation).__name__}) cannot be called in tf_keras: "
                f"{one_line(error)}"
            ) from error
        self.steps.append((operation, _flat(results)))
        return results

    def _call_layer(self, layer: Any, args: Any, kwargs: Any) -> Any:
        fresh = id(layer) not in self.layers
        automatic = operators.is_masked(_flat([args, kwargs]))
        if fresh:
            masked = automatic or "attention_mask" in kwargs or not _MASKS.isdisjoint(kwargs)
            made = layers.rebuild(layer, self._name(layer.name), masked)
            self.layers[id(layer)] = (layer, made)
        twin = self.layers[id(layer)][1]
        if automatic:
            # Keras 3 writes down the masks that tensors bring along; tf_keras finds them itself.
            kwargs = {key: value for key, value in kwargs.items() if key not in _MASKS}
        if not layer.supports_masking:
            args, kwargs = self._unmasked([args, kwargs])
        if hasattr(twin, "carries"):
            first, kwargs = twin.bound(args, kwargs)
            args = (first,)
        results = twin(*args, **kwargs)
        if fresh and not layers.is_constant(layer):
            weights.copy(layer, twin)
        return results

    def _call_operation(self, operation: Any, args: Any, kwargs: Any) -> Any:
        if not any(operators.is_symbolic(leaf) for leaf in _flat([args, kwargs])):
            # A constant of the graph.
            return operation(*args, **kwargs)
        key = (id(operation), operators.key_of(operation, args, kwargs))
        tensors = None
        if key not in self._operations:
            name = self._name(operation.name)
            self._operations[key], tensors = operators.layer_for(operation, args, kwargs, name)
        if tensors is None:
            tensors = [leaf for leaf in _flat([args, kwargs]) if operators.is_symbolic(leaf)]
            tensors = tensors[0] if len(tensors) == 1 else tensors
        return self._operations[key](tensors)

    def _unmasked(self, arguments: Any) -> Any:
        """Arguments without masks, for a layer that would drop them in Keras 3."""
        keras = require("keras", "export", "Bridging to tf_keras")
        from edgekit.models.bridge.carried import Unmasked

        def bare(value: Any) -> Any:
            if not operators.is_symbolic(value) or not operators.is_masked([value]):
                return value
            return Unmasked(name=self._name("unmasked"))(value)

        return keras.tree.map_structure(bare, arguments)


def _flat(structure: Any) -> list[Any]:
    keras = require("keras", "export", "Bridging to tf_keras")
    flat: list[Any] = keras.tree.flatten(structure)
    return flat
