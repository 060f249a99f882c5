"""Times on several machines, side by side: a column a machine."""

from __future__ import annotations

from edgekit.report import units
from edgekit.report.data import Report
from edgekit.report.table import Table


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
        # The first of a document is with the threads that were asked for first.
        cells.setdefault(run.name, {}).setdefault(run.document, units.duration(run.p50_ms))
    rows = tuple(
        (name, *(found.get(document, units.UNKNOWN) for document in titles))
        for name, found in cells.items()
    )
    return Table(("file", *titles.values()), rows)
