"""Layers of tf_keras that run what only Keras 3 has: its operators, and its layers without a counterpart.

Both flavours compute with TensorFlow's tensors, so an object of the one can work inside the other.
Importing this imports both and makes the layers known to tf_keras' loaders.
"""

from __future__ import annotations

import inspect
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf
import tf_keras

from edgekit.models.bridge import activations

Config = dict[str, Any]


@dataclass(frozen=True)
class Held:
    """Kept from Keras, which would take layers, lists and dictionaries for its own."""

    config: Config
    made: Any
    template: Any = None

    def filled(self, tensors: list[Any]) -> Any:
        """The template's ``[args, kwargs]`` with tensors in their places."""
        leaves = keras.tree.flatten(self.template)
        for place, tensor in zip(self.config["places"], tensors, strict=True):
            leaves[place] = tensor
        return keras.tree.pack_sequence_as(self.template, leaves)


@tf_keras.utils.register_keras_serializable("edgekit")
class Operator(tf_keras.layers.Layer):  # type: ignore[misc]
    """One operation of keras.ops with its constants; called with its tensors as a list."""

    def __init__(self, operation: Config, arguments: Any, places: list[int], **kwargs: Any) -> None:
        """Make it anew.

        Args:
            operation: the serialised operation.
            arguments: serialised ``[args, kwargs]`` of its call, None where tensors go.
            places: where those are when the arguments are flattened.
            kwargs: as every layer takes them.
        """
        super().__init__(**{**kwargs, "autocast": False})
        # Deserialisers take things out of what they are given.
        restore = keras.saving.deserialize_keras_object
        self._held = Held(
            {"operation": operation, "arguments": arguments, "places": places},
            restore(deepcopy(operation)),
            restore(deepcopy(arguments)),
        )
        # Operations drop masks.
        self.supports_masking = False

    def call(self, inputs: Any) -> Any:
        return self._run(inputs)

    @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
    def _run(self, inputs: Any) -> Any:
        args, kwargs = self._held.filled(tf.nest.flatten(inputs))
        results = keras.tree.flatten(self._held.made(*args, **kwargs))
        return results[0] if len(results) == 1 else results

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:  # noqa: ARG002
        return None

    def of_keras(self, tensors: list[Any]) -> Any:
        """A new node of the operation in a Keras 3 graph."""
        operation = keras.saving.deserialize_keras_object(deepcopy(self._held.config["operation"]))
        args, kwargs = self._held.filled(tensors)
        return operation(*args, **kwargs)

    def get_config(self) -> Config:
        return {**super().get_config(), **self._held.config}


@tf_keras.utils.register_keras_serializable("edgekit")
class Carried(tf_keras.layers.Layer):  # type: ignore[misc]
    """A Keras 3 layer whose weights are this layer's: tf_keras trains, saves and distributes them.

    Attributes:
        carried_weights: in the order of the Keras 3 layer's.
    """

    def __init__(self, layer: Config, **kwargs: Any) -> None:
        """Make it anew from the serialised, built layer."""
        super().__init__(**{**kwargs, "autocast": False})
        inner = keras.saving.deserialize_keras_object(deepcopy(layer))
        self._held = Held(layer, inner)
        self.supports_masking = True
        self.carried_weights = [
            self.add_weight(
                name=variable.path,
                shape=variable.shape,
                dtype=variable.dtype,
                trainable=variable.trainable,
                initializer=tf_keras.initializers.Constant(variable.numpy()),
                regularizer=variable.regularizer,
                constraint=variable.constraint,
            )
            for variable in inner.weights
        ]

    @property
    def carries(self) -> Any:
        """The Keras 3 layer; its own weights are not used."""
        return self._held.made

    def bound(self, args: Any, kwargs: Any) -> tuple[Any, dict[str, Any]]:
        """Arguments of the Keras 3 layer as the first and the others by name.

        tf_keras writes down by name alone what follows the first.
        """
        given = inspect.signature(self._held.made.call).bind(*args, **kwargs)
        first, *others = given.args
        names = list(given.signature.parameters)[1:]
        return first, {**dict(zip(names, others, strict=False)), **given.kwargs}

    def call(self, inputs: Any, training: Any = None, mask: Any = None, **kwargs: Any) -> Any:
        inner = self._held.made
        if inner._call_has_training_arg:
            kwargs["training"] = training
        if mask is not None and "mask" in inspect.signature(inner.call).parameters:
            kwargs["mask"] = mask
        return self._run(inputs, kwargs)

    @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
    def _run(self, inputs: Any, kwargs: dict[str, Any]) -> Any:
        inner = self._held.made
        pairs = list(zip(inner.weights, self.carried_weights, strict=True))
        values = [(variable, tf.convert_to_tensor(own)) for variable, own in pairs]
        with keras.StatelessScope(state_mapping=values) as scope:
            results = inner(inputs, **kwargs)
        for (variable, own), (_, before) in zip(pairs, values, strict=True):
            after = scope.get_current_value(variable)
            if after is not before:
                own.assign(after)
        weights = {id(variable) for variable in inner.weights}
        for state in inner.variables:
            # Random generators move on.
            after = scope.get_current_value(state)
            if id(state) not in weights and after is not None:
                state.assign(after)
        return results

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        inner = self._held.made
        return inner.compute_mask(inputs, mask) if inner.supports_masking else None

    def get_config(self) -> Config:
        return {**super().get_config(), "layer": self._held.config}


@tf_keras.utils.register_keras_serializable("edgekit")
class Unmasked(tf_keras.layers.Layer):  # type: ignore[misc]
    """Its input without a mask: in front of layers that drop masks in Keras 3 and fail in tf_keras."""

    def call(self, inputs: Any) -> Any:
        return tf.identity(inputs)

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:  # noqa: ARG002
        return None


activations.register()
