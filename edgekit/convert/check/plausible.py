"""Plausible: whether calibration samples can be what the model was trained on, told by the model itself.

Pixels from 0 to 255 given to a model that was trained on 0 to 1, or the other way round, make ranges that
no label would show to be wrong before the files are used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.convert.check.reference import CALIBRATION, Reference
from edgekit.errors import ExportError, require

# How many times too large or too small values have to be, for a layer that knows better, to be named.
_FACTOR = 16.0
# Samples that a layer is asked for.
_SAMPLES = 32
# A model that gives all samples one class, this sure of it on average, was given one class; an untrained
# one is not sure of anything.
_LEAST_CLASSES, _SURE = 3, 0.9


def implausible(reference: Reference) -> tuple[str, ...]:
    """What speaks against the calibration samples, a sentence each; nothing about seeded inputs."""
    if reference.origin != CALIBRATION:
        return ()
    tf = require("tensorflow", "export", "Checking a file")
    try:
        return (*_scales(reference), *_one_class(reference))
    # What Keras and its layers raise where a part of a model cannot be run by itself, and the model where
    # it cannot be run at all: the check of each file says that.
    except (ExportError, AttributeError, RuntimeError, TypeError, ValueError, tf.errors.OpError):
        return ()


def _scales(reference: Reference) -> Iterator[str]:
    """The first layer that holds statistics of its own, if they are far from those of the samples."""
    source = reference.source
    layers = [each for each in getattr(source.model, "layers", ()) if _knows(each) is not None]
    if not layers:
        return
    tf = require("tensorflow", "export", "Checking a file")
    keras = require(source.flavour, "export", "Checking a file")
    layer = layers[0]
    inner = keras.Model(source.model.inputs, layer.input)
    given = [
        tf.constant(reference.samples.inputs[spec.name][:_SAMPLES], spec.dtype)
        for spec in source.inputs
    ]
    seen = np.asarray(inner(given if len(given) > 1 else given[0], training=False), np.float64)
    expected = _knows(layer)
    assert expected is not None
    factor = _size(seen.reshape(-1, seen.shape[-1])) / expected
    if factor > _FACTOR or factor < 1 / _FACTOR:
        many = f"{factor:.0f} times larger" if factor > 1 else f"{1 / factor:.0f} times smaller"
        yield (
            f"calibration samples: what reaches layer {layer.name!r} is {many} than what the layer was "
            "trained on. Prepare the samples as in training, pixels divided by 255 or not."
        )


def _knows(layer: Any) -> float | None:
    """The root mean square that a layer for normalisation learned of its input; None if it learned none."""
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
    size = float(np.sqrt(np.median(np.square(mean.astype(np.float64)) + variance)))
    return size or None


def _size(values: NDArray[np.float64]) -> float:
    """The root mean square of the middle channel."""
    return float(np.sqrt(np.median(np.square(values).mean(0))))


def _one_class(reference: Reference) -> Iterator[str]:
    for name, answers in reference.answers.items():
        classes = answers.shape[-1] if answers.ndim == 2 else 0
        if classes < _LEAST_CLASSES or answers.dtype.kind != "f" or len(answers) < _SAMPLES:
            continue
        sums = answers.sum(-1)
        if not (answers.min() >= 0 and np.allclose(sums, 1, atol=1e-3)):
            continue
        best = answers.argmax(-1)
        if (best == best[0]).all() and answers.max(-1).mean() > _SURE:
            yield (
                f"calibration samples: the model answers class {int(best[0])} to all {len(best)} that were "
                f"looked at (output {name!r}). Give samples of all classes."
            )
