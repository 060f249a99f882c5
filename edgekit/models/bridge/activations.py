"""Activation functions under names that both flavours can read back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgekit.errors import require

# The same function under the same name in both flavours. The others that both have differ:
# hard_sigmoid is clip(0.2 x + 0.5) in tf_keras.
_SAME: str = (
    "linear relu relu6 elu selu exponential gelu sigmoid tanh silu swish softmax softplus softsign "
    "log_softmax mish"
)
# What Keras 3 alone has, or has otherwise.
_ONLY_KERAS: str = (
    "celu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu log_sigmoid "
    "soft_shrink sparse_plus sparse_sigmoid sparsemax squareplus tanh_shrink threshold"
)
_PACKAGE = "edgekit"


def for_tf_keras(value: Any) -> Any:
    """A name that tf_keras knows, or a function it can write down, for a Keras 3 activation.

    Args:
        value: as it stands in a layer's configuration: a name, or what stands for a function.
    """
    if value is None or (isinstance(value, str) and value in _SAME.split()):
        return value
    keras = require("keras", "export", "Bridging to tf_keras")
    name = value if isinstance(value, str) else value.get("registered_name") or value["config"]
    tf_keras = require("tf_keras", "export", "Bridging to tf_keras")
    return _registered(tf_keras.utils, name, keras.activations.get(value))


def for_keras(value: Any) -> Any:
    """The same the other way."""
    if value is None or (isinstance(value, str) and value in _SAME.split()):
        return value
    keras = require("keras", "export", "Bridging to Keras 3")
    tf_keras = require("tf_keras", "export", "Bridging to Keras 3")
    name = value if isinstance(value, str) else value["config"]
    if isinstance(name, str) and name.startswith(f"{_PACKAGE}>"):
        known = name.removeprefix(f"{_PACKAGE}>")
        return known if hasattr(keras.activations, known) else keras.activations.get(name)
    return _registered(keras.saving, f"tf_{name}", tf_keras.activations.get(value))


def register() -> None:
    """Make known what files of twins name: functions that only the other flavour has."""
    for name in _ONLY_KERAS.split():
        for_tf_keras(name)
    for_keras("hard_sigmoid")


def _registered(registry: Any, name: str, function: Callable[[Any], Any]) -> Any:
    known = registry.get_registered_object(f"{_PACKAGE}>{name}")
    if known is not None:
        return known

    def activation(x: Any) -> Any:
        return function(x)

    activation.__name__ = name.rpartition(">")[2]
    return registry.register_keras_serializable(_PACKAGE, name)(activation)
