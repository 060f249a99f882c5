"""What the check at export found stands in the report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgekit.report import merge
from edgekit.report.checks import checked_with, checks_table
from edgekit.report.html import to_html
from edgekit.report.markdown import to_markdown

Documents = dict[str, dict[str, Any]]
Write = Callable[[Documents], list[Path]]

OUTPUT = {
    "output": "scores<b>",
    "kind": "softmax",
    "max_error": 0.0123,
    "sqnr_db": 31.26,
    "kept": 0.984375,
    "channels": 4,
    "dead": [2],
    "dead_count": 1,
}


def with_checks(documents: Documents, *outputs: dict[str, Any]) -> Documents:
    check = {"samples": 64, "origin": "calibration", "kernels": ["ai-edge-litert 2.3.0"]}
    documents["manifest"]["files"][0]["check"] = {**check, "outputs": list(outputs)}
    return documents


def test_a_row_for_each_output(documents: Documents, write: Write) -> None:
    integers = {**OUTPUT, "output": "best", "kind": "integers", "sqnr_db": None, "max_error": 0.0}
    equal = {**OUTPUT, "output": "same", "kind": "values", "sqnr_db": None, "kept": None}
    lost = {**OUTPUT, "output": "lost", "max_error": None, "sqnr_db": None}
    report = merge(write(with_checks(documents, OUTPUT, integers, equal, lost)))
    table = checks_table(report)
    assert table is not None
    first, second, third, fourth = table.rows
    assert first[1:] == ("scores<b>", "softmax", "1.2e-02", "31.3 dB", "98.44 %", "1 of 4")
    assert second[4] == "–"
    assert third[4:6] == ("identical", "–")
    assert fourth[3:5] == ("not finite", "–")
    assert checked_with(report).startswith(
        "Each file beside the model it was made of, on 64 calibration samples, in ai-edge-litert 2.3.0."
    )


def test_it_is_in_both_forms_of_the_report_and_escaped(documents: Documents, write: Write) -> None:
    report = merge(write(with_checks(documents, OUTPUT)))
    for text in (to_markdown(report), to_html(report)):
        assert "Checked at export" in text
        assert "31.3 dB" in text
        assert "scores<b>" not in text


def test_nothing_of_it_without_a_check(documents: Documents, write: Write) -> None:
    report = merge(write(documents))
    assert checks_table(report) is None
    assert checked_with(report) == ""
    assert "Checked at export" not in to_markdown(report) + to_html(report)
