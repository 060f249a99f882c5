"""Resemblance: whether the samples that ranges were found from look like those to be answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.calibration.methods import Interval
from edgekit.calibration.probes import Probe, batches
from edgekit.samples import Samples

# One value in a thousand outside costs as much as rounding does, once it lies a few steps outside;
# half the range left unused is one bit lost (6.02 dB).
_OUTSIDE, _USED = 0.001, 0.5


@dataclass(frozen=True)
class Resemblance:
    """How other samples lie in the ranges that were found.

    Attributes:
        outside: share of their values beyond the ranges, mean over the tensors.
        used: share of the ranges' width between their smallest and largest value, mean.
        worst: the tensor with the largest share outside, and that share.
    """

    outside: float
    used: float
    worst: tuple[str, float]

    @property
    def warning(self) -> str | None:
        """What to tell a user; None if they are alike."""
        if self.alike:
            return None
        name, share = self.worst
        return (
            "the validation samples do not look like those of the calibration: "
            f"{self.outside:.2%} of their values lie outside the ranges (of {name!r} {share:.2%}), "
            f"expected {_OUTSIDE:.1%} at most, and they use {self.used:.0%} of the ranges, expected "
            f"{_USED:.0%} at least. Calibrate on samples prepared as those that the model will get."
        )

    @property
    def alike(self) -> bool:
        """At most a thousandth outside, and at least half of the range used."""
        return self.outside <= _OUTSIDE and self.used >= _USED

    def to_json(self) -> dict[str, Any]:
        name, share = self.worst
        return {
            "alike": self.alike,
            "outside": round(self.outside, 6),
            "used": round(self.used, 4),
            "worst": {"tensor": name, "outside": round(share, 6)},
        }


def resemblance(probe: Probe, ranges: Mapping[str, Interval], samples: Samples) -> Resemblance:
    """Run `samples` through the file that `ranges` were found from, and compare."""
    outside: Counter[str] = Counter()
    total: Counter[str] = Counter()
    extremes: dict[str, tuple[float, float]] = {}

    def look(name: str, values: NDArray[Any]) -> None:
        if name not in ranges:
            return
        lowest, highest = ranges[name]
        outside[name] += int(np.count_nonzero((values < lowest) | (values > highest)))
        total[name] += values.size
        low, high = extremes.get(name, (np.inf, -np.inf))
        extremes[name] = (min(low, float(values.min())), max(high, float(values.max())))

    for inputs in batches(samples, probe.batch):
        probe.run(inputs, look)
    shares = {name: outside[name] / total[name] for name in total}
    used = []
    for name, (low, high) in extremes.items():
        interval = ranges[name]
        if interval.width > 0:
            covered = min(high, interval.highest) - max(low, interval.lowest)
            used.append(max(0.0, covered) / interval.width)
    name = max(sorted(shares), key=shares.__getitem__)
    return Resemblance(
        outside=float(np.mean(list(shares.values()))),
        used=float(np.mean(used)) if used else 1.0,
        worst=(name, shares[name]),
    )
