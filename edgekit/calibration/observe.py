"""Observe: run a float file over samples and keep, of every tensor, what ranges are chosen from.

One inference at a time is looked at and forgotten, so memory does not grow with the samples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.calibration.histogram import Histogram
from edgekit.calibration.learned import Learned, find_learned
from edgekit.calibration.masks import MARGIN, MARGIN_16, Masked, saturated
from edgekit.calibration.methods import MIN_MAX, Interval, Method
from edgekit.calibration.oddities import oddities
from edgekit.calibration.probes import Probe, batches
from edgekit.calibration.ranges import Ranges
from edgekit.calibration.resemblance import resemblance
from edgekit.samples import Samples

# Beyond lie stand-ins for infinity, as padding and attention masks hold them: no range can express
# them beside ordinary values, and none needs to.
_LARGEST = 3e38

# Values a tensor and inference that a histogram counts. Extremes are taken of all.
_COUNTED = 1 << 14


@dataclass
class Seen:
    """What is kept of one tensor: its extremes (inf and -inf before any value), and a histogram."""

    lowest: float
    highest: float
    histogram: Histogram | None

    @classmethod
    def nothing(cls, histogram: bool) -> Seen:
        return cls(np.inf, -np.inf, Histogram() if histogram else None)

    def add(self, values: NDArray[Any]) -> None:
        lowest, highest = float(values.min()), float(values.max())
        # Written so that NaN takes this way too.
        if not (lowest > -_LARGEST and highest < _LARGEST):
            values = values[(values > -_LARGEST) & (values < _LARGEST)]
            if not values.size:
                return
            lowest, highest = float(values.min()), float(values.max())
        self.lowest = min(self.lowest, lowest)
        self.highest = max(self.highest, highest)
        if self.histogram is not None:
            self.histogram.add(_some(values), lowest, highest)

    def merge(self, other: Seen) -> None:
        self.lowest = min(self.lowest, other.lowest)
        self.highest = max(self.highest, other.highest)
        if self.histogram is not None and other.histogram is not None:
            self.histogram.merge(other.histogram)


def observe(
    probe: Probe,
    samples: Samples,
    method: Method,
    seed: int = 0,
    validation: Samples | None = None,
    learned: Learned | None = None,
    masked: Masked = MappingProxyType({}),
) -> Ranges:
    """The ranges of a file's tensors over all samples, and over each half of them, in one pass.

    Args:
        probe: the file.
        samples: under the names that the file gives its inputs, of any number.
        method: how a range follows from what was seen.
        seed: of the split into halves.
        validation: samples to hold against the ranges, under the same names.
        learned: ranges that the model was trained with, which its tensors keep.
        masked: scores that attention masks; see `edgekit.calibration.masks`.
    """
    halves = [_watch(probe, half, method.counts) for half in _split(samples, seed)]
    per_half = tuple(_choose(half, method, masked) for half in halves if len(halves) > 1)
    whole = halves[0]
    for half in halves[1:]:
        for name, seen in half.items():
            whole.setdefault(name, Seen.nothing(method.counts)).merge(seen)
    kept = find_learned(learned, probe, samples) if learned else {}
    chosen = {**_choose(whole, method, masked), **kept}
    # What was learned does not hang on the samples.
    per_half = tuple(
        {name: interval for name, interval in half.items() if name not in kept} for half in per_half
    )
    # What is masked lies outside of its range on purpose.
    plain = {name: interval for name, interval in chosen.items() if name not in masked}
    return Ranges(
        method=method,
        samples=len(samples),
        chosen=chosen,
        seen=_choose(whole, MIN_MAX, masked, MARGIN_16),
        split_half=per_half,
        learned=len(kept),
        oddities=oddities(samples),
        resemblance=None if validation is None else resemblance(probe, plain, validation),
    )


def _watch(probe: Probe, samples: Samples, histogram: bool) -> dict[str, Seen]:
    tensors: dict[str, Seen] = {}

    def look(name: str, values: NDArray[Any]) -> None:
        if name not in tensors:
            tensors[name] = Seen.nothing(histogram)
        tensors[name].add(values)

    for inputs in batches(samples, probe.batch):
        probe.run(inputs, look)
    return tensors


def _some(values: NDArray[Any]) -> NDArray[Any]:
    """All values, or evenly spaced ones where there are many: every channel has its turn."""
    stride = -(-values.size // _COUNTED)
    while math.gcd(stride, values.shape[-1] if values.ndim else 1) != 1:
        stride += 1
    return values.reshape(-1)[::stride]


def _choose(
    tensors: dict[str, Seen], method: Method, masked: Masked, margin: float = MARGIN
) -> dict[str, Interval]:
    known = {name: seen for name, seen in tensors.items() if seen.lowest <= seen.highest}
    ranges = {
        name: method.choose(Interval(seen.lowest, seen.highest), seen.histogram)
        for name, seen in known.items()
    }
    lowest = {name: seen.lowest for name, seen in known.items()}
    return saturated(ranges, masked, lowest, margin)


def _split(samples: Samples, seed: int) -> list[Samples]:
    """Two disjoint halves drawn at random, each in its own order; one part if there is one sample."""
    order = np.random.default_rng(seed).permutation(len(samples))
    parts = np.array_split(order, 2)
    return [samples[np.sort(part)] for part in parts if len(part)]
