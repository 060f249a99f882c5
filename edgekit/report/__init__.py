"""Reports: documents of one model put together, as HTML, Markdown or JUnit XML."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from edgekit.drift.drift import Drift
from edgekit.drift.golden import Golden
from edgekit.errors import UsageError
from edgekit.files import atomic
from edgekit.outputs import refuse_existing
from edgekit.report.data import Report
from edgekit.report.flips import golden_for
from edgekit.report.history import History, history_lines, history_markdown, read_history
from edgekit.report.html import history_html, to_html
from edgekit.report.junit import to_junit
from edgekit.report.markdown import to_markdown
from edgekit.report.merging import merge, of_drift
from edgekit.report.result import ReportResult
from edgekit.report.terminal import terminal_lines

__all__ = [
    "History",
    "Report",
    "ReportResult",
    "check_page",
    "golden_for",
    "history_lines",
    "history_markdown",
    "merge",
    "of_drift",
    "read_history",
    "terminal_lines",
    "to_junit",
    "to_markdown",
    "write_history",
    "write_junit",
    "write_page",
    "write_report",
]

ENDINGS = (".html", ".md")


def write_report(
    paths: Iterable[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    overwrite: bool = False,
    golden: str | os.PathLike[str] | None = None,
) -> Report:
    """Merge the documents at `paths` and write them as HTML or Markdown, by the ending of `output`.

    Args:
        paths: of JSON documents.
        output: the page, ``.html`` or ``.md``.
        overwrite: whether a page that is there is replaced.
        golden: the golden file that files were compared with: HTML shows samples whose answer flipped.

    Returns:
        What was written.

    Raises:
        UsageError: another ending than ``.html`` or ``.md``, no documents, or one does not exist.
        OutputExistsError: `output` exists and `overwrite` is false.
        DocumentError: a document is invalid, or they do not belong together.
        MissingDependencyError: HTML is requested, and the ``report`` extra is not installed.
    """
    check_page(output, overwrite)
    report = merge(paths)
    write_page(report, output, None if golden is None else golden_for(report, golden))
    return report


def check_page(output: str | os.PathLike[str], overwrite: bool = False) -> None:
    """Can a page be written there?

    Raises:
        UsageError: another ending than ``.html`` or ``.md``.
        OutputExistsError: `output` exists and `overwrite` is false.
    """
    ending = Path(output).suffix
    if ending.lower() not in ENDINGS:
        raise UsageError(
            f"{output}: received the ending {ending!r}, expected one of {', '.join(ENDINGS)}."
        )
    refuse_existing([output], overwrite)


def write_page(
    report: Report, output: str | os.PathLike[str], golden: Golden | None = None
) -> None:
    """Write a report as HTML or Markdown, replacing what is at `output`; as `write_report`.

    Raises:
        MissingDependencyError: HTML is requested, and the ``report`` extra is not installed.
    """
    _write(output, {".html": lambda: to_html(report, golden), ".md": lambda: to_markdown(report)})


def write_history(history: History, output: str | os.PathLike[str]) -> None:
    """Write several builds as HTML or Markdown, replacing what is at `output`.

    Raises:
        MissingDependencyError: HTML is requested, and the ``report`` extra is not installed.
    """
    _write(
        output,
        {".html": lambda: history_html(history), ".md": lambda: history_markdown(history)},
    )


def write_junit(
    drift: Drift, output: str | os.PathLike[str], allow_inconclusive: bool = False
) -> None:
    """Write the verdicts as JUnit XML, replacing what is at `output`; as `to_junit`."""
    text = to_junit(drift, allow_inconclusive)
    with atomic(output) as temporary:
        temporary.write_text(text, "utf-8")


def _write(output: str | os.PathLike[str], writers: dict[str, Callable[[], str]]) -> None:
    text = writers[Path(output).suffix.lower()]()
    with atomic(output) as temporary:
        temporary.write_text(text, "utf-8")
