"""History: what the reports of several builds say, from the oldest to the newest."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from edgekit import document
from edgekit.errors import DocumentError, UsageError
from edgekit.report import units
from edgekit.report.charts import Curve, Line
from edgekit.report.data import VERDICT_WORDS, VERDICTS
from edgekit.report.merging import merge
from edgekit.report.result import ReportedFile, ReportResult
from edgekit.report.table import Table

_Number = Callable[[ReportedFile], "float | None"]
_MEASURES: tuple[tuple[str, _Number, Callable[[float | None], str]], ...] = (
    ("accuracy", lambda file: file.accuracy, units.percent),
    ("drop", lambda file: file.drop, units.points),
    ("size", lambda file: file.size_bytes, units.size),
    ("p50", lambda file: file.p50_ms, units.duration),
)


@dataclass(frozen=True)
class Build:
    """One build: its name, and what its report comes to."""

    name: str
    result: ReportResult


@dataclass(frozen=True)
class FileTrend:
    """One file over the builds that have it: a chart for each number, and a row for each build."""

    name: str
    curves: tuple[Curve, ...]
    table: Table


@dataclass(frozen=True)
class History:
    """Builds from the oldest to the newest.

    Attributes:
        skipped: entries that hold no documents, by name.
    """

    builds: tuple[Build, ...]
    skipped: tuple[str, ...]

    @property
    def verdict(self) -> str | None:
        """The newest build's."""
        return self.builds[-1].result.verdict

    @property
    def trends(self) -> tuple[FileTrend, ...]:
        """By file name, those of the newest build first."""
        names = dict.fromkeys(
            file.file for build in reversed(self.builds) for file in build.result.files
        )
        return tuple(_trend(name, self.builds) for name in names)


def read_history(folder: str | os.PathLike[str]) -> History:
    """Read each build in `folder`: what ``report --json`` wrote, or a folder of documents.

    Builds are in the order of their names, numbers in them by value: ``build-9`` is before ``build-10``,
    and dates written year first are in order.

    Raises:
        UsageError: `folder` is none, or holds no build.
        DocumentError: a document is invalid, or those of one build do not belong together; names the
            build.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UsageError(
            f"--history: received {str(folder)!r}, expected a folder with a build in each of its "
            "folders, or with files that 'edgekit report --json' wrote."
        )
    builds: list[Build] = []
    skipped: list[str] = []
    for entry in sorted(folder.iterdir(), key=lambda path: in_order(path.name)):
        if entry.is_dir():
            paths = sorted(entry.glob("*.json"))
            if paths:
                builds.append(Build(entry.name, _result(paths)))
                continue
        elif entry.suffix == ".json":
            builds.append(Build(entry.stem, _result([entry])))
            continue
        skipped.append(entry.name)
    if not builds:
        raise UsageError(
            f"--history: {folder}: received no build, expected at least one folder with JSON documents, "
            "or a file that 'edgekit report --json' wrote."
        )
    return History(tuple(builds), tuple(skipped))


def in_order(name: str) -> list[tuple[int, int, str]]:
    """What sorts names as a person does: ``build-9`` before ``build-10``."""
    return [
        (0, int(part), "") if part.isdecimal() else (1, 0, part)
        for part in re.split(r"([0-9]+)", name)
        if part
    ]


def history_lines(history: History) -> list[str]:
    """A table for each file, for a terminal."""
    from edgekit.report.terminal import aligned

    lines: list[str] = []
    for trend in history.trends:
        lines += [trend.name, *(f"  {line}" for line in aligned(*_parts(trend.table), words=2)), ""]
    return lines[:-1]


def history_markdown(history: History) -> str:
    """A table for each file, as Markdown. Every text from the documents is escaped."""
    from edgekit.report.table import escape_markdown

    parts = ["# Builds\n", f"{escape_markdown(history_summary(history))}\n"]
    for trend in history.trends:
        parts += [f"## {escape_markdown(trend.name)}\n", trend.table.to_markdown()]
    return "\n".join(parts)


def history_summary(history: History) -> str:
    """How many builds, and how the newest stands beside the one before."""
    newest = history.builds[-1]
    text = f"{units.plural(len(history.builds), 'build')}, the newest {newest.name}"
    text += f": {VERDICT_WORDS[newest.result.verdict].lower()}."
    changed = list(_changes(history.builds[-2].result, newest.result)) if history.builds[1:] else []
    if not history.builds[1:]:
        return text
    before = history.builds[-2].name
    if not changed:
        return f"{text} No verdict differs from {before}'s."
    return f"{text} Since {before}: {'; '.join(changed)}."


def _changes(before: ReportResult, after: ReportResult) -> Iterable[str]:
    old = {file.file: file.verdict for file in before.files}
    for file in after.files:
        if file.file in old and old[file.file] != file.verdict:
            was, now = (VERDICT_WORDS[each].lower() for each in (old[file.file], file.verdict))
            worse = VERDICTS.index(file.verdict or "none") < VERDICTS.index(
                old[file.file] or "none"
            )
            yield f"{file.file} is {'no longer' if worse else 'now'} {was if worse else now}"


def _result(paths: list[Path]) -> ReportResult:
    read = [(path, document.load(path)) for path in paths]
    results = [found for _, found in read if isinstance(found, ReportResult)]
    if len(results) == len(read) == 1:
        return results[0]
    if len(results) == len(read):
        raise DocumentError(
            f"{paths[0]} and {paths[1]} are both report documents of one build; keep one of them."
        )
    return ReportResult.of(merge(paths))


def _trend(name: str, builds: tuple[Build, ...]) -> FileTrend:
    found = [
        (at, build, file)
        for at, build in enumerate(builds)
        for file in build.result.files
        if file.file == name
    ]
    known = [
        (title, number, text)
        for title, number, text in _MEASURES
        if any(number(file) is not None for _, _, file in found)
    ]
    rows = tuple(
        (
            build.name,
            VERDICT_WORDS[file.verdict].lower(),
            *(text(number(file)) for _, number, text in known),
        )
        for _, build, file in found
    )
    curves = []
    for title, number, text in known:
        points = [(at, value) for at, _, file in found if (value := number(file)) is not None]
        if len(points) > 1:
            curves.append(_curve(title, points, len(builds), text))
    return FileTrend(
        name, tuple(curves), Table(("build", "verdict", *(title for title, _, _ in known)), rows)
    )


def _curve(
    title: str,
    points: list[tuple[int, float]],
    builds: int,
    text: Callable[[float | None], str],
) -> Curve:
    values = [value for _, value in points]
    low, high = min(values), max(values)
    span = high - low

    def place(at: int, value: float) -> str:
        y = 100 * (1 - (value - low) / span) if span else 50.0
        return f"{100 * at / (builds - 1):.2f},{y:.2f}"

    return Curve(
        title.capitalize() if title != "p50" else "Latency (p50)",
        (Line("newest", " ".join(place(*point) for point in points), text(values[-1])),),
        low=text(low),
        high=text(high),
        epochs=builds,
        best=None,
    )


def _parts(table: Table) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    return table.columns, table.rows
