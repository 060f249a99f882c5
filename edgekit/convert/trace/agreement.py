"""Agreement: whether a trace that was written otherwise answers as the model does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.calibration.probes import batches
from edgekit.calibration.seeded import seeded
from edgekit.errors import require
from edgekit.models.source import SourceModel
from edgekit.samples import Samples
from edgekit.tensor import TensorSpec

# How far answers may lie apart: of an output's range, and of its largest value, which is what
# float32 itself comes to.
_OF_RANGE, _OF_LARGEST = 1e-5, 1e-6
_CALLS = 4
# The share of steps that are masked in seeded inputs.
_MASKED = 0.3

_Inputs = dict[str, NDArray[Any]]


def agrees(
    function: Any,
    source: SourceModel,
    specs: Sequence[TensorSpec],
    layers: Sequence[Any],
    samples: Samples | None = None,
) -> bool:
    """Whether `function` gives what the model gives, called a few times in turn.

    Args:
        function: a concrete function of the model's inputs by name.
        source: the model; its states are as they were afterwards.
        specs: the inputs of `function`.
        layers: all layers of the model.
        samples: what to call both with, under the model's input names; without any, seeded ones,
            in which some steps are masked.

    Returns:
        False as well where one of the two cannot be called with that.
    """
    tf = require("tensorflow", "export", "Exporting a model")
    batch = next((spec.shape[0] for spec in specs if spec.shape), None) or 2
    calls = list(islice(_calls(source, layers, samples, batch), _CALLS))
    answers = []
    try:
        for call in (source.call, lambda tensors: function(**tensors)):
            with source.from_zero():
                answers.append([_run(tf, call, specs, inputs) for inputs in calls])
    except (tf.errors.OpError, ValueError, TypeError):
        return False
    return all(
        _alike(
            np.stack([each[name] for each in answers[0]]), np.stack([e[name] for e in answers[1]])
        )
        for name in answers[0][0]
    )


def _run(tf: Any, call: Any, specs: Sequence[TensorSpec], inputs: _Inputs) -> _Inputs:
    tensors = {spec.name: tf.constant(inputs[spec.name], spec.dtype) for spec in specs}
    return {name: np.asarray(tensor) for name, tensor in call(tensors).items()}


def _alike(expected: NDArray[Any], received: NDArray[Any]) -> bool:
    if expected.dtype.kind != "f" or expected.shape != received.shape or not expected.size:
        return np.array_equal(expected, received)
    allowed = _OF_RANGE * np.ptp(expected) + _OF_LARGEST * np.abs(expected).max()
    return np.allclose(received, expected, rtol=0.0, atol=allowed, equal_nan=True)


def _calls(
    source: SourceModel, layers: Sequence[Any], samples: Samples | None, batch: int
) -> Iterator[_Inputs]:
    if samples is not None:
        yield from batches(samples, batch)
        return
    rng = np.random.default_rng(0)
    marks = [0.0, *(layer.mask_value for layer in layers if hasattr(layer, "mask_value"))]
    for inputs in batches(seeded(source, _CALLS * batch), batch):
        for values in inputs.values():
            if values.dtype.kind == "f" and values.ndim > 2:
                values[rng.random(values.shape[:2]) < _MASKED] = rng.choice(marks)
        yield inputs
