"""A Keras 3 layer that runs what only tf_keras has: TensorFlow's operators, and layers without weights.

Importing this imports both flavours and makes the layer known to Keras 3's loader.
"""

from __future__ import annotations

import re
from copy import deepcopy
from typing import Any

import keras
import tf_keras

from edgekit.errors import UntrustedCodeError
from edgekit.models.bridge.carried import Held

Config = dict[str, Any]

# Operators that compute with tensors alone. Others of TensorFlow read and write files or run Python.
_SAFE = re.compile(
    r"(__operators__|math|nn|linalg|image|signal|bitwise|compat\.v1\.(math|nn|linalg))\.\w+(\.\w+)?"
    r"|abs|add|argmax|argmin|argsort|boolean_mask|broadcast_to|cast|clip_by_value|concat|cos|cumsum"
    r"|divide|einsum|equal|exp|expand_dims|fill|floor|gather|gather_nd|greater|greater_equal|identity"
    r"|less|less_equal|logical_and|logical_not|logical_or|matmul|maximum|minimum|multiply|negative"
    r"|norm|not_equal|one_hot|ones_like|pad|pow|range|rank|reduce_\w+|repeat|reshape|reverse|roll"
    r"|round|scalar_mul|shape|sigmoid|sign|sin|slice|sort|split|sqrt|square|squeeze|stack"
    r"|strided_slice|subtract|tan|tanh|tensordot|tile|transpose|truediv|unstack|where|zeros_like"
    r"|compat\.v1\.(transpose|gather|squeeze|expand_dims|where)"
)


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

        Raises:
            UntrustedCodeError: it is an operator that reaches beyond its tensors.
        """
        super().__init__(**kwargs)
        symbol = (
            str(layer["config"].get("function", "")) if "OpLambda" in layer["class_name"] else ""
        )
        if symbol and not _SAFE.fullmatch(symbol):
            raise UntrustedCodeError(
                f"layer {self.name!r} calls tf.{symbol}, which may reach beyond the model."
            )
        self._held = Held(
            {"layer": layer, "arguments": arguments, "places": places},
            tf_keras.layers.deserialize(deepcopy(layer)),
            keras.saving.deserialize_keras_object(deepcopy(arguments)),
        )

    def call(self, inputs: Any) -> Any:
        args, kwargs = self._held.filled(keras.tree.flatten(inputs))
        return self._held.made(*args, **kwargs)

    def get_config(self) -> Config:
        return {**super().get_config(), **self._held.config}
