"""A study in a report: its front as a table, and every trial as a dot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edgekit.document.tuning import MAXIMIZE, Trial, Tuning
from edgekit.report import units
from edgekit.report.table import Table

_FORMS: dict[str, tuple[str, Callable[[float | None], str]]] = {
    "accuracy": ("accuracy", units.percent),
    "int8_accuracy": ("int8 accuracy", units.percent),
    "size_bytes": ("size", units.size),
    "latency_ms": ("latency", units.duration),
}


@dataclass(frozen=True)
class Dot:
    """A trial, at percent of the width from the left and of the height from the top."""

    x: float
    y: float
    text: str
    best: bool


@dataclass(frozen=True)
class Scatter:
    """Two objectives of every trial that ended well."""

    title: str
    dots: tuple[Dot, ...]
    left: str
    right: str
    low: str
    high: str


def front_table(tuning: Tuning) -> Table:
    """The trials that no other beats in every objective: what they reached, and with which values."""
    objectives = [each.name for each in tuning.objectives]
    keys = list(tuning.search)
    columns = ("trial", *(_FORMS[name][0] for name in objectives), *keys)
    return Table(
        columns,
        tuple(
            (
                str(trial.number),
                *(_FORMS[name][1](values[name]) for name in objectives),
                *(_text(trial.parameters.get(key)) for key in keys),
            )
            for trial, values in _ordered(tuning)
        ),
    )


def counts(tuning: Tuning) -> str:
    """How many trials there were, and what became of them: ``"12 trials: 9 complete, 3 pruned"``."""
    states = [trial.state for trial in tuning.trials]
    parts = [f"{states.count(state)} {state}" for state in dict.fromkeys(sorted(states))]
    return f"{units.plural(len(states), 'trial')}: {', '.join(parts)}"


def scatters(tuning: Tuning) -> list[Scatter]:
    """A chart for each objective beside the first; of a single one, its course over the trials."""
    rows = [(trial, trial.values) for trial in tuning.trials if trial.values]
    if not rows:
        return []
    first, *others = [each.name for each in tuning.objectives]
    across: list[str | None] = [*others] or [None]
    return [_scatter(tuning, rows, first, other) for other in across]


def _scatter(
    tuning: Tuning, rows: list[tuple[Trial, dict[str, float]]], first: str, other: str | None
) -> Scatter:
    title, form = _FORMS[first]
    name, form_x = ("trial", _trial) if other is None else _FORMS[other]
    xs = [float(trial.number if other is None else values[other]) for trial, values in rows]
    ys = [values[first] for _, values in rows]
    return Scatter(
        title=f"{title} by {name}",
        dots=tuple(
            Dot(
                x,
                100 - y,
                f"trial {trial.number}: {form(values[first])}"
                + ("" if other is None else f", {form_x(values[other])}"),
                trial.number in tuning.front,
            )
            for (trial, values), x, y in zip(rows, _placed(xs), _placed(ys), strict=True)
        ),
        left=form_x(min(xs)),
        right=form_x(max(xs)),
        low=form(min(ys)),
        high=form(max(ys)),
    )


def _trial(number: float | None) -> str:
    return f"trial {number:.0f}"


def _placed(values: list[float]) -> list[float]:
    low, high = min(values), max(values)
    return [100 * (value - low) / (high - low) if high > low else 50.0 for value in values]


def _ordered(tuning: Tuning) -> list[tuple[Trial, dict[str, float]]]:
    """The front with its values, the best in the first objective first."""
    first = tuning.objectives[0]
    rows = [(trial, trial.values) for trial in tuning.best if trial.values]
    return sorted(rows, key=lambda row: row[1][first.name], reverse=first.direction == MAXIMIZE)


def _text(value: Any) -> str:
    return units.significant(value) if isinstance(value, float) else str(value)
