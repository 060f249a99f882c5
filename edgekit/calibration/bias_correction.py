"""Bias correction: the sums of a last dense layer get the mean that they have in the float file.

Rounded weights and clipped ranges add up to an error of which a third to a half is the same for every
sample. A dense layer's bias can compensate it, at no cost on the device (M. Nagel et al., "Data-Free
Quantization Through Weight Equalization and Bias Correction", ICCV 2019; measured here instead of
derived, and at the last layer alone, where the errors of all layers have come together).

Behind a softmax or a sigmoid p, an error of a sum counts p (1 - p) times: nothing where the answer is
certain. The error of those samples is another, since what is cut off is what is large. Few samples
hang in the balance, so that the mean with these weights is not known well: half of it is taken, and
half of the plain mean.

`edgekit.convert.tflite.bias_correction` and `edgekit.convert.onnx.bias_correction` find the layers and
write the biases.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.calibration.probes import Probe, batches
from edgekit.samples import Samples

# Of so many samples the mean is known to a sixteenth of what the error varies by.
_SAMPLES = 256


def mean_errors(
    ours: Probe, plain: Probe, answers: Mapping[str, str], samples: Samples, seed: int
) -> dict[str, NDArray[np.float64]]:
    """By how much sums of an integer file fall short of the float file's, on average, shape (n,) each.

    Args:
        ours: the integer file.
        plain: the float file that it was made of.
        answers: what is made of each tensor of sums, shape (..., n), under its name in both files:
            ``"softmax"`` over the last axis, ``"sigmoid"``, or ``""`` for the sums themselves.
        samples: to take the means over, under the files' input names.
        seed: of the choice of samples, where there are many.
    """
    means = {name: _Mean(answer) for name, answer in answers.items()}
    few = samples.subset(min(_SAMPLES, len(samples)), seed=seed)
    for inputs in batches(few, plain.batch):
        received, wanted = (_rows(probe, inputs, answers) for probe in (ours, plain))
        for name, mean in means.items():
            mean.add(received[name], wanted[name])
    return {name: mean.value for name, mean in means.items()}


def _rows(
    probe: Probe, inputs: dict[str, NDArray[Any]], names: Collection[str]
) -> dict[str, NDArray[np.float64]]:
    """Tensors by name, shape (rows, n)."""
    rows: dict[str, NDArray[np.float64]] = {}

    def look(name: str, values: NDArray[Any]) -> None:
        if name in names:
            rows[name] = values.astype(np.float64).reshape(-1, values.shape[-1])

    probe.run(inputs, look)
    return rows


class _Mean:
    """Half of the plain mean of differences, and half of the one weighted by what they change."""

    def __init__(self, answer: str) -> None:
        self._answer = answer
        self._count = 0
        # Of differences, of weights, of differences times weights.
        self._sums: list[Any] = [0.0, 0.0, 0.0]

    def add(self, received: NDArray[np.float64], wanted: NDArray[np.float64]) -> None:
        known = np.isfinite(wanted).all(1) & np.isfinite(received).all(1)
        error = (wanted - received)[known]
        weights = _weights(wanted[known], self._answer)
        self._count += len(error)
        for i, rows in enumerate((error, weights, weights * error)):
            self._sums[i] = self._sums[i] + rows.sum(0)

    @property
    def value(self) -> NDArray[np.float64]:
        error, weights, weighted = self._sums
        plain = error / max(self._count, 1)
        certain = weights <= 0  # Of every sample.
        return np.asarray((plain + np.where(certain, plain, weighted / (weights + certain))) / 2)


def _weights(sums: NDArray[np.float64], answer: str) -> NDArray[np.float64]:
    """How much the answer changes with each sum: the derivative of softmax and of sigmoid."""
    if not answer:
        return np.ones_like(sums)
    if answer == "sigmoid":
        p = 1 / (1 + np.exp(-np.clip(sums, -500, 500)))
    else:
        p = np.exp(sums - sums.max(1, keepdims=True, initial=-np.inf))
        p /= p.sum(1, keepdims=True)
    return p * (1 - p)
