"""Resampling: intervals of numbers that samples make together, by drawing the samples anew.

A number is a function of sums over samples (pixels right and looked at, squared errors and values), so that a
draw is a row of weights, and all draws are one product of matrices. Pure numpy.

Source: Efron, "Bootstrap Methods: Another Look at the Jackknife", Annals of Statistics 7, 1979.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.metrics.intervals import Interval
from edgekit.metrics.tally import tally

Floats = NDArray[np.float64]

_DRAWS, _ENDS = 1000, (2.5, 97.5)
# How rarely what has a larger share would not show.
_UNSEEN = 0.025
# Draws that are held at once, in numbers.
_HELD = 1 << 19
# Products and numbers up to which OpenBLAS multiplies two matrices, or a matrix and a column, in one thread.
_GEMM, _GEMV = 1 << 18, 9216
# Draws of so many numbers in bytes are kept for the next one.
_KEPT = 1 << 24


def sums_ci95(
    parts: NDArray[Any], number: Callable[[Floats], Floats], most: float = 0.0
) -> Interval | None:
    """The 95 % interval of a number that is made of sums over samples.

    Args:
        parts: what each sample adds to each sum, shape (samples, sums).
        number: of sums, shape (draws, sums), to numbers, shape (draws,); NaN where they make none.
        most: how far off a sample unlike all of these could be, 1 for a share; 0 where nothing says.
            Where every draw gives the same number, the interval goes on by that, times `unseen`.

    Returns:
        The percentiles 2.5 and 97.5 of 1,000 draws, the same each time; None for fewer than two samples, or
        where more than half of the draws make no number.
    """
    return several_ci95(parts, [number], most)[0]


def several_ci95(
    parts: NDArray[Any], numbers: Sequence[Callable[[Floats], Floats]], most: float = 0.0
) -> list[Interval | None]:
    """`sums_ci95` of several numbers that are made of the same sums."""
    if len(parts) < 2:
        return [None] * len(numbers)
    drawn = _drawn(np.asarray(parts, np.float64))
    return [_ends(number(drawn), len(parts), most) for number in numbers]


def weighed_ci95(
    count: int, number: Callable[[Floats], float], draws: int, most: float = 0.0
) -> Interval | None:
    """As `sums_ci95`, of a number that is made of no sums.

    Args:
        count: of the samples.
        number: by how often each sample was drawn, shape (count,), to a number; NaN where they make none.
        draws: how many.
        most: as there.
    """
    if count < 2:
        return None
    rng = np.random.default_rng([count, 0])
    weights = rng.multinomial(count, np.full(count, 1 / count), draws)
    return _ends(np.array([number(each.astype(np.float64)) for each in weights]), count, most)


def unseen(count: int) -> float:
    """The largest share of samples unlike all of `count` that would not have shown: ``1 - 0.025^(1 / count)``."""
    return 1 - math.pow(_UNSEEN, 1 / count)


def mean_ci95(values: NDArray[Any], most: float = 0.0) -> Interval | None:
    """The 95 % interval of the mean of values, one a sample; as `sums_ci95`."""
    column = np.asarray(values, np.float64).reshape(len(values), -1)[:, :1]
    return sums_ci95(column, lambda sums: sums[:, 0] / len(column), most)


def _ends(values: Floats, count: int, most: float) -> Interval | None:
    finite = values[np.isfinite(values)]
    if 2 * len(finite) < len(values):
        return None
    low, high = np.percentile(finite, _ENDS)
    more = most * unseen(count) if low == high else 0.0
    return float(low) - more, float(high) + more


def _drawn(parts: Floats) -> Floats:
    """The sums of each draw, shape (draws, sums)."""
    count = len(parts)
    step = max(1, _HELD // count)
    drawn = _kept if count * _DRAWS <= _KEPT else _weights
    rows = [
        _product(drawn(count, first, min(step, _DRAWS - first)), parts)
        for first in range(0, _DRAWS, step)
    ]
    return np.concatenate(rows)


def _product(weights: NDArray[np.uint8], parts: Floats) -> Floats:
    """Their product, (draws, sums), a few samples at a time: so small that BLAS takes one thread.

    Its others wait in a busy loop while interpreters have the processors, and cost many times what they compute; and the
    sum's order would hang on their number.
    """
    (draws, count), sums = weights.shape, parts.shape[1]
    step = max(1, min(_GEMM // (draws * max(1, sums)), _GEMV // draws))
    found: Floats = np.zeros((draws, sums))
    for first in range(0, count, step):
        part = slice(first, first + step)
        found += weights[:, part].astype(np.float64) @ parts[part]
    return found


def _weights(count: int, first: int, draws: int) -> NDArray[np.uint8]:
    """How often each sample is drawn, shape (draws, count): 255 times would be a wonder."""
    rng = np.random.default_rng([count, first])
    drawn = (rng.integers(0, count, count, np.int32) for _ in range(draws))
    return np.stack([tally(each, count).astype(np.uint8) for each in drawn])


# Numbers of the same samples are drawn one after the other.
_kept = lru_cache(maxsize=64)(_weights)
