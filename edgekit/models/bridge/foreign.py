"""A Keras 3 layer that runs what only tf_keras has: TensorFlow's operators, and layers without weights.

Importing this imports both flavours and makes the layer known to Keras 3's loader.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import keras
import tf_keras

from edgekit.models.bridge.carried import Held

Config = dict[str, Any]


@keras.saving.register_keras_serializable("edgekit")
class Foreign(keras.layers.Layer):  # type: ignore[misc]
    """One call of a tf_keras layer without weights, with its constants; takes its tensors as a list."""

    def __init__(self, layer: Config, arguments: Any, places: list[int], **kwargs: Any) -> None:
        """Make it anew.

        Args:
            layer: the serialised tf_keras layer.
            arguments: serialised ``[args, kwargs]`` of its call, None where tensors go.
            places: where those are when the arguments are flattened.
            kwargs: as every layer takes them.
        """
        super().__init__(**kwargs)
        self._held = Held(
            {"layer": layer, "arguments": arguments, "places": places},
            tf_keras.layers.deserialize(deepcopy(layer)),
            keras.saving.deserialize_keras_object(deepcopy(arguments)),
        )

    def call(self, inputs: Any, training: Any = None) -> Any:
        args, kwargs = self._held.filled(keras.tree.flatten(inputs))
        if self._held.made._expects_training_arg:
            kwargs["training"] = bool(training)
        return self._held.made(*args, **kwargs)

    def get_config(self) -> Config:
        return {**super().get_config(), **self._held.config}
