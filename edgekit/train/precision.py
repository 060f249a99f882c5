"""Mixed precision: a twin of a model that computes in 16 bits and keeps its weights in 32."""

from __future__ import annotations

from typing import Any

from edgekit.errors import TrainingError, one_line

# What scales raw values: 255.0 and 254.5 are one number in bfloat16.
_SCALING = ("Rescaling", "Normalization")


def in_policy(keras: Any, model: Any, policy: str) -> Any:
    """The same network with the same weights, its layers computing as `policy` says.

    Scaling layers and those that give the model's outputs stay in float32.

    Args:
        keras: Keras 3.
        model: Functional or Sequential.
        policy: ``"mixed_bfloat16"`` or ``"mixed_float16"``.

    Raises:
        TrainingError: the model cannot be rebuilt from its layers.
    """
    last = {tensor._keras_history.operation.name for tensor in model.outputs}

    def rebuilt(layer: Any) -> Any:
        config = layer.get_config()
        if layer.name not in last and type(layer).__name__ not in _SCALING:
            config["dtype"] = policy
        return type(layer).from_config(config)

    try:
        twin = keras.models.clone_model(model, clone_function=rebuilt)
    except (TypeError, ValueError, NotImplementedError) as error:
        raise TrainingError(
            f"training: precision {policy!r}: the model cannot be rebuilt from its layers "
            f"({one_line(error)}). Use precision 'float32'."
        ) from error
    twin.set_weights(model.get_weights())
    return twin
