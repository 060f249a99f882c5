"""Channels: how each place on an output's last axis follows the reference, and which of them died."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from edgekit.document.record import Count, Fraction, NotNegative, Positive, Record
from edgekit.metrics.blocks import together
from edgekit.metrics.fidelity import ChannelSums

# A report shows a few.
_LISTED = 100
# Integers of eight bits have no more values than this.
_MOST_VALUES = 256
# What float32 leaves of whole steps.
_WHOLE = 0.02


@dataclass(frozen=True)
class ChannelDrift(Record):
    """The channels of one output; a channel is a place on its last axis.

    Attributes:
        count: how many there are.
        worst: the one that follows worst; None where all are equal.
        worst_db: its SQNR, held against the larger of its spread and one step of the file's integers; None
            where it is infinite.
        constant: how many give one value in the file.
        dead: the first 100 that tell something in the reference and nothing in the file.
        dead_count: how many such there are.
        clipped: share of the answers that end where the file's values end, the reference going on.
        step: of the integers that the answers are made of, as their values show it; 0 for float.
    """

    count: Positive
    worst: Count | None
    worst_db: float | None
    constant: Count
    dead: Annotated[tuple[Count, ...], ("maxItems", _LISTED)]
    dead_count: Count
    clipped: Fraction
    step: NotNegative

    @classmethod
    def of(cls, reference: NDArray[Any], answer: NDArray[Any]) -> ChannelDrift:
        """Measure `answer`, finite and of the reference's shape, samples first."""
        step = step_of(answer)
        sums = ChannelSums.of(reference, answer)
        noise, dead = sums.noise(step), sums.dead(step)
        worst = int(np.argmax(noise))
        level = float(noise[worst])
        return cls(
            count=len(noise),
            worst=worst if level > 0 else None,
            worst_db=-10 * math.log10(level) if 0 < level < math.inf else None,
            constant=int(np.count_nonzero(sums.constant)),
            dead=tuple(int(place) for place in dead[:_LISTED]),
            dead_count=len(dead),
            clipped=_clipped(reference, answer, step),
            step=step,
        )

    @property
    def in_words(self) -> str:
        """``"channels 1, 4 and 3 more"``, of those that died."""
        shown = ", ".join(map(str, self.dead[:5]))
        more = f" and {self.dead_count - 5} more" if self.dead_count > 5 else ""
        return f"channel{'' if self.dead_count == 1 else 's'} {shown}{more}"


def step_of(answer: NDArray[Any]) -> float:
    """The step of the integers that answers are made of: the smallest distance of two values.

    0 unless all values are whole numbers of it apart, at most 255, as those of eight bits are: a few
    float values have a smallest distance too.
    """
    values: NDArray[np.float64] = np.zeros(0)
    for (block,) in together(answer):
        values = np.union1d(values, block.astype(np.float64))
        if len(values) > _MOST_VALUES:
            return 0.0
    if not 1 < len(values) <= _MOST_VALUES:
        return 0.0
    step = float(np.diff(values).min())
    apart = (values - values[0]) / step
    whole = np.abs(apart - np.round(apart)).max() <= _WHOLE and apart[-1] < _MOST_VALUES
    return step if whole else 0.0


def _clipped(reference: NDArray[Any], answer: NDArray[Any], step: float) -> float:
    if not step:
        return 0.0
    ends = [(x.min(), x.max()) for (x,) in together(answer)]
    low, high = min(each[0] for each in ends), max(each[1] for each in ends)
    count = total = 0
    for first, own in together(reference, answer):
        ref = first.astype(np.float64)
        beyond = ((own == high) & (ref > high + step)) | ((own == low) & (ref < low - step))
        count += int(np.count_nonzero(beyond))
        total += beyond.size
    return count / total
