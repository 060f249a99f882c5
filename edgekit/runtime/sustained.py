"""Sustained: what latencies become when a machine works for minutes and grows warm."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from random import Random
from time import monotonic
from typing import Annotated, ClassVar

import numpy as np

from edgekit.document.record import Count, NotNegative, Record
from edgekit.runtime import linux
from edgekit.runtime.contestant import Entry, contestant
from edgekit.runtime.turns import Times

# A window is a minute, and of short runs a tenth, so that there is a first one and a last.
_WINDOW_S, _WINDOWS = 60.0, 10
# All files slower than in the first window by this share: the machine holds back, whatever it says.
_SLOWED = 1.1


@dataclass(frozen=True)
class Window(Record):
    """A part of a long measurement.

    Attributes:
        end_s: seconds from the start to its end.
        medians_ms: the median duration of each file, in the order of the benchmark's runs.
        clock_mhz: of the fastest core at its end; None where the kernel does not say.
        temperature_c: of the processor at its end; None likewise.
        throttled: whether the firmware held the processor back at its end; None where there is none that says.
    """

    end_s: NotNegative
    medians_ms: tuple[NotNegative, ...]
    clock_mhz: NotNegative | None
    temperature_c: float | None
    throttled: bool | None


@dataclass(frozen=True)
class Sustained(Record):
    """Files that took turns for a long time.

    Attributes:
        seconds: how long.
        windows: in their order; at least two.
    """

    computed: ClassVar[tuple[str, ...]] = ("slowdown", "held_back_s", "first", "last")

    seconds: NotNegative
    windows: Annotated[tuple[Window, ...], ("minItems", 2)]

    @property
    def slowdown(self) -> float:
        """By what factor files took longer in the last window than in the first: the median over the files."""
        return _ratio(self.windows[-1], self.windows[0])

    @property
    def held_back_s(self) -> float | None:
        """When the machine began to hold back: its firmware said so, or the files took 10 % longer than at first.

        None where it did not. Seconds to the end of the window that shows it.
        """
        first = self.windows[0]
        return next(
            (w.end_s for w in self.windows if w.throttled or _ratio(w, first) > _SLOWED), None
        )

    @property
    def first(self) -> tuple[Count, ...]:
        """Indices of the runs from the fastest to the slowest, in the first window."""
        return _ranking(self.windows[0])

    @property
    def last(self) -> tuple[Count, ...]:
        """The same in the last."""
        return _ranking(self.windows[-1])


def sustained(
    entries: Sequence[Entry], seconds: float, warmup: int, tell: Callable[[str], None]
) -> Sustained:
    """Time files in turns for a long time, one process each.

    Args:
        seconds: how long altogether.
        warmup: untimed calls of each before.

    Raises:
        EdgekitError: one of them cannot be loaded or ends.
    """
    window_s = min(_WINDOW_S, seconds / _WINDOWS)
    order, windows = Random(0), []
    with ExitStack() as stack:
        seats = [stack.enter_context(contestant(entry)) for entry in entries]
        for seated in seats:
            seated.begin(warmup)
        start = monotonic()
        for number in range(1, max(2, round(seconds / window_s)) + 1):
            taken: list[list[Times]] = [[] for _ in seats]
            while not all(taken) or monotonic() - start < number * window_s:
                turns = list(range(len(seats)))
                order.shuffle(turns)
                for i in turns:
                    taken[i].append(seats[i].block())
            windows.append(_window(monotonic() - start, taken))
            tell(f"sustained: {windows[-1].end_s:.0f} s of {seconds:.0f}")
    return Sustained(seconds, tuple(windows))


def _window(end_s: float, taken: Sequence[Sequence[Times]]) -> Window:
    throttling = linux.throttling(linux.ROOT)
    return Window(
        end_s,
        tuple(float(np.median(np.concatenate(each))) / 1e6 for each in taken),
        linux.clock_mhz(linux.ROOT),
        linux.temperature_c(linux.ROOT),
        throttling[0] if throttling is not None else None,
    )


def _ratio(window: Window, first: Window) -> float:
    ratios = (now / then for now, then in zip(window.medians_ms, first.medians_ms) if then)
    return statistics.median([ratio for ratio in ratios if math.isfinite(ratio)] or [1.0])


def _ranking(window: Window) -> tuple[int, ...]:
    return tuple(sorted(range(len(window.medians_ms)), key=lambda i: window.medians_ms[i]))
