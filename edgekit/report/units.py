"""Numbers as people read them; an en dash stands for what is not known."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgekit.runtime.relative import Relative

UNKNOWN = "–"


def size(size_bytes: float | None) -> str:
    """Bytes in KB, 1 KB being 1000 B: ``"27.3 KB"``."""
    return _text(size_bytes, lambda value: f"{value / 1000:.1f} KB")


def memory(size_bytes: float | None) -> str:
    """Bytes in MB, 1 MB being 1000 KB: ``"41.0 MB"``."""
    return _text(size_bytes, lambda value: f"{value / 1e6:.1f} MB")


def percent(share: float | None) -> str:
    """A share in [0, 1] as ``"95.28 %"``."""
    return _text(share, lambda value: f"{value * 100:.2f} %")


def points(drop: float | None) -> str:
    """A difference of shares in percentage points: ``"0.28 pt"``; below zero is a gain."""
    return _text(drop, lambda value: f"{hundredths(value)} pt")


def hundredths(share: float) -> str:
    """A share times 100 with two digits, and never a minus before zero."""
    return f"{round(share * 100, 2) + 0.0:.2f}"


def interval(bounds: tuple[float, float] | None) -> str:
    """Both ends of an interval of drops, in percentage points."""
    return "" if bounds is None else f"{hundredths(bounds[0])} to {hundredths(bounds[1])}"


def duration(ms: float | None) -> str:
    """Milliseconds with three digits in the unit that suits them: ``"42.1 us"``, ``"1.11 ms"``."""

    def text(value: float) -> str:
        # Rounded first: 0.99996 ms is 1.00 ms and not 1000 us.
        value = float(f"{value:.3g}")
        for limit, factor, unit in ((1, 1000, "us"), (1000, 1, "ms")):
            if value < limit:
                return f"{_three_digits(value * factor)} {unit}"
        return f"{_three_digits(value / 1000)} s"

    return _text(ms, text)


def speedup(ratio: float | None) -> str:
    """How many times as fast: ``"26.5x"``."""
    return _text(ratio, lambda value: f"{value:.1f}x")


def relative(found: Relative | None) -> str:
    """A time by another's, with its verdict: ``"1.23, slower"``."""
    return UNKNOWN if found is None else f"{found.ratio:.3g}, {found}"


def decibels(value: float | None) -> str:
    """``"38.2 dB"``; an infinite one is that of equal outputs, or of a reference that is all zeros."""

    def text(db: float) -> str:
        if math.isinf(db):
            return "identical" if db > 0 else UNKNOWN
        return f"{db:.1f} dB"

    return _text(value, text)


def significant(value: float | None) -> str:
    """Four significant digits, for numbers without a unit."""
    return _text(value, lambda number: f"{number:.4g}")


def plural(count: int, noun: str, several: str | None = None) -> str:
    """``"1 file"``, ``"2 files"``; `several` where an s does not make the plural."""
    return f"{count:,} {noun if count == 1 else several or f'{noun}s'}"


def _three_digits(value: float) -> str:
    return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f}"


def _text(value: float | None, form: Callable[[float], str]) -> str:
    return UNKNOWN if value is None else form(value)
