"""A report on a terminal: a table within 80 columns, why, and what to do next."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from edgekit.errors import printable
from edgekit.report import units
from edgekit.report.boards import answers_table, boards_table, instructions_table
from edgekit.report.data import VERDICT_WORDS, Report, Row
from edgekit.report.ledgers import ledger_summary, ledger_table
from edgekit.report.next_step import next_step
from edgekit.streams import Styled

WIDTH = 80
_GAP = "  "
_SHORTEST_NAME = 16
_STYLES = {"pass": "pass", "fail": "fail", "inconclusive": "warning", "none": "", None: ""}
# By how soon a column gives way where the line is full.
_GIVING_WAY = ("speed-up", "SQNR", "agreement", "interval", "p50", "accuracy")


def terminal_lines(report: Report, advise: bool = True) -> list[str]:
    """The table, a line for each reason and warning, and what to do next.

    Args:
        report: what was merged.
        advise: whether to end with the next step.
    """
    lines = [*_table(report), *_boards(report), *_ledgers(report), *_notes(report)]
    step = next_step(report) if advise else ""
    if step:
        lines += ["", *_wrapped(step, "next: ", "bold")]
    return lines


def aligned(columns: Sequence[str], rows: Sequence[tuple[str, ...]], words: int = 1) -> list[str]:
    """Cells in columns: the first `words` of them to the left, the others to the right."""
    lines = [tuple(map(printable, line)) for line in (tuple(columns), *rows)]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    return [
        _GAP.join(
            cell.ljust(width) if at < words else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]


def _table(report: Report) -> Iterator[str]:
    rows = (*((report.reference,) if report.reference else ()), *report.rows)
    if not rows:
        return
    cells = {
        name: column
        for name, column in {
            "verdict": [_verdict(row, report) for row in rows],
            "size": [units.size(row.size_bytes) for row in rows],
            "accuracy": [units.percent(row.accuracy) for row in rows],
            "drop": [units.points(row.drop) for row in rows],
            "interval": [units.interval(row.drop_ci95) or units.UNKNOWN for row in rows],
            "agreement": [units.percent(row.agreement) for row in rows],
            "SQNR": [units.decibels(row.sqnr_db) for row in rows],
            "p50": [units.duration(row.p50_ms) for row in rows],
            "speed-up": [units.speedup(row.speedup) for row in rows],
        }.items()
        if any(cell != units.UNKNOWN for cell in column)
    }
    names = [printable(row.name) for row in rows]

    def room() -> int:
        """What is left for names."""
        return WIDTH - sum(
            len(_GAP) + max(map(len, (name, *column))) for name, column in cells.items()
        )

    longest = max(map(len, ("file", *names)))
    for name in _GIVING_WAY:
        if room() >= min(longest, 2 * _SHORTEST_NAME):
            break
        cells.pop(name, None)
    names = [_cut(name, max(room(), _SHORTEST_NAME)) for name in names]
    table = list(zip(names, *cells.values(), strict=True))
    head, *lines = aligned(("file", *cells), table, words=2 if "verdict" in cells else 1)
    yield Styled((head, "dim"))
    for row, line in zip(rows, lines, strict=True):
        before, found, after = line.partition(_verdict(row, report))
        if row is report.reference or row.verdict is None or not found:
            yield line
        else:
            yield Styled((before, ""), (found, _STYLES[row.verdict]), (after, ""))


def _boards(report: Report) -> Iterator[str]:
    if (table := answers_table(report)) is not None:
        head, *lines = aligned(("answers", *table.columns[1:]), table.rows)
        yield Styled((head, "dim"))
        yield from lines
    if (table := boards_table(report)) is not None:
        head, *lines = aligned(("p50", *table.columns[1:]), table.rows)
        yield Styled((head, "dim"))
        yield from lines
    if (table := instructions_table(report)) is not None:
        head, *lines = aligned(("instructions", *table.columns[1:]), table.rows)
        yield Styled((head, "dim"))
        yield from lines


def _ledgers(report: Report) -> Iterator[str]:
    for found in report.ledgers:
        yield from ("", *ledger_table(found.document).to_text().splitlines())
        for line in ledger_summary(found.document):
            yield from _wrapped(line, "", "")


def _verdict(row: Row, report: Report) -> str:
    if row is report.reference:
        return "original"
    return VERDICT_WORDS[row.verdict].lower()


def _notes(report: Report) -> Iterator[str]:
    grave = [row for row in report.rows if row.verdict in ("fail", "inconclusive")]
    for said in _together((row.name, row.reasons) for row in grave):
        yield from _wrapped(said, "  ", "")
    for said in _together((row.name, row.warnings) for row in report.rows):
        yield from _wrapped(said, "  warning: ", "warning")
    for note in report.notes:
        yield from _wrapped(note, "  note: ", "")


def _together(rows: Iterable[tuple[str, Sequence[str]]]) -> Iterator[str]:
    """Each sentence once, after the names of the files that it is about."""
    about: dict[str, list[str]] = {}
    for name, sentences in rows:
        for sentence in sentences:
            about.setdefault(sentence, []).append(name)
    for sentence, names in about.items():
        shown = ", ".join(names[:2])
        more = f" and {len(names) - 2} more" if len(names) > 2 else ""
        yield f"{shown}{more}: {sentence}"


def _wrapped(text: str, mark: str, style: str) -> Iterator[str]:
    """`text` after `mark`, within the width; the mark has the style."""
    lines = textwrap.wrap(
        printable(text), WIDTH - len(mark), break_long_words=False, break_on_hyphens=False
    )
    for at, line in enumerate(lines or [""]):
        yield Styled((mark, style), (line, "")) if at == 0 else f"{' ' * len(mark)}{line}"


def _cut(name: str, width: int) -> str:
    """`name` with its middle left out where it is too long: its end says the scheme and the format."""
    if len(name) <= width:
        return name
    end = (width - 1) * 2 // 3
    return f"{name[: width - 1 - end]}…{name[-end:]}"
