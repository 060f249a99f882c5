"""Figures of a file as tables: of all samples, and by class and slice, each with its 95 % interval."""

from __future__ import annotations

from collections.abc import Callable

from edgekit.drift.figure import Figure
from edgekit.drift.words import name_of
from edgekit.report import units
from edgekit.report.data import Row
from edgekit.report.table import Table

_GROUPS = 40
_FORMS: dict[str, Callable[[float | None], str]] = {
    "share": units.percent,
    "difference": units.points,
    "dB": units.decibels,
    "ms": units.duration,
    "bytes": units.size,
    "count": lambda value: units.UNKNOWN if value is None else f"{value:,.0f}",
}


def figures_table(row: Row) -> Table | None:
    """Every figure of all samples; None of documents that hold none."""
    found = [figure for figure in row.figures if not figure.group]
    if not found:
        return None
    several = len({figure.output for figure in found if figure.output}) > 1
    return Table(
        ("figure", "value", "original", "95 % interval", "samples"),
        tuple(
            (
                f"{name_of(figure.name)} of {figure.output}"
                if several and figure.output
                else name_of(figure.name),
                *_cells(figure),
            )
            for figure in found
        ),
    )


def groups_table(row: Row) -> Table | None:
    """What each class and slice lost, those that lost most first; None where nothing did or gained.

    Classes whose loss is beyond chance, over all of them together, are marked.
    """
    grouped = [figure for figure in row.figures if figure.group]
    # Of a group the change says most: a figure that ends in _drop or _rise.
    changes = [figure for figure in grouped if figure.name.endswith(("_drop", "_rise"))]
    found = [figure for figure in changes or grouped if figure.value]
    if not found:
        return None
    worst = sorted(found, key=_badness, reverse=True)[:_GROUPS]
    accused = {f"class={label}" for label in row.accused}
    return Table(
        ("group", "figure", "value", "95 % interval", "samples", "beyond chance"),
        tuple(
            (
                figure.group.replace("=", " ", 1),
                name_of(figure.name),
                _cells(figure)[0],
                *_cells(figure)[2:],
                "yes" if figure.group in accused else "no",
            )
            for figure in worst
        ),
    )


def _badness(figure: Figure) -> float:
    value = figure.value or 0.0
    return value if figure.better == "lower" else -value


def _cells(figure: Figure) -> tuple[str, str, str, str]:
    form = _FORMS.get(figure.unit, units.significant)
    ends = figure.ci95
    return (
        form(figure.value),
        form(figure.reference),
        units.UNKNOWN if ends is None else " to ".join(form(end) for end in ends),
        units.UNKNOWN if figure.count is None else f"{figure.count:,}",
    )
