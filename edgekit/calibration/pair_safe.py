"""Pair-safe rounding: integers for weights whose neighbours never saturate a sum, at no cost in answers.

onnxruntime's x86 kernels without VNNI add two products in int16 (`edgekit.formats.onnx_pairs`): two
neighbours of one sign may reach 128 together. Halving every weight would do, and costs a bit. Instead
what is over is taken from the pair, and the other weights of the channel make up for it: coordinate
descent on the squared error of the layer's sums, in which errors cancel each other as the second moments
of its inputs say (M. Nagel et al., "Up or Down? Adaptive Rounding for Post-Training Quantization", ICML
2020; E. Frantar and D. Alistarh, "Optimal Brain Compression", NeurIPS 2022), each move cut to what the
neighbour leaves. Larger scales, in which fewer pairs are over, are tried for each channel.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgekit.calibration.rounding import are_shared
from edgekit.formats.onnx_pairs import MOST_OF_A_PAIR, excess

# Scales as multiples of the smallest that holds the largest weight. In the last no pair is over.
_FACTORS = np.array([1.0, 1.15, 1.35, 1.6, 1.98], np.float32)
_LARGEST = 127
_SWEEPS = 3
# Weights of a channel that are moved before the others learn of it.
_BLOCK = 16
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
    moments: Sequence[_Floats],
    together: NDArray[np.intp] | None = None,
) -> Rounded:
    """Integers and scales for the channels in which a pair is over; the other channels stay.

    Weights that are zero stay zero, and those that share their values (clustered) go on sharing them.

    Args:
        weights: in float, (groups, weights summed over, outputs), neighbours next to each other.
        rounded: what they were rounded to.
        moments: second moments of what the weights are multiplied with, (groups, n, n) for n weights
            after another, n even but for the last ones; none if nothing is known of it, so that each
            weight's own error counts.
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
    many = max(1, _VALUES // (weights.shape[0] * weights.shape[1] * len(_FACTORS)))
    if together is not None:
        many = len(chosen)
    shared = are_shared(weights)
    for at in range(0, len(chosen), many):
        some = chosen[at : at + many]
        steps = weights[..., None, some] / (scales[..., None, some] * _FACTORS[:, None])
        made, errors = _nearest(steps) if shared else _taken(steps, moments)
        errors *= (_FACTORS**2)[:, None] * scales[..., some] ** 2
        if together is not None:
            errors[:] = errors.sum(0) @ (together[some, None] == together[some])
        best = errors.argmin(1)[:, None]  # (groups, 1, outputs)
        made, steps = (np.take_along_axis(x, best[:, None], 2)[:, :, 0] for x in (made, steps))
        if not shared:
            _descend(made, steps, moments)
        integers[..., some] = made
        scales[..., some] *= _FACTORS[best]
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


def _taken(steps: _Floats, moments: Sequence[_Floats]) -> tuple[_Floats, _Errors]:
    """As `_nearest`: pair-safe integers that nobody has moved yet, and squared errors by what each counts."""
    flat = steps.reshape(*steps.shape[:2], -1)
    if not moments:
        made, errors = _with_sums(flat)
    else:
        made = _rounded(flat)
        counts = np.concatenate([np.einsum("gkk->gk", part) for part in moments], 1)
        _take(made, counts)
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
        _take(made, even)
        error = made - steps
        total = error.sum(1, dtype=np.float64)
        errors = (error**2).sum(1, dtype=np.float64) + _OF_MEAN * total**2
        better = errors < least
        np.copyto(best, made, where=better[:, None])
        np.copyto(least, errors, where=better)
        shift -= (total / steps.shape[1]).astype(np.float32)[:, None]
    return best, least


def _descend(made: _Floats, steps: _Floats, moments: Sequence[_Floats]) -> None:
    """Sweep until nothing moves, in place."""
    for here, part in _parts(moments):
        moving = np.arange(steps.shape[-1])
        for _ in range(_SWEEPS):
            some = np.ascontiguousarray(made[:, here, moving])
            changed = _sweep(some, steps[:, here, moving], part)
            made[:, here, moving] = some
            moving = moving[changed]
            if not moving.size:
                break


def _parts(moments: Sequence[_Floats]) -> Iterator[tuple[slice, _Floats]]:
    """Which weights each of the moments is of."""
    at = 0
    for part in moments:
        yield slice(at, at + part.shape[-1]), part
        at += part.shape[-1]


def _sweep(made: _Floats, steps: _Floats, moments: _Floats) -> NDArray[np.bool_]:
    """Visit each weight once, in place. Returns which columns changed."""
    error = made - steps
    changed = np.zeros(steps.shape[-1], bool)
    for first in range(0, steps.shape[1], _BLOCK):
        here = slice(first, first + _BLOCK)
        # The gradient of half the squared error.
        gradient = moments[:, here] @ error
        _move(made[:, here], gradient, moments[:, here, here], steps[:, here])
        new = made[:, here] - steps[:, here]
        changed |= (new != error[:, here]).any((0, 1))
        error[:, here] = new
    return changed


def _move(made: _Floats, gradient: _Floats, moments: _Floats, steps: _Floats) -> None:
    """Move the integers of a block, one after the other, to where the error is least, in place.

    The gradient is that of half the squared error; it is changed too.
    """
    for k in range(made.shape[1]):
        own = made[:, k]
        wanted = own - np.rint(gradient[:, k] / moments[:, k, k, None])
        lowest, highest = np.float32(-_LARGEST), np.float32(_LARGEST)
        if k ^ 1 < made.shape[1]:
            other = made[:, k ^ 1]
            lowest = np.maximum(lowest, -MOST_OF_A_PAIR - np.minimum(other, 0))
            highest = np.minimum(highest, MOST_OF_A_PAIR - np.maximum(other, 0))
        change = np.minimum(np.maximum(wanted, lowest), highest) - own
        change[steps[:, k] == 0] = 0
        if change.any():
            gradient[:, k + 1 :] += moments[:, k + 1 :, k, None] * change[:, None]
            own += change


def _rounded(steps: _Floats) -> _Floats:
    return np.clip(np.rint(steps), -_LARGEST, _LARGEST)


def _take(integers: _Floats, weight_of: _Floats) -> None:
    """What is over taken from both of a pair, more from the one whose errors count less, in place.

    Args:
        integers: (groups, weights, columns).
        weight_of: how much a squared error of each weight counts, (groups, weights).
    """
    over = excess(integers)
    ends = 2 * over.shape[1]
    first, second = integers[:, :ends:2], integers[:, 1:ends:2]
    share = weight_of[:, 1:ends:2] / (weight_of[:, :ends:2] + weight_of[:, 1:ends:2])
    taken = np.rint(over * share[..., None])
    first -= np.sign(first) * taken
    second -= np.sign(second) * (over - taken)
