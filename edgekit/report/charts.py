"""Geometry of the charts, in percent of their width; the template draws them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from edgekit.document.training import Training
from edgekit.report import units
from edgekit.report.data import Report, Row

# Above this ratio the smallest bar of a linear scale can no longer be read.
_LINEAR_RATIO = 20
_MAX_CLASSES = 40
# Below two points a class's drop is a sample or two: it gets no strong colour.
_FULL_COLOUR_DROP = 0.02
HEAT_LEVELS = 5


@dataclass(frozen=True)
class Tick:
    at: float
    text: str


@dataclass(frozen=True)
class Bar:
    name: str
    text: str
    width: float
    original: bool


@dataclass(frozen=True)
class BarChart:
    bars: tuple[Bar, ...]
    logarithmic: bool
    ticks: tuple[Tick, ...]


@dataclass(frozen=True)
class Whisker:
    """An accuracy drop: a dot, and a line from `low` to `high` where the interval is known."""

    name: str
    text: str
    detail: str
    at: float
    low: float | None
    high: float | None
    verdict: str | None


@dataclass(frozen=True)
class WhiskerChart:
    whiskers: tuple[Whisker, ...]
    zero: float
    budget: Tick | None
    ticks: tuple[Tick, ...]


@dataclass(frozen=True)
class Cell:
    """`level` from ``-HEAT_LEVELS`` (gained) over 0 to ``HEAT_LEVELS`` (lost)."""

    text: str
    level: int


@dataclass(frozen=True)
class HeatRow:
    name: str
    count: int
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class HeatTable:
    """Classes by files, those that lost most first; `left_out` classes lost less than those shown.

    Classes that no file moved are not among the rows.

    Attributes:
        files: names of the files.
        labels: the same without what they all start with.
        note: what is not shown, in words; may be empty.
    """

    files: tuple[str, ...]
    labels: tuple[str, ...]
    rows: tuple[HeatRow, ...]
    left_out: int
    note: str


@dataclass(frozen=True)
class Line:
    name: str
    points: str
    last: str


@dataclass(frozen=True)
class Curve:
    """Lines over epochs in a box of 100 by 100, y downwards; `low` and `high` are its edges.

    `best` is where the epoch lies whose weights were kept; None where that is not known.
    """

    title: str
    lines: tuple[Line, ...]
    low: str
    high: str
    epochs: int
    best: float | None


def bar_chart(
    rows: Sequence[tuple[Row, float | None]],
    text: Callable[[float | None], str],
    original: Row | None,
) -> BarChart | None:
    """A bar for each row with a value, logarithmic where they differ much; None without any."""
    known = [(row, value) for row, value in rows if value is not None and value > 0]
    if not known:
        return None
    values = [value for _, value in known]
    logarithmic = max(values) > _LINEAR_RATIO * min(values)
    # A logarithmic bar has no natural start: a decade that leaves the shortest one visible.
    low = math.floor(math.log10(min(values) / 2)) if logarithmic else 0
    span = math.log10(max(values)) - low if logarithmic else max(values)

    def width(value: float) -> float:
        return 100 * ((math.log10(value) - low) if logarithmic else value) / span

    decades = range(low, math.floor(math.log10(max(values))) + 1) if logarithmic else ()
    return BarChart(
        bars=tuple(Bar(row.name, text(v), width(v), row is original) for row, v in known),
        logarithmic=logarithmic,
        ticks=tuple(Tick(width(10.0**n), text(10.0**n)) for n in decades),
    )


def whisker_chart(report: Report) -> WhiskerChart | None:
    """Accuracy drops with their intervals and the budget; None where no drop is known."""
    rows = [(row, row.drop) for row in report.rows if row.drop is not None]
    if not rows:
        return None
    budget = report.budget.max_accuracy_drop
    values = [0.0] + [drop for _, drop in rows] + ([] if budget is None else [budget])
    values += [end for row, _ in rows for end in row.drop_ci95 or ()]
    pad = 0.05 * (max(values) - min(values)) or 0.001
    low, span = min(values) - pad, max(values) - min(values) + 2 * pad

    def at(value: float) -> float:
        return 100 * (value - low) / span

    whiskers = tuple(
        Whisker(
            name=row.name,
            text=units.points(drop),
            detail=units.interval(row.drop_ci95),
            at=at(drop),
            low=at(row.drop_ci95[0]) if row.drop_ci95 else None,
            high=at(row.drop_ci95[1]) if row.drop_ci95 else None,
            verdict=row.verdict,
        )
        for row, drop in rows
    )
    return WhiskerChart(
        whiskers,
        zero=at(0),
        budget=None if budget is None else Tick(at(budget), units.points(budget)),
        ticks=tuple(
            Tick(at(v / 100), f"{v:g}") for v in round_steps(low * 100, (low + span) * 100)
        ),
    )


def heat_table(report: Report) -> HeatTable | None:
    """The drop of each class in each file; None where no document tells it by class."""
    files = tuple(row for row in report.rows if any(_seen(each.drop) for each in row.per_class))
    unmoved_files = sum(bool(row.per_class) for row in report.rows) - len(files)
    drops: dict[str, dict[str, float]] = {}
    counts: dict[str, int] = {}
    for row in files:
        for entry in row.per_class:
            name = str(entry.label)
            drops.setdefault(name, {})[row.sha256] = entry.drop
            counts[name] = entry.count
    if not drops:
        return None
    worst = {name: max(row.values()) for name, row in drops.items()}
    every = [abs(drop) for row in drops.values() for drop in row.values()]
    full = max([*every, _FULL_COLOUR_DROP])
    moved = [name for name in drops if any(map(_seen, drops[name].values()))]
    if not moved:
        return None
    names = sorted(moved, key=lambda name: -worst[name])

    def cell(drop: float | None) -> Cell:
        if drop is None:
            return Cell(units.UNKNOWN, 0)
        level = math.ceil(HEAT_LEVELS * min(1.0, abs(drop) / full))
        return Cell(units.hundredths(drop), level if drop >= 0 else -level)

    file_names = tuple(row.name for row in files)
    left_out = max(0, len(names) - _MAX_CLASSES)
    return HeatTable(
        file_names,
        _without_common_stem(file_names),
        tuple(
            HeatRow(name, counts[name], tuple(cell(drops[name].get(f.sha256)) for f in files))
            for name in names[:_MAX_CLASSES]
        ),
        left_out,
        note=_not_shown(left_out, len(drops) - len(moved), unmoved_files),
    )


def _seen(drop: float) -> bool:
    """Whether a drop is more than zero in the digits that are shown."""
    return round(100 * drop, 2) != 0


def _not_shown(left_out: int, unmoved: int, files: int) -> str:
    parts = []
    if left_out:
        parts.append(f"{units.plural(left_out, 'class', 'classes')} that lost less")
    if unmoved:
        parts.append(f"{units.plural(unmoved, 'class', 'classes')} whose accuracy no file changed")
    if files:
        parts.append(f"{units.plural(files, 'file')} in which no class changed")
    return f"Not shown: {'; '.join(parts)}." if parts else ""


def training_curves(training: Training | None) -> list[Curve]:
    """Accuracy, other metrics, loss and learning rate over the epochs, where there are two at least."""
    history = training.history if training else ()
    best = training.best_epoch if training else None
    curves = []
    for key in measures(history):
        series = {
            "training": [epoch.get(key) for epoch in history],
            "validation": [epoch.get(f"val_{key}") for epoch in history],
        }
        lines = {
            name: [(x, y) for x, y in enumerate(line) if y is not None]
            for name, line in series.items()
        }
        lines = {name: line for name, line in lines.items() if len(line) > 1}
        if lines:
            text = units.percent if key == "accuracy" else units.significant
            title = key.replace("_", " ").capitalize()
            curves.append(curve_of(title, lines, len(history), best, text))
    return curves


def measures(history: Sequence[dict[str, Any]]) -> list[str]:
    """What was measured in every epoch: accuracy first, loss and learning rate last."""
    keys: dict[str, None] = {"accuracy": None}
    for epoch in history:
        keys.update(dict.fromkeys(key.removeprefix("val_") for key in epoch))
    for last in ("loss", "learning_rate"):
        keys.pop(last, None)
    names = [*keys, "loss", "learning_rate"]

    def numbers(name: str) -> bool:
        values = [epoch.get(key) for epoch in history for key in (name, f"val_{name}")]
        known = [value for value in values if value is not None]
        return bool(known) and all(type(value) in (int, float) for value in known)

    return [name for name in names if name not in ("epoch", "seconds") and numbers(name)]


def curve_of(
    title: str,
    lines: dict[str, list[tuple[int, float]]],
    epochs: int,
    best: int | None,
    text: Callable[[float | None], str],
) -> Curve:
    values = [y for line in lines.values() for _, y in line]
    low, span = min(values), (max(values) - min(values)) or 1.0
    return Curve(
        title,
        tuple(
            Line(
                name,
                " ".join(
                    f"{100 * x / (epochs - 1):.2f},{100 * (1 - (y - low) / span):.2f}"
                    for x, y in line
                ),
                text(line[-1][1]),
            )
            for name, line in lines.items()
        ),
        low=text(low),
        high=text(max(values)),
        epochs=epochs,
        best=100 * (best - 1) / (epochs - 1) if best and best <= epochs else None,
    )


def _without_common_stem(names: Sequence[str]) -> tuple[str, ...]:
    """``kws.int8.tflite`` is ``int8.tflite`` among files that all start with ``kws.``."""
    words = [name.split(".") for name in names]
    common = list(takewhile(lambda at: len(set(at)) == 1, zip(*words, strict=False)))
    return tuple(".".join(each[len(common) :]) or ".".join(each) for each in words)


def round_steps(low: float, high: float) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten between `low` and `high`, about five of them."""
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    return [round(n * step, 10) for n in range(math.ceil(low / step), math.floor(high / step) + 1)]
