"""Histogram: how often values occur, counted as they stream by, whatever their range turns out to be.

Bins are as wide as a power of two and begin at its multiples. When a value lies beyond the last bin,
bins are merged in pairs: the counts are those that wider bins would have had from the start. So the
result depends neither on the order of the values nor on how they were divided, and zero is an edge.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 2048  # On either side of zero: 8 or more for each step of an 8-bit integer.
_BITS = BINS.bit_length() - 1
# Bins are no narrower than this power of two: scaling by its inverse stays within float32.
_FINEST = -100


@dataclass
class Histogram:
    """Counts of values; `add` and `merge` change it in place.

    Attributes:
        counts: int64, shape (2 * BINS,); bin `i` counts values in
            [(i - BINS) * width, (i - BINS + 1) * width).
        exponent: `width` is 2 to this power.
    """

    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(2 * BINS, np.int64))
    exponent: int = _FINEST

    @property
    def width(self) -> float:
        return 2.0**self.exponent

    @property
    def centres(self) -> NDArray[np.float64]:
        """The middle of each bin, shape (2 * BINS,)."""
        return (np.arange(-BINS, BINS, dtype=np.float64) + 0.5) * self.width

    def add(self, values: NDArray[Any], lowest: float, highest: float) -> None:
        """Count finite values of any shape, all of them in [`lowest`, `highest`]."""
        reach = max(-lowest, highest)
        if reach > 0:
            # reach < 2 ** power: BINS bins of this width end beyond it.
            _, power = math.frexp(reach)
            self._widen_to(power - _BITS)
        flat = np.asarray(values).reshape(-1)
        scaled = np.floor(flat * np.float32(2.0**-self.exponent))
        self.counts += np.bincount(scaled.astype(np.intp) + BINS, minlength=2 * BINS)

    def merge(self, other: Histogram) -> None:
        """Add the counts of another."""
        self._widen_to(other.exponent)
        self.counts += _merged_bins(other.counts, self.exponent - other.exponent)

    def _widen_to(self, exponent: int) -> None:
        if exponent > self.exponent:
            self.counts = _merged_bins(self.counts, exponent - self.exponent)
            self.exponent = exponent


def _merged_bins(counts: NDArray[np.int64], doublings: int) -> NDArray[np.int64]:
    """The counts of bins that are 2 ** `doublings` times as wide."""
    doublings = min(doublings, _BITS)  # One bin on either side of zero: no wider is needed.
    if doublings == 0:
        return counts
    sums = counts.reshape(-1, 1 << doublings).sum(1)
    merged = np.zeros_like(counts)
    merged[BINS - len(sums) // 2 : BINS + len(sums) // 2] = sums
    return merged
