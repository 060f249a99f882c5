"""What to do next, in one sentence."""

from __future__ import annotations

from collections.abc import Sequence

from edgekit.drift.budget import DriftBudget
from edgekit.report.data import Report, Row


def next_step(report: Report) -> str:
    """The one thing that brings this model closest to a board; empty where no file is known."""
    rows = report.rows
    if not rows:
        return ""
    if any(finding.severity == "fail" for finding in report.setup):
        return "Correct the set-up first: until then a comparison proves nothing, whatever its numbers."
    compared = [row for row in rows if row.verdict is not None]
    if not compared:
        return (
            "Compare the files with the original model on samples used for nothing else: edgekit "
            "golden, then edgekit compare."
        )
    failed = [row for row in compared if row.verdict == "fail"]
    undecided = [row for row in compared if row.verdict == "inconclusive"]
    good = smallest(report)
    if good is not None and good.verdict == "pass":
        return _ship(good, failed, report)
    if undecided:
        names = _names(undecided)
        return f"Compare {names} on more samples: those at hand leave the verdict open."
    if failed:
        return (
            f"Find out where {_names(failed)} lost its answers before any other scheme is tried: "
            "edgekit diagnose."
            if len(failed) == 1
            else f"No file may ship: find out where {_names(failed)} lost their answers with "
            "edgekit diagnose."
        )
    return "Set a limit, such as --max-accuracy-drop 1%, so that the files are judged."


def smallest(report: Report) -> Row | None:
    """The smallest file within the budget or, where none is judged, of those that were compared."""
    wanted = "pass" if is_judged(report.rows) else "none"
    good = [row for row in report.rows if row.verdict == wanted and row.size_bytes]
    return min(good, key=lambda row: row.size_bytes or 0, default=None)


def is_judged(rows: Sequence[Row]) -> bool:
    """Whether any of them was held against a budget."""
    return any(row.budget != DriftBudget() for row in rows)


def _ship(good: Row, failed: Sequence[Row], report: Report) -> str:
    leave = f" and leave {_names(failed)} behind" if failed else ""
    if not report.measurements:
        return f"Take {good.name}{leave}, and time it on the device: edgekit bench."
    if good.p50_ms is None:
        return f"Take {good.name}{leave}, and time it, which no document does yet: edgekit bench."
    return f"Take {good.name}{leave}: it is the smallest file within the budget."


def _names(rows: Sequence[Row]) -> str:
    shown = [row.name for row in rows[:3]]
    if len(rows) > 3:
        return f"{', '.join(shown)} and {len(rows) - 3} more"
    return " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))
