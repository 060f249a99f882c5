"""Methods: from what was seen of a tensor to the range that its integers shall express.

A narrower range has finer steps and cuts off what lies outside. Each method trades the two in its
own way; all are pure functions of a histogram and of the smallest and largest value.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekit.calibration.histogram import BINS, Histogram
from edgekit.recipe import ExportRecipe

_STEPS = 255  # Of an 8-bit integer.
# Shares of an end that are tried, and how many of them at once.
_CANDIDATES, _AT_ONCE = 96, 8
_MERGED = 4


class Interval(NamedTuple):
    """A closed range of float values."""

    lowest: float
    highest: float

    @property
    def width(self) -> float:
        return self.highest - self.lowest


@dataclass(frozen=True)
class Method:
    """How ranges are chosen.

    Attributes:
        name: one of `edgekit.recipe.CALIBRATION_METHODS`.
        percentile: for ``"percentile"``, the share of values kept, in percent.
    """

    name: str = ExportRecipe.calibration_method
    percentile: float = ExportRecipe.percentile

    @property
    def counts(self) -> bool:
        """Whether it needs a histogram."""
        return self.name != "min-max"

    def choose(self, seen: Interval, histogram: Histogram | None) -> Interval:
        """The range for a tensor whose values were all in `seen`; never wider than that."""
        if not self.counts or histogram is None or seen.width == 0:
            return seen
        if self.name == "percentile":
            return percentile_range(histogram, seen, self.percentile)
        return {"entropy": entropy_range, "mse": mse_range}[self.name](histogram, seen)


MIN_MAX = Method("min-max")


def percentile_range(histogram: Histogram, seen: Interval, percent: float) -> Interval:
    """The range that leaves out (100 - `percent`) % of the values, half of them on either side.

    Whole bins are left out only, so that never more is. As in onnxruntime's ``Percentile``.
    """
    cut = histogram.counts.sum() * (1 - percent / 100) / 2
    below = np.cumsum(histogram.counts)
    above = np.cumsum(histogram.counts[::-1])
    # Counts are whole numbers: half a count of slack keeps rounding from leaving out one more.
    first = int(np.searchsorted(below, cut + 1e-9, side="right"))
    last = 2 * BINS - int(np.searchsorted(above, cut + 1e-9, side="right"))
    return _within(seen, (first - BINS) * histogram.width, (last - BINS) * histogram.width)


def entropy_range(histogram: Histogram, seen: Interval) -> Interval:
    """The range whose integers tell the most about the values: the smallest divergence.

    For each threshold t, P is the distribution of magnitudes with all beyond t counted at t, Q the
    same in as many steps as the integers have below t; the threshold with the smallest
    Kullback-Leibler divergence sum(P * log(P / Q)) wins. From S. Migacz, "8-bit Inference with
    TensorRT" (GTC 2017), with three liberties. A tensor of one sign has 256 steps instead of 128. The
    bin at zero counts as its neighbour does, since an exact zero costs nothing at any threshold.
    And bins are merged in fours: the even background of a picture makes spikes, which in narrow
    bins diverge from any step wider than a bin (docs/measurements/calibration.md: 7.8 dB in place of 37.5).
    """
    magnitudes = histogram.counts[BINS:] + histogram.counts[BINS - 1 :: -1]
    steps = 256 if seen.lowest >= 0 or seen.highest <= 0 else 128
    counts = magnitudes.reshape(-1, _MERGED).sum(1).astype(np.float64)
    counts[0] = counts[1]
    used = int(np.flatnonzero(counts)[-1]) + 1 if counts.any() else 0
    if used <= steps:
        return seen
    ends = np.unique(np.linspace(steps, used, _CANDIDATES).astype(int))
    divergences = [_divergence(counts, int(end), steps) for end in ends]
    # Of equally good ones the widest.
    best = int(ends[len(ends) - 1 - int(np.argmin(divergences[::-1]))])
    threshold = best * _MERGED * histogram.width
    return _within(seen, -threshold, threshold)


def mse_range(histogram: Histogram, seen: Interval) -> Interval:
    """The range with the smallest mean squared error of 8-bit integers (`squared_error`).

    The ends move in turns, each to the best of a grid of shares of its value, until neither
    does. The search begins at `seen`, so that the error is never larger than that of min-max.
    """
    # An end at or beyond zero stays: the range is widened to hold zero anyway.
    ends = [end for end, out in (("highest", 1), ("lowest", -1)) if out * getattr(seen, end) > 0]
    counted = _Counted.of(histogram)
    best, error = seen, float(counted.errors(*seen))
    settled: set[str] = set()
    while waiting := [end for end in ends if end not in settled]:
        end = waiting[0]
        moved, error = _moved(counted, seen, best, end, error)
        settled = settled | {end} if moved == best else {end}
        best = moved
    return best


def _moved(
    counted: _Counted, seen: Interval, best: Interval, end: str, error: float
) -> tuple[Interval, float]:
    """A range with one end where the error is smallest, and that error."""
    shares = np.linspace(1.0, 1 / _CANDIDATES, _CANDIDATES)
    for some in np.split(shares, _CANDIDATES // _AT_ONCE):
        tried = {"lowest": best.lowest, "highest": best.highest, end: some * getattr(seen, end)}
        lowest, highest = np.broadcast_arrays(tried["lowest"], tried["highest"])
        # Narrower ones cut off more, and that alone is too much.
        if counted.cut_off(float(lowest[0]), float(highest[0])) > error:
            break
        errors = counted.errors(lowest, highest)
        index = int(np.argmin(errors))
        if errors[index] < error:
            error = float(errors[index])
            best = Interval(float(lowest[index]), float(highest[index]))
    return best, error


def squared_error(histogram: Histogram, lowest: Any, highest: Any) -> NDArray[np.float64]:
    """Mean of (x - x')^2, where x' is x after 8-bit quantisation with the range widened to hold 0.

    Args:
        histogram: of the values; each counts as the middle of its bin.
        lowest, highest: ends of the ranges tried, of one shape.

    Returns:
        One error for each range.
    """
    return _Counted.of(histogram).errors(lowest, highest)


@dataclass(frozen=True)
class _Counted:
    """Values, ascending, and how often each occurs."""

    x: NDArray[np.float64]
    weights: NDArray[np.float64]
    total: float

    @classmethod
    def of(cls, histogram: Histogram) -> _Counted:
        occupied = np.flatnonzero(histogram.counts)
        weights = histogram.counts[occupied].astype(np.float64)
        return cls(histogram.centres[occupied], weights, max(float(weights.sum()), 1.0))

    def errors(self, lowest: Any, highest: Any) -> NDArray[np.float64]:
        """`squared_error`."""
        low = np.minimum(np.asarray(lowest, np.float64), 0)[..., None]
        high = np.maximum(np.asarray(highest, np.float64), 0)[..., None]
        scale = np.maximum((high - low) / _STEPS, np.finfo(np.float64).tiny)
        zero = np.rint(-low / scale)
        # In place: to make arrays of this size takes longer than to fill them.
        restored = np.rint(self.x / scale)
        restored += zero
        np.clip(restored, 0, _STEPS, out=restored)
        restored -= zero
        restored *= scale
        restored -= self.x
        np.square(restored, out=restored)
        restored *= self.weights
        errors: NDArray[np.float64] = restored.sum(-1) / self.total
        return errors

    def cut_off(self, lowest: float, highest: float) -> float:
        """What of the error is due to values more than a step outside of the range, at least."""
        low, high = min(lowest, 0.0), max(highest, 0.0)
        step = (high - low) / _STEPS
        first, last = np.searchsorted(self.x, (low - step, high + step))
        below = self.weights[:first] @ (low - step - self.x[:first]) ** 2
        return float(below + self.weights[last:] @ (self.x[last:] - high - step) ** 2) / self.total


def _divergence(counts: NDArray[np.float64], end: int, steps: int) -> float:
    """Kullback-Leibler divergence of the first `end` bins from themselves in `steps` steps."""
    inside = counts[:end]
    p = inside.copy()
    p[-1] += counts[end:].sum()
    starts = np.arange(steps) * end // steps
    sizes = np.diff(np.append(starts, end))
    filled = inside > 0
    sums = np.add.reduceat(inside, starts)
    occupied = np.maximum(np.add.reduceat(filled.astype(np.float64), starts), 1)
    q = np.where(filled, np.repeat(sums / occupied, sizes), 0.0)
    # What is cut off can fall on a bin that Q leaves empty: it counts as a little of Q.
    p, q = p / p.sum(), np.maximum(q / max(q.sum(), 1.0), 1e-12)
    positive = p > 0
    return float((p[positive] * np.log(p[positive] / q[positive])).sum())


def _within(seen: Interval, lowest: float, highest: float) -> Interval:
    return Interval(max(seen.lowest, lowest), min(seen.highest, highest))
