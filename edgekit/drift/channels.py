"""Channels: how each place on an output's last axis follows the reference, and which of them died."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from edgekit.document.record import Count, Fraction, NotNegative, Positive, Record
from edgekit.metrics.fidelity import by_channel, channel_noise, dead_channels

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
        noise = channel_noise(reference, answer, step)
        dead = dead_channels(reference, answer, step)
        worst = int(np.argmax(noise))
        level = float(noise[worst])
        channels = by_channel(answer)
        return cls(
            count=len(noise),
            worst=worst if level > 0 else None,
            worst_db=-10 * math.log10(level) if 0 < level < math.inf else None,
            constant=int(np.count_nonzero((channels == channels[:1]).all(0))),
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
    values = np.unique(answer.astype(np.float64))
    if not 1 < len(values) <= _MOST_VALUES:
        return 0.0
    step = float(np.diff(values).min())
    apart = (values - values[0]) / step
    whole = np.abs(apart - np.round(apart)).max() <= _WHOLE and apart[-1] < _MOST_VALUES
    return step if whole else 0.0


def _clipped(reference: NDArray[Any], answer: NDArray[Any], step: float) -> float:
    if not step:
        return 0.0
    ref = reference.astype(np.float64)
    low, high = answer.min(), answer.max()
    beyond = ((answer == high) & (ref > high + step)) | ((answer == low) & (ref < low - step))
    return int(np.count_nonzero(beyond)) / int(beyond.size)
