"""What a report comes to, as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgekit import document
from edgekit.cli import main
from edgekit.report import ReportResult, merge

Documents = dict[str, dict[str, Any]]
Write = Callable[[Documents], list[Path]]


def test_the_verdict_is_at_the_top(
    documents: Documents, write: Write, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["report", *map(str, write(documents))]
    assert main(words) == 0
    shown = json.loads(capfd.readouterr().out)
    assert list(shown)[:2] == ["schema", "verdict"]
    assert shown["verdict"] == "fail"
    assert [(file["file"], file["verdict"]) for file in shown["files"]] == [
        ("kws.float32.tflite", "pass"),
        ("kws.int8.tflite", "pass"),
        ("kws.int8.onnx", "fail"),
    ]
    output = tmp_path / "out" / "result.json"
    output.parent.mkdir()
    assert main([*words, "--json", str(output), "-o", str(tmp_path / "report.md")]) == 0
    assert json.loads(output.read_text("utf-8")) == shown
    assert document.load(output) == ReportResult.of(merge(write(documents)))


def test_no_file_compared_has_no_verdict(documents: Documents, write: Write) -> None:
    result = ReportResult.of(merge(write({"manifest": documents["manifest"]})))
    assert result.verdict is None
    assert result.next_step.startswith("Compare the files with the original model")


def test_its_own_json_among_documents_changes_nothing(documents: Documents, write: Write) -> None:
    paths = write(documents)
    before = merge(paths)
    own = paths[0].parent / "report.json"
    document.write(own, ReportResult.of(before).to_json())
    assert merge([*paths, own]) == before


def test_its_own_json_alone_is_refused(
    documents: Documents, write: Write, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "report.json"
    document.write(own, ReportResult.of(merge(write(documents))).to_json())
    assert main(["report", str(own)]) == 2
    assert "expected the documents that it was made of" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (("pass", "pass", "pass"), "Take kws.int8.tflite: it is the smallest file"),
        (("inconclusive", "inconclusive", "fail"), "Compare kws.int8.tflite and kws.int8.onnx on"),
        (("fail", "fail", "fail"), "No file may ship: find out where"),
    ],
)
def test_the_next_step_follows_from_the_verdicts(
    documents: Documents, write: Write, verdicts: tuple[str, ...], expected: str
) -> None:
    for candidate, verdict in zip(documents["drift"]["candidates"], verdicts, strict=True):
        candidate["verdict"] = verdict
    assert ReportResult.of(merge(write(documents))).next_step.startswith(expected)


def test_without_a_budget_the_next_step_is_one(documents: Documents, write: Write) -> None:
    documents["drift"]["budget"]["max_accuracy_drop"] = None
    for candidate in documents["drift"]["candidates"]:
        candidate["verdict"] = "none"
    assert ReportResult.of(merge(write(documents))).next_step.startswith("Set a limit, such as")
