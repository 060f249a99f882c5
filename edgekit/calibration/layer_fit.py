"""The fit of one layer: integers, scales and a bias with which its sums follow those of the float file.

A layer of the integer file is given rows that earlier layers have rounded already. From these rows X and
from the sums T that the float file has at the same places follow, in turns:

- weights: half of what a regression of the remaining error on X asks for is added to them, W + H^-1
  cov(X, T - X W) / 2 (half compensation): all of it would follow the samples' chance;
- integers under the second moments H of X (`edgekit.calibration.descent`);
- a bias that gives sums the means of T, or what a ReLU lets through of them the means of what it lets
  through of T (bias correction; M. Nagel et al., "Data-Free Quantization Through Weight Equalization and
  Bias Correction", ICCV 2019).

What can hurt is kept where it makes the error on held-out rows smaller. The integers that were there before
are one of the rivals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.calibration.descent import LARGEST, SWEEPS, descend, error_of, least_error
from edgekit.calibration.moments import (
    RIDGE,
    TOGETHER,
    is_whole,
    means,
    multiplied,
    products,
    ridged,
    second,
)
from edgekit.calibration.rounding import round_up

# Of what the regression asks for, what is added; and the ridge with it.
_SHARE, _WIDE_RIDGE = 0.5, 0.03
# Rows for each weight of a sum from which a regression is worth something.
_ROWS_A_WEIGHT = 10
# An int32 bias in steps keeps this far from its limits.
_MOST_OF_A_BIAS = 2.0**30
_NEWTON, _NEWTON_ROWS = 8, 2000
# By what share an error has to be smaller for a step that can hurt to be kept.
_GAIN = 0.002

_Doubles = NDArray[np.float64]
_Floats = NDArray[np.float32]

COMPENSATION, ROUNDING, BEHIND_CLIP = "compensation", "rounding", "behind the activation"


@dataclass(frozen=True)
class Sums:
    """A layer whose sums are fitted.

    Attributes:
        weights: in float, (groups, weights summed over, outputs of a group).
        integers: that stand for them now, of that shape.
        scales: float32, (groups, 1, outputs).
        step: of the rows that it is given, 1 where those are float.
        biased: whether it has a bias that takes what is wanted.
        bound: whether the scales have to stay.
        fixed: whether the integers have to stay.
        clip: what its activation lets through.
        largest: of the integers.
        pairs: neighbours of one sign stay within what `edgekit.formats.onnx_pairs` says.
        factors: multiples of the smallest scales to try.
        digits: significant bits of new scales.
    """

    weights: _Doubles
    integers: _Doubles
    scales: _Floats
    step: float
    biased: bool = True
    bound: bool = False
    fixed: bool = False
    clip: tuple[float, float] = (-np.inf, np.inf)
    largest: int = LARGEST
    pairs: bool = False
    factors: Sequence[float] = (1.0,)
    digits: int = 24


@dataclass(frozen=True)
class Fitted:
    """What a layer is given.

    Attributes:
        integers, scales: as in `Sums`.
        bias: of the sums in float, (groups, outputs).
        error: mean squared error of what its activation lets through, on held-out rows.
        before: with the integers that were there before and a bias with the means of the sums.
        kept: the steps that were kept.
    """

    integers: _Doubles
    scales: _Floats
    bias: _Doubles
    error: float
    before: float
    kept: tuple[str, ...] = field(default=())


def fit_layer(sums: Sums, rows: _Floats, wanted: _Floats, held: int) -> Fitted:
    """The best of what was tried.

    Args:
        sums: the layer.
        rows: what it is given in the integer file, in steps of `sums.step` from zero, (groups, rows,
            weights summed over).
        wanted: what the float file's sums are there, (groups, rows, outputs), before its activation.
        held: how many of the last rows are held out to judge by; with none, the fit is judged by the rows that it is made of, and nothing is compensated.
    """
    count = rows.shape[1] - held
    seen, goals = (rows[:, :count], wanted[:, :count]) if held else (rows, wanted)
    # Nothing but whole numbers can be summed up in float32 without loss, which is twice as fast.
    whole = is_whole(rows)
    others = (rows[:, -held:], wanted[:, -held:]) if held else (rows, wanted)
    judge = _Judge(sums, *others, whole)
    mean = means(seen, whole)
    goal = goals.mean(1, dtype=np.float64)

    def rival(integers: _Doubles, scales: _Floats, *kept: str) -> Fitted:
        bias = goal - np.einsum("gk,gkn->gn", mean, integers) * (sums.step * scales[:, 0])
        if not sums.biased:
            bias = np.zeros_like(goal)
        error = judge.error(integers, scales, bias)
        return Fitted(integers, scales, bias, error, error, kept)

    best = first = rival(sums.integers, sums.scales)
    if not sums.fixed:
        known = second(seen, mean if sums.biased else 0 * mean, whole)
        other = rival(*_rounded(sums, sums.weights, goal, ridged(known, RIDGE)), ROUNDING)
        best = min(best, other, key=lambda each: each.error)
        better = _compensated(sums, seen, mean, goals, goal, known) if held else None
        if better is not None:
            made = _rounded(sums, better, goal, ridged(known, _WIDE_RIDGE))
            other = rival(*made, ROUNDING, COMPENSATION)
            best = other if other.error < best.error * (1 - _GAIN) else best
    if sums.biased and np.isfinite(sums.clip).any():
        bias = _behind_clip(sums, best, seen, goals, whole)
        error = judge.error(best.integers, best.scales, bias)
        if error < best.error * (1 - _GAIN):
            kept = (*best.kept, BEHIND_CLIP)
            best = Fitted(best.integers, best.scales, bias, error, error, kept)
    return Fitted(best.integers, best.scales, best.bias, best.error, first.error, best.kept)


@dataclass(frozen=True)
class _Judge:
    """Rows that nothing is fitted to."""

    sums: Sums
    rows: _Floats
    wanted: _Floats
    whole: bool

    def error(self, integers: _Doubles, scales: _Floats, bias: _Doubles) -> float:
        made = _made(self.sums, self.rows, integers, scales, self.whole)
        made += bias[:, None].astype(made.dtype)
        clip = self.sums.clip
        return float(np.mean((np.clip(made, *clip) - np.clip(self.wanted, *clip)) ** 2))


def _made(
    sums: Sums, rows: _Floats, integers: _Doubles, scales: _Floats, whole: bool
) -> NDArray[Any]:
    """Sums of rows, (groups, rows, outputs), without a bias."""
    found: NDArray[Any] = multiplied(rows, integers, whole)
    found *= (sums.step * scales.astype(np.float64)).astype(found.dtype)
    return found


def _rounded(
    sums: Sums, weights: _Doubles, goal: _Doubles, known: Sequence[_Doubles]
) -> tuple[_Doubles, _Floats]:
    """Integers and scales for weights, with the least error under moments."""
    if sums.bound:
        steps = weights / sums.scales
        return least_error(steps, known, pairs=sums.pairs, largest=sums.largest), sums.scales
    smallest = np.abs(weights).max(1, keepdims=True) / sums.largest
    # What never moves is all bias, which must not pass what an int32 holds.
    smallest = np.maximum(smallest, np.abs(goal)[:, None] / (sums.step * _MOST_OF_A_BIAS))
    smallest[smallest == 0] = 1.0
    best, best_scales = np.zeros_like(weights), np.zeros_like(sums.scales)
    least = np.full(goal.shape, np.inf)
    bounds: dict[str, Any] = {"pairs": sums.pairs, "largest": sums.largest}
    # One sweep tells which scale is best.
    several = len(sums.factors) > 1
    for factor in sums.factors:
        scales = round_up(smallest * factor, sums.digits)
        steps = weights / scales
        integers = least_error(steps, known, **bounds, sweeps=1 if several else SWEEPS)
        errors = error_of(integers, steps, known) * scales[:, 0].astype(np.float64) ** 2
        better = errors < least
        np.copyto(least, errors, where=better)
        np.copyto(best, integers, where=better[:, None])
        np.copyto(best_scales, scales, where=better[:, None])
    if several:
        descend(best, weights / best_scales, known, **bounds)
    return best, best_scales


def _compensated(
    sums: Sums,
    rows: _Floats,
    mean: _Doubles,
    goals: _Floats,
    goal: _Doubles,
    known: Sequence[_Doubles],
) -> _Doubles | None:
    """Weights with half of what the remaining error asks for; None where rows do not tell."""
    count, weights = rows.shape[1], sums.weights
    few = count < _ROWS_A_WEIGHT * weights.shape[1] or weights.shape[1] > TOGETHER
    if few or not sums.biased:
        return None
    # cov(X, T - X W) = cov(X, T) - cov(X, X) W, of X in steps.
    crossed = products(rows, goals) - mean[:, :, None] * goal[:, None]
    asked = np.linalg.solve(ridged(known, _WIDE_RIDGE)[0], crossed / sums.step - known[0] @ weights)
    # Zeros of pruned weights stay.
    return weights + _SHARE * np.where(weights == 0, 0, asked)


def _behind_clip(
    sums: Sums, fitted: Fitted, rows: _Floats, goals: _Floats, whole: bool
) -> _Doubles:
    """The bias with which the means behind the activation are the float file's: damped Newton steps."""
    low, high = sums.clip
    # A few thousand rows tell means well enough.
    every = max(1, rows.shape[1] // _NEWTON_ROWS)
    rows, goals = rows[:, ::every], goals[:, ::every]
    made = _made(sums, rows, fitted.integers, fitted.scales, whole)
    bias = fitted.bias
    goal = np.clip(goals, low, high).mean(1, dtype=np.float64)
    reach = made.std(1)
    for _ in range(_NEWTON):
        now = made + bias[:, None].astype(made.dtype)
        inside = np.maximum(((now > low) & (now < high)).mean(1), 0.05)
        off = (goal - np.clip(now, low, high).mean(1, dtype=np.float64)) / inside
        bias = bias + np.clip(off, -reach, reach)
    return bias
