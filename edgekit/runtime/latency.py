"""Latency: what a list of measured durations comes to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgekit.document.record import NotNegative, Positive, Record
from edgekit.errors import TensorError


@dataclass(frozen=True)
class Latency(Record):
    """Durations of single inferences in milliseconds.

    Percentiles are interpolated linearly between the two nearest measurements;
    `std_ms` is the standard deviation of the sample (divided by ``count - 1``).
    """

    count: Positive
    mean_ms: NotNegative
    std_ms: NotNegative
    min_ms: NotNegative
    p50_ms: NotNegative
    p90_ms: NotNegative
    p99_ms: NotNegative
    max_ms: NotNegative

    @classmethod
    def of(cls, samples_ns: Sequence[int]) -> Latency:
        """Summarise durations given in nanoseconds.

        Raises:
            TensorError: there are none.
        """
        if not len(samples_ns):
            raise TensorError("latency: received no durations, expected at least one.")
        ms = np.asarray(samples_ns, np.float64) / 1e6
        p50, p90, p99 = np.percentile(ms, [50, 90, 99])
        return cls(
            count=len(ms),
            mean_ms=float(ms.mean()),
            std_ms=float(ms.std(ddof=1)) if len(ms) > 1 else 0.0,
            min_ms=float(ms.min()),
            p50_ms=float(p50),
            p90_ms=float(p90),
            p99_ms=float(p99),
            max_ms=float(ms.max()),
        )
