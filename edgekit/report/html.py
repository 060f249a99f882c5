"""The report as one HTML file that needs nothing else: no network, no script."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

import edgekit
from edgekit.document.tuning import Tuning
from edgekit.errors import printable, require
from edgekit.report import charts, tuning, units
from edgekit.report.checks import checked_with, checks_table
from edgekit.report.data import Report
from edgekit.report.evaluations import class_tables, scores_table
from edgekit.report.hashes import base_name, short
from edgekit.report.inspections import inspection_lines
from edgekit.report.machine import machine_facts, schemes_table
from edgekit.report.optimizing import treatments
from edgekit.report.summary import VERDICT_WORDS, summary
from edgekit.report.training import training_scores

# A number and its unit stay on one line.
_BEFORE_UNIT = r"(?<=\d) (?=(?:KB|us|ms|s)\b|%)"
_VERDICT_MARKS = {"fail": "✕", "inconclusive": "?", "pass": "✓", "none": "·", None: "·"}


def to_html(report: Report) -> str:
    """The whole page. Every text from the documents is escaped.

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
        memory=units.memory,
        machine=machine_facts,
        schemes=schemes_table,
        base_name=base_name,
        percent=units.percent,
        points=units.points,
        interval=units.interval,
        duration=units.duration,
        speedup=units.speedup,
        decibels=units.decibels,
        significant=units.significant,
        flat=lambda value: list(_flat(value)),
        short=short,
    )
    everything = [*([report.reference] if report.reference else []), *report.rows]
    text: str = environment.get_template("template.html").render(
        report=report,
        everything=everything,
        summary=re.sub(_BEFORE_UNIT, "\u00a0", summary(report)),
        budget=report.budget.words,
        words=VERDICT_WORDS,
        marks=_VERDICT_MARKS,
        sizes=charts.bar_chart(
            [(row, row.size_bytes) for row in everything], units.size, report.reference
        ),
        latencies=charts.bar_chart(
            [(row, row.p50_ms) for row in everything], units.duration, report.reference
        ),
        drops=charts.whisker_chart(report),
        heat=charts.heat_table(report),
        treatments=treatments(report),
        training_scores=training_scores(report.training) if report.training else [],
        curves=charts.training_curves(report.training),
        tuning=_tuning(report.tuning),
        checks=checks_table(report),
        checked_with=checked_with(report),
        scores=scores_table(report),
        class_tables=class_tables(report),
        inspections=[
            (base_name(row.document.artifact.file), list(inspection_lines(row.document)))
            for row in report.inspections
        ],
        edgekit_version=edgekit.__version__,
    )
    return text


def _tuning(found: Tuning | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "counts": tuning.counts(found),
        "table": tuning.front_table(found),
        "charts": tuning.scatters(found),
        "many": len(found.objectives) > 1,
    }


def _shown(value: Any) -> Any:
    """A value as the page shows it: text that came from a document turns no direction of writing."""
    return printable(value, keep="\u00a0") if type(value) is str else value


def _packaged(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text("utf-8")


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
