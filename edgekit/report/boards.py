"""Answers and times on several machines, side by side: a column a machine."""

from __future__ import annotations

from pathlib import Path

from edgekit.drift.verdict import worst
from edgekit.report import units
from edgekit.report.data import VERDICT_WORDS, Comparison, Labelled, Report
from edgekit.report.hashes import base_name
from edgekit.report.table import Table
from edgekit.runtime.instructions import Instructions


def boards_table(report: Report) -> Table | None:
    """p50 of each file on each machine; None where all benchmarks are of one.

    Machines are told apart by their documents: two boards of one kind are two machines.
    """
    if len({run.device for run in report.measurements}) < 2:
        return None
    machines = {run.document: run.device for run in report.measurements}
    kinds = list(machines.values())
    titles = {
        document: device if kinds.count(device) == 1 else f"{device} ({document})"
        for document, device in machines.items()
    }
    cells: dict[str, dict[str, str]] = {}
    for run in report.measurements:
        # The first of a document is with the threads that were requested first.
        cells.setdefault(run.name, {}).setdefault(run.document, units.duration(run.p50_ms))
    rows = tuple(
        (name, *(found.get(document, units.UNKNOWN) for document in titles))
        for name, found in cells.items()
    )
    return Table(("file", *titles.values()), rows)


def instructions_table(report: Report) -> Table | None:
    """Instructions an inference of each file on each emulated processor; None where none were counted."""
    if not report.instructions:
        return None
    kinds = [_counted_on(row) for row in report.instructions]
    titles = [
        kind if kinds.count(kind) == 1 else f"{kind} ({row.label})"
        for kind, row in zip(kinds, report.instructions, strict=True)
    ]
    cells: dict[str, dict[str, str]] = {}
    for title, row in zip(titles, report.instructions, strict=True):
        for each in row.document.files:
            shown = "failed" if each.infer is None else f"{each.infer:,}"
            cells.setdefault(base_name(each.artifact.file), {})[title] = shown
    rows = tuple(
        (name, *(found.get(title, units.UNKNOWN) for title in titles))
        for name, found in cells.items()
    )
    return Table(("file", *titles), rows)


def _counted_on(row: Labelled[Instructions]) -> str:
    found = row.document
    return f"{found.device}{', 32 bits' if found.bits == 32 else ''}"


def answers_table(report: Report) -> Table | None:
    """Verdict and flips of each file on each machine; None where all comparisons are of one.

    Comparisons of one machine in one folder share a column: a board writes a document for each file where one of
    them ends its interpreter.
    """
    places = {row.place: row.machine for row in report.comparisons}
    if len(set(places.values())) < 2:
        return None
    machines = list(places.values())
    titles = {
        place: machine if machines.count(machine) == 1 else f"{machine} ({Path(place[0]).name})"
        for place, machine in places.items()
    }
    rows = []
    for row in report.rows:
        own: dict[tuple[str, str], list[Comparison]] = {}
        for each in report.comparisons:
            if each.sha256 == row.sha256:
                own.setdefault(each.place, []).append(each)
        if own:
            cells = (_answers(own[place]) if place in own else units.UNKNOWN for place in titles)
            rows.append((row.name, *cells))
    return Table(("file", *titles.values()), tuple(rows))


def _answers(found: list[Comparison]) -> str:
    """The gravest verdict, and the flips of that comparison."""
    gravest = worst([each.verdict for each in found])
    shown = next(each for each in found if each.verdict == gravest)
    word = VERDICT_WORDS[shown.verdict].lower()
    if shown.flips is not None:
        return f"{word}, {units.plural(shown.flips, 'flip')}"
    return word if shown.sqnr_db is None else f"{word}, {units.decibels(shown.sqnr_db)}"
