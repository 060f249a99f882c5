"""Learned ranges: those that a model was trained with, in place of calibrated ones.

A tensor of a file is known by the values that it holds for a few inputs, in whatever order: names,
layouts and fusions are the converters' own, values are the model's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.calibration.methods import Interval
from edgekit.calibration.probes import Probe, batches
from edgekit.samples import Samples

# Inferences whose values a tensor is known by.
RUNS = 4
# How far two accounts of one tensor may lie apart, as a share of its largest value: converters
# reorder sums of floats.
_ALIKE = 1e-4


@dataclass(frozen=True)
class Mark:
    """What a tensor is known by: for each run its size, mean, root mean square and extremes.

    Attributes:
        size: values in an inference.
    """

    size: int
    moments: tuple[tuple[float, ...], ...]

    def matches(self, other: Mark) -> bool:
        """Whether both can be accounts of the same values, in whatever order."""
        if self.size != other.size or len(self.moments) != len(other.moments):
            return False
        mine, theirs = np.array(self.moments), np.array(other.moments)
        reach = max(float(np.abs(mine).max()), 1e-30)
        return bool(np.abs(mine - theirs).max() <= _ALIKE * reach)


@dataclass(frozen=True)
class Learned:
    """Ranges of a model's tensors, each with what the tensor is known by."""

    marks: tuple[Mark, ...]
    intervals: tuple[Interval, ...]


def find_learned(learned: Learned, probe: Probe, samples: Samples) -> dict[str, Interval]:
    """The learned range of each tensor of a file that training rounded.

    Args:
        learned: what training found.
        probe: the file.
        samples: those whose first inferences the marks were taken from.
    """
    seen: dict[str, list[tuple[float, ...]]] = {}
    sizes: dict[str, int] = {}

    def look(name: str, values: NDArray[Any]) -> None:
        sizes[name] = values.size
        seen.setdefault(name, []).append(moments(values))

    for given in batches(samples[: RUNS * probe.batch], probe.batch):
        probe.run(given, look)
    found = {}
    for name, rows in seen.items():
        mark = Mark(sizes[name], tuple(rows))
        fitting = [
            interval
            for known, interval in zip(learned.marks, learned.intervals, strict=True)
            if known.matches(mark)
        ]
        if fitting:
            # Tensors that are alike hand on each other's values: the narrowest range is the one
            # that was cut off last.
            found[name] = min(fitting, key=lambda interval: interval.width)
    return found


def moments(values: NDArray[Any]) -> tuple[float, ...]:
    """Mean, root mean square, smallest and largest value."""
    real = np.asarray(values, np.float64)
    return (
        float(real.mean()),
        float(np.sqrt((real**2).mean())),
        float(real.min()),
        float(real.max()),
    )
