"""Figures with their intervals, and the check of the set-up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgekit.drift.figure import Figure
from edgekit.report import ReportResult, merge
from edgekit.report.data import Report
from edgekit.report.figures import figures_table, groups_table
from edgekit.report.findings import ShownFinding
from edgekit.report.html import to_html

Documents = dict[str, dict[str, Any]]
Write = Callable[[Documents], list[Path]]


@pytest.fixture
def report(documents: Documents, write: Write) -> Report:
    """One whose int8 TFLite file has figures of two classes and a slice."""
    figures = (
        Figure.of("accuracy", 0.95, reference=0.9528, ci95=(0.94, 0.958), count=2500),
        Figure.of("accuracy_drop", 0.0028, ci95=(0.0004, 0.0052), count=2500),
        Figure.of("sqnr_db", 34.25, output="scores", count=2500),
        Figure.of("size_bytes", 31_200.0),
        Figure.of("accuracy_drop", 0.0, ci95=(-0.01, 0.01), count=250, group="class=1"),
        Figure.of("accuracy_drop", 0.05, ci95=(0.02, 0.08), count=250, group="class=2"),
        Figure.of("accuracy_drop", -0.01, ci95=(-0.03, 0.01), count=90, group="site=<b>"),
        Figure.of("agreement", 0.9, count=90, group="site=<b>"),
    )
    made = merge(write(documents))
    at = next(at for at, row in enumerate(made.rows) if row.name == "kws.int8.tflite")
    candidate = made.rows[at].candidate
    assert candidate is not None
    candidate = replace(candidate, figures=figures, task=replace(candidate.task, accused=(2,)))
    rows = list(made.rows)
    rows[at] = replace(rows[at], candidate=candidate)
    return replace(made, rows=tuple(rows))


def test_each_figure_has_its_unit_and_interval(report: Report) -> None:
    row = next(row for row in report.rows if row.figures)
    table = figures_table(row)
    assert table is not None
    assert table.rows == (
        ("accuracy", "95.00 %", "95.28 %", "94.00 % to 95.80 %", "2,500"),
        ("accuracy drop", "0.28 pt", "–", "0.04 pt to 0.52 pt", "2,500"),
        ("SQNR", "34.2 dB", "–", "–", "2,500"),
        ("size", "31.2 KB", "–", "–", "–"),
    )


def test_groups_are_sorted_by_what_they_lost_and_zeros_left_out(report: Report) -> None:
    table = groups_table(next(row for row in report.rows if row.figures))
    assert table is not None
    assert table.rows == (
        ("class 2", "accuracy drop", "5.00 pt", "2.00 pt to 8.00 pt", "250", "yes"),
        ("site <b>", "accuracy drop", "-1.00 pt", "-3.00 pt to 1.00 pt", "90", "no"),
    )
    page = to_html(report)
    assert "site &lt;b&gt;" in page
    assert "<b>" not in page


def test_rows_without_figures_have_no_table(report: Report) -> None:
    row = next(row for row in report.rows if not row.figures)
    assert figures_table(row) is groups_table(row) is None


def test_a_broken_set_up_comes_first(report: Report) -> None:
    finding = ShownFinding("", "slip", "fail", "The labels are shifted by <one>.")
    warning = ShownFinding("kws.int8.tflite", "calibration", "warning", "It was unlike.")
    report = replace(report, setup=(finding, warning))
    assert ReportResult.of(report).next_step.startswith("Correct the set-up first")
    page = to_html(report)
    assert page.index("The labels are shifted by &lt;one&gt;.") < page.index('id="files"')
    assert "Slip: proves nothing" in page.replace("\n", "")
