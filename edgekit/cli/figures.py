"""Figures in lines of text."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from edgekit.drift.figure import Figure
from edgekit.drift.words import name_of, range_of, value_of


def figure_lines(figures: Iterable[Figure], without: Collection[str] = ()) -> list[str]:
    """A line for each figure of all samples: ``"mean IoU 78.1 %, 77.4 to 78.9 %; the original's 79 %"``.

    Args:
        figures: measured ones; those of a class or a slice are passed over.
        without: names that are shown elsewhere.
    """
    lines = []
    for figure in figures:
        if figure.group or figure.name in without or figure.value is None:
            continue
        digits = 4 if figure.unit in ("share", "difference") else 12
        text = f"{name_of(figure.name)} {value_of(round(figure.value, digits), figure.unit)}"
        if figure.ci95 is not None:
            text += f", {range_of(figure.ci95, figure.unit)}"
        if figure.reference is not None:
            text += f"; the original's {value_of(round(figure.reference, digits), figure.unit)}"
        lines.append(text)
    return lines
