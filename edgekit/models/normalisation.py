"""Normalisation: what a model's first layer with statistics of its own learned, held against samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import require
from edgekit.models.source import SourceModel

Floats = NDArray[np.float64]

# Samples that a layer runs on.
_SAMPLES = 32
_PURPOSE = "Holding samples against a model"


def first_statistics(
    source: SourceModel, inputs: Mapping[str, NDArray[Any]]
) -> tuple[str, float, float] | None:
    """How what reaches the first such layer compares with what the layer learned.

    Args:
        source: the model.
        inputs: samples by the model's input names; the first 32 are used.

    Returns:
        The layer's name; how many times larger the values are than in training, by the root mean
        square of the middle channel; and how far their mean is off, in standard deviations, of the
        middle channel. None where no layer learned any, or the model cannot be run in parts.
    """
    layers = [each for each in getattr(source.model, "layers", ()) if _learned(each) is not None]
    if not layers:
        return None
    tf = require("tensorflow", "export", _PURPOSE)
    keras = require(source.flavour, "export", _PURPOSE)
    # What Keras and its layers raise where a part of a model cannot be run by itself, and the model
    # where it cannot be run at all.
    try:
        layer = layers[0]
        inner = keras.Model(source.model.inputs, layer.input)
        given = [tf.constant(inputs[s.name][:_SAMPLES], s.dtype) for s in source.inputs]
        answer = inner(given if len(given) > 1 else given[0], training=False)
        seen = np.asarray(answer, np.float64)
    except (AttributeError, RuntimeError, TypeError, ValueError, tf.errors.OpError):
        return None
    known = _learned(layer)
    assert known is not None
    mean, variance = known
    seen = np.moveaxis(seen, _channels_axis(layer), -1)
    values = seen.reshape(-1, seen.shape[-1])
    if mean.size not in (1, values.shape[-1]):
        # Statistics along several axes.
        return None
    size = float(np.sqrt(np.median(np.square(mean) + variance)))
    found = float(np.sqrt(np.median(np.square(values).mean(0))))
    if not size or not np.isfinite(found):
        return None
    deviation = np.sqrt(np.maximum(variance, 1e-12 + 1e-6 * np.square(mean)))
    shift = float(np.median(np.abs(values.mean(0) - mean) / deviation))
    return layer.name, found / size, shift


def _channels_axis(layer: Any) -> int:
    """Of the layer's input: 1 where channels come first; the last one where there are several, or none."""
    axis = layer.axis
    if isinstance(axis, int):
        return axis
    return int(axis[0]) if axis is not None and len(axis) == 1 else -1


def _learned(layer: Any) -> tuple[Floats, Floats] | None:
    """Mean and variance that a layer for normalisation learned of its input's channels."""
    kind = type(layer).__name__
    if kind == "BatchNormalization":
        mean, variance = np.asarray(layer.moving_mean), np.asarray(layer.moving_variance)
        # As it was made, before any training.
        if not mean.any() and (variance == 1).all():
            return None
    elif kind == "Normalization" and getattr(layer, "mean", None) is not None:
        mean, variance = np.asarray(layer.mean), np.asarray(layer.variance)
    else:
        return None
    return mean.astype(np.float64).ravel(), variance.astype(np.float64).ravel()
