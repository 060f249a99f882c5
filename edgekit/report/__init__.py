"""Reports: documents of one model put together, as HTML, Markdown or JUnit XML."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from edgekit.drift.drift import Drift
from edgekit.errors import UsageError
from edgekit.files import atomic
from edgekit.outputs import refuse_existing
from edgekit.report.data import Report
from edgekit.report.html import to_html
from edgekit.report.junit import to_junit
from edgekit.report.markdown import to_markdown
from edgekit.report.merging import merge

__all__ = ["Report", "merge", "to_junit", "to_markdown", "write_junit", "write_report"]

_WRITERS = {".html": to_html, ".md": to_markdown}


def write_report(
    paths: Iterable[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    overwrite: bool = False,
) -> Report:
    """Merge the documents at `paths` and write them as HTML or Markdown, by the ending of `output`.

    Returns:
        What was written.

    Raises:
        UsageError: another ending than ``.html`` or ``.md``, no documents, or one does not exist.
        OutputExistsError: `output` exists and `overwrite` is false.
        DocumentError: a document is invalid, or they do not belong together.
        MissingDependencyError: HTML is asked for, and the ``report`` extra is not installed.
    """
    output = Path(output)
    writer = _WRITERS.get(output.suffix.lower())
    if writer is None:
        raise UsageError(
            f"{output}: received the ending {output.suffix!r}, expected one of "
            f"{', '.join(_WRITERS)}."
        )
    refuse_existing([output], overwrite)
    report = merge(paths)
    text = writer(report)
    with atomic(output) as temporary:
        temporary.write_text(text, "utf-8")
    return report


def write_junit(
    drift: Drift, output: str | os.PathLike[str], allow_inconclusive: bool = False
) -> None:
    """Write the verdicts as JUnit XML, replacing what is at `output`; as `to_junit`."""
    text = to_junit(drift, allow_inconclusive)
    with atomic(output) as temporary:
        temporary.write_text(text, "utf-8")
