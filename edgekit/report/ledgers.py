"""Ledgers in words and as a table: a row for each file, machine and interpreter."""

from __future__ import annotations

from collections.abc import Iterator

from edgekit.drift.ledger import Cell, Ledger
from edgekit.report import units
from edgekit.report.data import VERDICT_WORDS
from edgekit.report.table import Table

COLUMNS = (
    *("file", "machine", "interpreter", "flips", "flips from first", "largest step"),
    "result",
)


def ledger_summary(found: Ledger) -> Iterator[str]:
    """What it is of, and how to read it."""
    yield f"{found.in_words}, on {units.plural(found.reference.samples, 'sample')}."
    yield (
        "Flips: answers that are not the original's. Flips from first, and the largest step: from the first row of "
        "the file that ran; in steps of the output's integers, or in the output's unit."
    )


def ledger_table(found: Ledger) -> Table:
    """All of it."""
    return Table(COLUMNS, tuple(_row(cell) for cell in found.cells))


def _row(cell: Cell) -> tuple[str, ...]:
    backend = cell.runtime
    if cell.backend is not None:
        backend = f"{cell.runtime} ({cell.backend.name} {cell.backend.version})"
        if cell.runtime == cell.backend.name:
            backend = f"{cell.runtime} {cell.backend.version}"
    return (
        cell.file,
        cell.machine,
        backend,
        _count(cell.flips),
        _count(cell.first_flips),
        _largest(cell),
        _result(cell),
    )


def _count(number: int | None) -> str:
    return units.UNKNOWN if number is None else str(number)


def _largest(cell: Cell) -> str:
    if cell.first_steps is not None:
        return units.plural(round(cell.first_steps), "step")
    return units.UNKNOWN if cell.first_max_abs is None else f"{cell.first_max_abs:.2g}"


def _result(cell: Cell) -> str:
    if not cell.ran:
        return f"did not run: {' '.join(cell.reasons)}"
    return VERDICT_WORDS[cell.verdict].lower()
