"""Accuracy against size against latency: each file a dot, in percent of the picture; the template draws."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgekit.report import units
from edgekit.report.charts import Tick, round_steps
from edgekit.report.data import Report, Row

# Pixels. A badge must be clear of the others on the narrowest and on the widest picture.
HEIGHT = 260
_WIDTHS = (250, 480)
_BADGE, _DOT = 10, 5
_ANGLES = (-90, -45, -135, 0, 180, 45, 135, 90)
_RADII = (21, 34, 48, 64)
_TICKS = 5


@dataclass(frozen=True)
class Dot:
    """One file.

    Attributes:
        letter: what stands for its name, here and in the table; empty for the original.
        x, y: of the dot, percent from the left and from the top.
        low, high: ends of its interval, percent from the top; None without one.
        dx, dy: of the badge with the letter, pixels from the dot.
        best: no other file is at least as good in everything that is shown, and better in one.
        text: all its numbers.
    """

    letter: str
    x: float
    y: float
    low: float | None
    high: float | None
    dx: float
    dy: float
    verdict: str | None
    best: bool
    text: str


@dataclass(frozen=True)
class Panel:
    """What files answer by one cost.

    Attributes:
        original: the original model's dot.
    """

    title: str
    dots: tuple[Dot, ...]
    original: Dot | None
    ticks: tuple[Tick, ...]


@dataclass(frozen=True)
class TradeOff:
    """One or two panels, of size and of latency, over the same measure.

    Attributes:
        measure: what the height shows, such as ``"accuracy"``.
        ticks: of the measure, percent from the top.
        limit: the least that the budget allows.
    """

    measure: str
    panels: tuple[Panel, ...]
    ticks: tuple[Tick, ...]
    limit: Tick | None


def letters(report: Report) -> dict[str, str]:
    """What stands for each file in pictures, by its sha256: ``"A"``, ``"B"``, ... ``"Z"``, ``"27"``."""
    return {
        row.sha256: chr(ord("A") + at) if at < 26 else str(at + 1)
        for at, row in enumerate(report.rows)
    }


def tradeoff(report: Report) -> TradeOff | None:
    """None where fewer than two models have both an answer to measure and a cost."""
    name = "accuracy" if any(row.accuracy is not None for row in report.rows) else "agreement"
    rows = [row for row in report.rows if _measured(row, name) is not None]
    original = report.reference if name == "accuracy" else None
    if original is not None and original.accuracy is None:
        original = None
    everything = [*rows, *([original] if original else [])]
    panels_of: list[tuple[str, Callable[[Row], float | None], Callable[[float | None], str]]] = [
        (title, cost, text)
        for title, cost, text in (
            ("size", _size, units.size),
            ("latency (p50)", _latency, units.duration),
        )
        if sum(cost(row) is not None for row in everything) > 1 and any(map(cost, rows))
    ]
    if not panels_of:
        return None
    floor = _floor(report, original)
    at, ticks = _heights(everything, name, floor)
    best = _front(rows, name)
    named = letters(report)
    return TradeOff(
        measure=name,
        panels=tuple(
            _panel(title, cost, text, rows, original, name, at, best, named)
            for title, cost, text in panels_of
        ),
        ticks=ticks,
        limit=None if floor is None else Tick(at(floor), units.percent(floor)),
    )


def _size(row: Row) -> float | None:
    return row.size_bytes or None


def _latency(row: Row) -> float | None:
    return row.p50_ms or None


def _measured(row: Row, name: str) -> float | None:
    return row.accuracy if name == "accuracy" else row.agreement


def _floor(report: Report, original: Row | None) -> float | None:
    """The least accuracy that the budget allows."""
    allowed = report.budget.max_accuracy_drop
    if original is None or original.accuracy is None or allowed is None:
        return None
    return original.accuracy - allowed


def _interval(row: Row, name: str) -> tuple[float, float] | None:
    """Of the accuracy, from that of the drop: the original's is what the drop is counted from."""
    if name != "accuracy" or row.drop is None or row.drop_ci95 is None or row.accuracy is None:
        return None
    before = row.accuracy + row.drop
    # No file answers more than all samples, or fewer than none.
    return max(0.0, before - row.drop_ci95[1]), min(1.0, before - row.drop_ci95[0])


def _heights(
    rows: Sequence[Row], name: str, floor: float | None
) -> tuple[Callable[[float], float], tuple[Tick, ...]]:
    values = [value for row in rows if (value := _measured(row, name)) is not None]
    values += [end for row in rows for end in _interval(row, name) or ()]
    values += [] if floor is None else [floor]
    pad = 0.12 * (max(values) - min(values)) or 0.005
    low, high = min(values) - pad, max(values) + pad

    def at(value: float) -> float:
        return 100 * (high - value) / (high - low)

    steps = [step for step in round_steps(100 * low, 100 * high) if 0 <= step <= 100]
    return at, tuple(Tick(at(step / 100), f"{step:g} %") for step in steps)


def _front(rows: Sequence[Row], name: str) -> set[str]:
    """Hashes of the files that no other beats: at least as good in everything, better in one."""
    known = {
        row.sha256: (-(_measured(row, name) or 0.0), _size(row), _latency(row)) for row in rows
    }

    def beaten(mine: tuple[float | None, ...]) -> bool:
        for other in known.values():
            pairs = [
                (a, b) for a, b in zip(other, mine, strict=True) if a is not None and b is not None
            ]
            comparable = all((a is None) == (b is None) for a, b in zip(other, mine, strict=True))
            if comparable and all(a <= b for a, b in pairs) and any(a < b for a, b in pairs):
                return True
        return False

    return {sha256 for sha256, values in known.items() if not beaten(values)}


def _panel(
    title: str,
    cost: Callable[[Row], float | None],
    text: Callable[[float | None], str],
    rows: Sequence[Row],
    original: Row | None,
    name: str,
    at: Callable[[float], float],
    best: set[str],
    named: dict[str, str],
) -> Panel:
    shown = [row for row in rows if cost(row) is not None]
    costs = [cost(row) or 1.0 for row in (*shown, *([original] if original else ())) if cost(row)]
    across, ticks = logarithmic(costs, text)
    places = [(across(cost(row) or 1.0), at(_measured(row, name) or 0.0)) for row in shown]
    own = original is not None and cost(original) is not None
    beside = (
        [(across(cost(original) or 1.0), at(original.accuracy or 0.0))] if own and original else []
    )

    def dot(row: Row, x: float, y: float, offset: tuple[float, float]) -> Dot:
        ends = _interval(row, name)
        return Dot(
            letter=named.get(row.sha256, ""),
            x=x,
            y=y,
            low=at(ends[0]) if ends else None,
            high=at(ends[1]) if ends else None,
            dx=offset[0],
            dy=offset[1],
            verdict=row.verdict,
            best=row.sha256 in best,
            text=f"{row.name}: {units.percent(_measured(row, name))} {name}, {text(cost(row))}",
        )

    offsets = dodged(places, beside)
    return Panel(
        title,
        tuple(
            dot(row, x, y, offset)
            for row, (x, y), offset in zip(shown, places, offsets, strict=True)
        ),
        dot(original, *beside[0], (0.0, 0.0)) if own and original else None,
        ticks,
    )


def logarithmic(
    values: Sequence[float], text: Callable[[float | None], str]
) -> tuple[Callable[[float], float], tuple[Tick, ...]]:
    """A logarithmic scale for these costs: places in percent from the left, and its ticks."""
    low, high = math.log10(min(values)), math.log10(max(values))
    pad = 0.1 * (high - low) or 0.3
    low, high = low - pad, high + pad

    def at(value: float) -> float:
        return 100 * (math.log10(value) - low) / (high - low)

    for factors in ((1, 2, 5), (1, 3), (1,)):
        decades = range(math.floor(low), math.ceil(high) + 1)
        steps = [f * 10.0**n for n in decades for f in factors if low <= math.log10(f) + n <= high]
        if len(steps) <= _TICKS:
            break
    if len(steps) < 2:
        steps = [step for step in round_steps(10**low, 10**high) if step > 0]
    # A tick is a round number: "50 KB", not "50.0 KB".
    return at, tuple(Tick(at(step), re.sub(r"\.0+(?= )", "", text(step))) for step in steps)


def dodged(
    places: Sequence[tuple[float, float]], beside: Sequence[tuple[float, float]]
) -> list[tuple[float, float]]:
    """Where each badge goes, in pixels from its dot: the nearest place clear of dots and badges."""
    dots = [*places, *beside]
    badges: list[tuple[tuple[float, float], tuple[float, float]]] = []
    found: list[tuple[float, float]] = []

    def clear(place: tuple[float, float], dx: float, dy: float) -> bool:
        for width in _WIDTHS:
            x, y = place[0] * width / 100 + dx, place[1] * HEIGHT / 100 + dy
            if not (_BADGE <= x <= width - _BADGE and _BADGE <= y <= HEIGHT - _BADGE):
                return False
            for other in dots:
                ox, oy = other[0] * width / 100, other[1] * HEIGHT / 100
                if math.hypot(x - ox, y - oy) < _BADGE + _DOT + 2:
                    return False
            for (bx, by), (ax, ay) in badges:
                ox, oy = bx * width / 100 + ax, by * HEIGHT / 100 + ay
                if math.hypot(x - ox, y - oy) < 2 * _BADGE + 2:
                    return False
        return True

    for place in places:
        tried = [
            (r * math.cos(math.radians(a)), r * math.sin(math.radians(a)))
            for r in _RADII
            for a in _ANGLES
        ]
        offset = next((each for each in tried if clear(place, *each)), tried[0])
        badges.append((place, offset))
        found.append(offset)
    return found
