"""Relative: how fast one file is beside another, with an interval, in a word."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from edgekit.document.record import NotNegative, Record, Text
from edgekit.runtime.student import mean_interval
from edgekit.runtime.turns import Times

FASTER, SLOWER, SAME, OPEN, WITHHELD = "faster", "slower", "same", "inconclusive", "withheld"
# A file against itself is to be called faster or slower in 2.5 % of all cases at most.
_PROBABILITY = 0.975
# An interval inside of this on both sides is called the same.
_SAME = 0.05


@dataclass(frozen=True)
class Relative(Record):
    """A file's median duration by another's.

    Attributes:
        to: the other file.
        ratio: of the medians; below 1 is faster.
        low, high: its 97.5 % interval over the processes that ran both; None where there was only one.
        verdict: ``"faster"`` or ``"slower"`` where the whole interval is on that side of 1, ``"same"`` where it
            is within 5 % on both sides, else ``"inconclusive"``; ``"withheld"`` on a disturbed machine.
    """

    to: Text
    ratio: NotNegative
    low: NotNegative | None
    high: NotNegative | None
    verdict: Annotated[str, ("enum", (FASTER, SLOWER, SAME, OPEN, WITHHELD))]

    @classmethod
    def of(cls, to: str, logs: Sequence[float], *, disturbed: bool) -> Relative:
        """From the logarithm of the ratio in each pair of processes.

        Processes differ in where their memory lies, so it is they that an interval is over, and not the
        calls of one: ``exp(mean ± t s / sqrt(n))`` with Student's t.
        """
        interval = mean_interval(logs, _PROBABILITY)
        low, high = (None, None) if interval is None else map(math.exp, interval)
        verdict = WITHHELD if disturbed else _word(low, high)
        return cls(to, math.exp(math.fsum(logs) / len(logs)), low, high, verdict)

    def __str__(self) -> str:
        if self.verdict != SAME or self.low is None or self.high is None:
            return self.verdict
        within = max(1 / self.low, self.high) - 1
        return f"same within {100 * within:.1f} %"


def log_ratio(own: Sequence[Times], other: Sequence[Times]) -> float:
    """The logarithm of the ratio of two files that took turns: the median over the rounds that both were in."""
    rounds = zip(own, other)
    return float(np.median([math.log(np.median(a) / np.median(b)) for a, b in rounds]))


def _word(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return OPEN
    if high < 1:
        return FASTER
    if low > 1:
        return SLOWER
    return SAME if max(1 / low, high) - 1 <= _SAME else OPEN
