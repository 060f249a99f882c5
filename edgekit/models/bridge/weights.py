"""Weights from the layers of one flavour to those of the other, and back."""

from __future__ import annotations

from typing import Any

from edgekit.errors import BridgeError, require
from edgekit.models.bridge.twin import Twin


def copy(layer: Any, twin: Any) -> None:
    """Write the weights of `layer` into the layer made from it.

    Random generators' states are no weights and stay as they are. 16-bit weights become float32.

    Raises:
        BridgeError: the weights have other shapes.
    """
    _assign(weights_of(layer), weights_of(twin), layer)


def copy_back(twin: Twin) -> None:
    """Write the twin's weights into the layers it was made from."""
    for layer, made in twin.pairs:
        _assign(weights_of(made), weights_of(layer), layer)


def weights_of(layer: Any) -> list[Any]:
    """A layer's variables, trained or not, in the order that both flavours share."""
    # What carries a Keras 3 layer keeps that layer's order; tf_keras puts trainable ones first.
    return list(getattr(layer, "carried_weights", layer.weights))


def _assign(given: list[Any], taken: list[Any], layer: Any) -> None:
    tf = require("tensorflow", "export", "Bridging")
    shapes, wanted = ([tuple(v.shape) for v in side] for side in (given, taken))
    if shapes != wanted:
        raise BridgeError(
            f"layer {layer.name!r} ({type(layer).__name__}): received weights of shapes {shapes}, "
            f"expected {wanted}."
        )
    for source, target in zip(given, taken, strict=True):
        target.assign(tf.cast(source.numpy(), target.dtype))
