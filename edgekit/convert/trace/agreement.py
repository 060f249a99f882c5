"""Agreement: whether a trace that was written otherwise answers as the model does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.calibration.probes import batches
from edgekit.errors import require
from edgekit.models.source import SourceModel
from edgekit.samples import Samples
from edgekit.tensor import TensorSpec

# How far answers may lie apart: of an output's range, and of its largest value, which is what
# float32 itself comes to.
_OF_RANGE, _OF_LARGEST = 1e-5, 1e-6
_CALLS = 4

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
        samples: what to call both with, under the model's input names; without any, seeded values
            that every layer takes, in which some steps are masked.

    Returns:
        False as well where one of the two cannot be called with that.
    """
    tf = require("tensorflow", "export", "Exporting a model")
    batch = next((spec.shape[0] for spec in specs if spec.shape), None) or 2
    calls = list(islice(_calls(specs, layers, samples, batch), _CALLS))
    answers = []
    try:
        for call in (source.call, lambda tensors: function(**tensors)):
            with from_zero(source):
                answers.append([_run(tf, call, specs, inputs) for inputs in calls])
    except (tf.errors.OpError, ValueError, TypeError):
        return False
    return all(
        _alike(
            np.stack([each[name] for each in answers[0]]), np.stack([e[name] for e in answers[1]])
        )
        for name in answers[0][0]
    )


@contextmanager
def from_zero(source: SourceModel) -> Iterator[None]:
    """Let the states of stateful layers be zero, and afterwards what they were."""
    before = [state.numpy() for state in source.states]
    source.reset()
    try:
        yield
    finally:
        for state, value in zip(source.states, before, strict=True):
            state.assign(value)


def _run(tf: Any, call: Any, specs: Sequence[TensorSpec], inputs: _Inputs) -> _Inputs:
    tensors = {spec.name: tf.constant(inputs[spec.name], spec.dtype) for spec in specs}
    return {name: np.asarray(tensor) for name, tensor in call(tensors).items()}


def _alike(expected: NDArray[Any], received: NDArray[Any]) -> bool:
    if expected.dtype.kind != "f" or expected.shape != received.shape or not expected.size:
        return np.array_equal(expected, received)
    allowed = _OF_RANGE * np.ptp(expected) + _OF_LARGEST * np.abs(expected).max()
    return np.allclose(received, expected, rtol=0.0, atol=allowed, equal_nan=True)


def _calls(
    specs: Sequence[TensorSpec], layers: Sequence[Any], samples: Samples | None, batch: int
) -> Iterator[_Inputs]:
    if samples is not None:
        yield from batches(samples, batch)
        return
    rng = np.random.default_rng(0)
    marks = [0.0, *(layer.mask_value for layer in layers if hasattr(layer, "mask_value"))]
    while True:
        yield {
            spec.name: _seeded(rng, (batch, *spec.shape[1:]), np.dtype(spec.dtype), marks)
            for spec in specs
        }


def _seeded(
    rng: np.random.Generator, shape: tuple[Any, ...], dtype: np.dtype[Any], marks: Sequence[float]
) -> NDArray[Any]:
    """Values from 0 up to 2, which an embedding takes as well, with masked steps among them."""
    if dtype.kind not in "fc":
        return rng.integers(0, 2, shape).astype(dtype)
    values = rng.uniform(0.0, 2.0, shape)
    if len(shape) > 2:
        values[rng.random(shape[:2]) < 0.3] = rng.choice(marks)
    return values.astype(dtype)
