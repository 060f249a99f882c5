"""Ledgers in words and as a table: a row for each file, machine and interpreter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from edgekit.drift.ledger import Cell, Ledger
from edgekit.report import units
from edgekit.report.data import VERDICT_WORDS
from edgekit.report.table import Table

COLUMNS = (
    *("file", "machine", "interpreter", "flips", "flips from first", "largest step"),
    "result",
)


def ledger_summary(found: Ledger) -> Iterator[str]:
    """What it is of, how to read it, and why what did not run did not."""
    yield f"{found.in_words}, on {units.plural(found.reference.samples, 'sample')}."
    yield (
        "Flips: answers that differ from the original's. Flips from first, and the largest step: "
        "against the first row of the file that ran; in quantisation steps of the output, or in "
        "the output's unit."
    )
    for reason, number in _numbers(found).items():
        yield f"[{number}] {reason}"
    for cell in found.cells:
        if cell.verdict in ("fail", "inconclusive"):
            yield f"{cell.file} on {cell.machine}, {cell.runtime}: {' '.join(cell.reasons)}"


def ledger_table(found: Ledger) -> Table:
    """All of it. What did not run has a number, and `ledger_summary` says why."""
    numbers = _numbers(found)
    return Table(COLUMNS, tuple(_row(cell, numbers) for cell in found.cells))


def _numbers(found: Ledger) -> dict[str, int]:
    """Why cells did not run, each reason once, with a number."""
    reasons = dict.fromkeys(_why(cell) for cell in found.cells if not cell.ran)
    return {reason: number for number, reason in enumerate(reasons, start=1)}


def _why(cell: Cell) -> str:
    return " ".join(cell.reasons)


def _row(cell: Cell, numbers: Mapping[str, int]) -> tuple[str, ...]:
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
        VERDICT_WORDS[cell.verdict].lower() if cell.ran else f"did not run [{numbers[_why(cell)]}]",
    )


def _count(number: int | None) -> str:
    return units.UNKNOWN if number is None else str(number)


def _largest(cell: Cell) -> str:
    if cell.first_steps is not None:
        return units.plural(round(cell.first_steps), "step")
    return units.UNKNOWN if cell.first_max_abs is None else f"{cell.first_max_abs:.2g}"
