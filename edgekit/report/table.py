"""The table of files, the same on a terminal and in Markdown."""

from __future__ import annotations

import re
from dataclasses import dataclass

from edgekit.errors import printable
from edgekit.report import units
from edgekit.report.data import VERDICT_WORDS, Report, Row

COLUMNS = ("file", "verdict", "size", "accuracy", "drop", "agreement", "p50", "speed-up")


@dataclass(frozen=True)
class Table:
    """Cells as text, the first column to the left and the others to the right."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def to_text(self) -> str:
        """Aligned plain text for a terminal, with a line break at the end."""
        lines = [tuple(map(printable, line)) for line in (self.columns, *self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        ruled = [lines[0], tuple("-" * width for width in widths), *lines[1:]]
        return "".join(
            "  ".join(
                [line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])],
            ).rstrip()
            + "\n"
            for line in ruled
        )

    def to_markdown(self) -> str:
        """A table of GitHub's Markdown, with a line break at the end."""
        rule = (":--", *("--:" for _ in self.columns[1:]))
        columns, *rows = (map(escape_markdown, line) for line in (self.columns, *self.rows))
        return "".join(f"| {' | '.join(line)} |\n" for line in (columns, rule, *rows))


def rows_table(report: Report) -> Table:
    """The original model first, then a row for each exported file.

    Where one was optimised, a second size says what an update carries: zeros and shared weights show
    there alone.
    """
    rows = (*((report.reference,) if report.reference else ()), *report.rows)
    table = Table(COLUMNS, tuple(_cells(row, row is report.reference) for row in rows))
    if not any(row.recipe.get("optimized") for row in rows):
        return table
    packed = [units.size(row.compressed_size_bytes) for row in rows]
    after = COLUMNS.index("size") + 1
    return Table(
        (*COLUMNS[:after], "packed", *COLUMNS[after:]),
        tuple(
            (*cells[:after], size, *cells[after:])
            for cells, size in zip(table.rows, packed, strict=True)
        ),
    )


def escape_markdown(text: str) -> str:
    """`text` on one line, with what Markdown and HTML would take as markup escaped."""
    text = printable(re.sub(r"\s+", " ", text))
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|~])", r"\\\1", text)


def _cells(row: Row, original: bool) -> tuple[str, ...]:
    return (
        row.name,
        "" if original else VERDICT_WORDS[row.verdict],
        units.size(row.size_bytes),
        units.percent(row.accuracy),
        units.points(row.drop),
        units.percent(row.agreement),
        units.duration(row.p50_ms),
        units.speedup(row.speedup),
    )
