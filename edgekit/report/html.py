"""The report as one HTML file that needs nothing else: no network, no script."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

import edgekit
from edgekit.drift.golden import Golden
from edgekit.errors import printable, require
from edgekit.report import units
from edgekit.report.data import VERDICT_WORDS, Report
from edgekit.report.figures import figures_table, groups_table
from edgekit.report.hashes import short
from edgekit.report.history import History, history_summary
from edgekit.report.next_step import next_step
from edgekit.report.sections import Section, float_table, outputs_table, sections
from edgekit.report.summary import summary
from edgekit.report.toml import to_toml
from edgekit.report.tradeoff import HEIGHT, letters

# A number and its unit stay on one line.
_BEFORE_UNIT = r"(?<=\d) (?=(?:KB|us|ms|s|pt)\b|%)"
VERDICT_MARKS = {"fail": "✕", "inconclusive": "?", "pass": "✓", "none": "·", None: "·"}


def to_html(report: Report, golden: Golden | None = None) -> str:
    """The whole page. Every text from the documents is escaped.

    Args:
        report: what was merged.
        golden: what the files were compared with, for pictures of samples whose answer flipped.

    Raises:
        MissingDependencyError: jinja2 is not installed.
    """
    return render(
        "page.html",
        title=report.reference.name if report.reference else "Model files",
        report=report,
        documents=report.documents,
        summary=whole_numbers(summary(report)),
        next_step=whole_numbers(next_step(report)),
        budget=report.budget.words,
        sections=sections(report, golden),
        named=letters(report),
    )


def history_html(history: History) -> str:
    """The page of several builds.

    Raises:
        MissingDependencyError: jinja2 is not installed.
    """
    return render(
        "history.html",
        title="Builds",
        history=history,
        documents=[build.name for build in history.builds],
        summary=whole_numbers(history_summary(history)),
        next_step=whole_numbers(history.builds[-1].result.next_step),
        sections=[
            Section(f"trend-{number}", trend.name, "", trend)
            for number, trend in enumerate(history.trends, start=1)
        ],
    )


def render(page: str, **values: Any) -> str:
    """A page of the folder ``page``, with all texts of `values` escaped.

    Raises:
        MissingDependencyError: jinja2 is not installed.
    """
    jinja2 = require("jinja2", "report", "Writing an HTML report")
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_packaged),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        size=units.size,
        percent=units.percent,
        significant=units.significant,
        flat=lambda value: list(_flat(value)),
        short=short,
        toml=_toml,
        outputs=outputs_table,
        figures=figures_table,
        groups=groups_table,
        float_ops=float_table,
    )
    environment.globals.update(
        words=VERDICT_WORDS,
        marks=VERDICT_MARKS,
        plot_height=HEIGHT,
        edgekit_version=edgekit.__version__,
    )
    text: str = environment.get_template(page).render(values)
    return text


def whole_numbers(text: str) -> str:
    """`text` with each number and its unit on one line."""
    return re.sub(_BEFORE_UNIT, "\u00a0", text)


class _Lines(str):
    """Text whose line breaks are its own and stay."""


def _toml(table: Mapping[str, Any]) -> str:
    return _Lines(printable(to_toml(table), keep="\n").strip("\n"))


def _shown(value: Any) -> Any:
    """A value as the page shows it: text that came from a document turns no direction of writing."""
    return printable(value, keep="\u00a0") if type(value) is str else value


def _packaged(name: str) -> str:
    return resources.files(__package__).joinpath("page").joinpath(name).read_text("utf-8")


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Leaves of nested tables under dotted names; what is not set is left out."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flat(item, f"{name}.{key}" if name else str(key))
    elif isinstance(value, (list, tuple)):
        yield name, ", ".join(str(item) for item in value)
    elif isinstance(value, float):
        yield name, units.significant(value)
    elif value is not None:
        yield name, str(value)
