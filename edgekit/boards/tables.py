"""What came of runs on several boards, as a table with a column a board."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edgekit import document
from edgekit.boards.outcome import BoardRun, BoardRuns
from edgekit.document.record import Document
from edgekit.drift.drift import Drift
from edgekit.runtime.bench import Bench
from edgekit.runtime.instructions import Instructions

_NONE = "-"
_SIGN = {"pass": "pass", "fail": "FAIL", "inconclusive": "inconclusive", "none": "no budget"}


def lines_of(outcome: BoardRuns) -> list[str]:
    """The tables, a line each; then what failed."""
    boards = [_Board(run) for run in outcome.boards]
    lines = _table("self-test", outcome.files, boards, "tests")
    lines += _table("answers", outcome.files, boards, "answers")
    lines += _table("p50 ms", outcome.files, boards, "times")
    if any(board.run.kind and board.run.kind.emulated for board in boards):
        lines.append("Times of an emulated board say nothing of a real one.")
    lines += _table("instructions an inference", outcome.files, boards, "counts")
    lines += [f"failed: {run.failure}" for run in outcome.boards if run.failure]
    lines += [f"{run.host}: {path}" for run in outcome.boards for path in run.documents]
    return lines


class _Board:
    """What was fetched of one board, by file."""

    def __init__(self, run: BoardRun) -> None:
        self.run = run
        self.tests: dict[str, str] = {}
        self.answers: dict[str, str] = {}
        self.times: dict[str, str] = {}
        self.counts: dict[str, str] = {}
        for path in run.documents:
            found = document.load(Path(path))
            if isinstance(found, Drift):
                self.answers |= dict(_answers(found))
            elif isinstance(found, Bench):
                emulated = run.kind is not None and run.kind.emulated
                note = " emulated" if emulated else ""
                for one in found.runs:
                    self.times[one.artifact.file] = f"{one.latency.p50_ms:.3g}{note}"
            elif isinstance(found, Instructions):
                for each in found.files:
                    shown = "failed" if each.infer is None else f"{each.infer:,}"
                    self.counts[each.artifact.name] = shown
            elif found.kind == "selftest":
                self.tests |= dict(_tests(found))

    @property
    def title(self) -> str:
        kind = self.run.kind
        return self.run.host if kind is None else f"{self.run.host} ({kind.machine})"


def _tests(selftest: Document) -> Iterator[tuple[str, str]]:
    """Of each file its verdict, and how far its answers are from those promised, of what is allowed."""
    for file in selftest.to_json()["files"]:
        verdict = file["verdict"].upper() if file["verdict"] == "fail" else file["verdict"]
        moved = "" if file["error"] is None else f", {100 * file['error']:.0f} % of what is allowed"
        yield file["path"], f"{verdict}{moved}"


def _answers(drift: Drift) -> Iterator[tuple[str, str]]:
    """Of each file its verdict, and how many answers flipped where that was counted."""
    for candidate in drift.candidates:
        flips = next((f for f in candidate.figures if f.name == "flips" and not f.group), None)
        shown = _SIGN[candidate.verdict]
        if flips is not None and flips.value is not None:
            shown = f"{shown}, {flips.value:g} of {drift.reference.samples} flipped"
        yield candidate.artifact.file, shown
    for failure in drift.failed:
        yield failure.path, "failed"


def _table(title: str, files: tuple[str, ...], boards: list[_Board], what: str) -> list[str]:
    if not any(getattr(board, what) for board in boards):
        return []
    head = [title, *(board.title for board in boards)]
    rows = [[file, *(getattr(board, what).get(file, _NONE) for board in boards)] for file in files]
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (head, *rows)
    ]
