"""Pair-safe rounding: integers for weights whose neighbours never saturate a sum, at no cost in answers.

onnxruntime's x86 kernels without VNNI add two products in int16 (`edgekit.formats.onnx_pairs`): two
neighbours of one sign may reach 128 together. Halving every weight would do, and costs a bit. Instead
what is over is taken from the pair, and the other weights of the channel make up for it
(`edgekit.calibration.descent`), each move cut to what the neighbour leaves. Larger scales, in which fewer
pairs are over, are tried for each channel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.calibration.descent import LARGEST, descend, take_over
from edgekit.calibration.rounding import are_shared
from edgekit.formats.onnx_pairs import excess

# Scales as multiples of the smallest that holds the largest weight. In the last no pair is over.
FACTORS = np.array([1.0, 1.15, 1.35, 1.6, 1.98], np.float32)
_SWEEPS = 3
# What a squared mean counts for beside a variance, behind a ReLU.
_OF_MEAN = 0.5
# Values of an array that all candidates of some channels take.
_VALUES = 1 << 22

_Floats = NDArray[np.float32]
_Errors = NDArray[np.float64]


@dataclass(frozen=True)
class Rounded:
    """A layer's weights in integers.

    Attributes:
        integers: float32, (groups, weights summed over, outputs), from -127 to 127.
        scales: float32, (groups, 1, outputs).
    """

    integers: _Floats
    scales: _Floats


def pair_safe(
    weights: _Floats,
    rounded: Rounded,
    moments: Sequence[NDArray[Any]],
    together: NDArray[np.intp] | None = None,
) -> Rounded:
    """Integers and scales for the channels in which a pair is over; the other channels stay.

    Weights that are zero stay zero, and those that share their values (clustered) go on sharing them.

    Args:
        weights: in float, (groups, weights summed over, outputs), neighbours next to each other.
        rounded: what they were rounded to.
        moments: as `edgekit.calibration.moments` gives them; none if nothing is known of what the weights
            are multiplied with, so that each weight's own error counts.
        together: which outputs have one scale, of all groups: a number for each; None if each has its
            own.
    """
    over = excess(rounded.integers).any(axis=(0, 1))
    if not over.any():
        return rounded
    if together is not None:
        over = np.isin(together, together[over])
    integers, scales = rounded.integers.copy(), rounded.scales.copy()
    chosen = np.flatnonzero(over)
    many = max(1, _VALUES // (weights.shape[0] * weights.shape[1] * len(FACTORS)))
    if together is not None:
        many = len(chosen)
    shared = are_shared(weights)
    for at in range(0, len(chosen), many):
        some = chosen[at : at + many]
        steps = weights[..., None, some] / (scales[..., None, some] * FACTORS[:, None])
        made, errors = _nearest(steps) if shared else _taken(steps, moments)
        errors *= (FACTORS**2)[:, None] * scales[..., some] ** 2
        if together is not None:
            errors[:] = errors.sum(0) @ (together[some, None] == together[some])
        best = errors.argmin(1)[:, None]  # (groups, 1, outputs)
        made, steps = (np.take_along_axis(x, best[:, None], 2)[:, :, 0] for x in (made, steps))
        if not shared:
            descend(made, steps, moments, pairs=True, sweeps=_SWEEPS)
        integers[..., some] = made
        scales[..., some] *= FACTORS[best]
    return Rounded(integers, scales)


def _nearest(steps: _Floats) -> tuple[_Floats, _Errors]:
    """Nearest integers for weights in steps of their scales; infinite errors where a pair is over.

    Args:
        steps: (groups, weights, candidates, outputs).

    Returns:
        Integers of that shape; squared errors in steps, (groups, candidates, outputs).
    """
    made = _rounded(steps)
    errors = ((made - steps) ** 2).sum(1, dtype=np.float64)
    over = excess(made.reshape(*made.shape[:2], -1)).any(1).reshape(errors.shape)
    return made, np.where(over, np.inf, errors)


def _taken(steps: _Floats, moments: Sequence[NDArray[Any]]) -> tuple[_Floats, _Errors]:
    """As `_nearest`: pair-safe integers that nobody has moved yet, and squared errors by what each counts."""
    flat = steps.reshape(*steps.shape[:2], -1)
    if not moments:
        made, errors = _with_sums(flat)
    else:
        made = _rounded(flat)
        counts = np.concatenate([np.einsum("gkk->gk", part) for part in moments], 1)
        take_over(made, counts)
        errors = np.einsum("gkn,gk->gn", (made - flat) ** 2, counts).astype(np.float64)
    return made.reshape(steps.shape), errors.reshape(len(steps), *steps.shape[2:])


def _with_sums(steps: _Floats) -> tuple[_Floats, _Errors]:
    """Pair-safe integers whose sum is near that of the weights, and their errors, (groups, columns).

    What is taken from the pairs of a channel is mostly of one sign, and so is what a layer reads behind
    a ReLU: the others make up for it, each by the same.
    """
    even = np.ones(steps.shape[:2], np.float32)
    shift = np.zeros((len(steps), 1, steps.shape[-1]), np.float32)
    best = np.empty_like(steps)
    least = np.full((len(steps), steps.shape[-1]), np.inf)
    for _ in range(_SWEEPS):
        made = _rounded(np.where(steps == 0, 0, steps + shift))
        take_over(made, even)
        error = made - steps
        total = error.sum(1, dtype=np.float64)
        errors = (error**2).sum(1, dtype=np.float64) + _OF_MEAN * total**2
        better = errors < least
        np.copyto(best, made, where=better[:, None])
        np.copyto(least, errors, where=better)
        shift -= (total / steps.shape[1]).astype(np.float32)[:, None]
    return best, least


def _rounded(steps: _Floats) -> _Floats:
    return np.clip(np.rint(steps), -LARGEST, LARGEST)
