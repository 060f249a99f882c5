"""A report as HTML and Markdown, and a drift document as JUnit XML."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from edgekit.cli import main
from edgekit.document import KINDS
from edgekit.drift.drift import Drift
from edgekit.errors import DocumentError, MissingDependencyError, OutputExistsError, UsageError
from edgekit.report import merge, write_junit, write_report
from edgekit.report.html import to_html
from edgekit.report.markdown import to_markdown
from edgekit.report.table import escape_markdown

Documents = dict[str, dict[str, Any]]
# What a report puts together; what it writes itself is none of them.
MERGED = [kind for kind in KINDS if kind != "report"]
Write = Callable[[Documents], list[Path]]
EVIL = "<script>alert('x')</script> & \"kws\".int8.tflite"
VOID = {"meta", "br", "hr", "img", "input", "link"}


class Page(HTMLParser):
    """Reads a page, and fails where tags are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def rename(documents: Documents, old: str, new: str) -> None:
    entries = [run["artifact"] for run in documents["bench"]["runs"]]
    entries += [candidate["artifact"] for candidate in documents["drift"]["candidates"]]
    for entry in entries + documents["manifest"]["files"]:
        if entry["path"].endswith(old):
            entry["path"] = new


def test_html_holds_the_numbers(documents: Documents, write: Write, tmp_path: Path) -> None:
    output = tmp_path / "report.html"
    report = write_report(write(documents), output)
    assert report.verdict == "fail"
    page = Page(output.read_text("utf-8"))
    for part in (
        "kws.keras",
        "2 of 3 files stay within the budget",
        "31.2 KB",
        "95.28 %",
        "1.27 pt",
        "0.79 to 1.75",
        "42.1 us",
        "26.5x",
        "✓ Within budget",
        "✕ Failed",
        "budget 1.00 pt",
        "5.08",
        "It is above.",
        "the quantiser has no int8 version",
        "ONNX has no such scheme",
        "the CPU governor is 'ondemand'",
        "23,756 parameters",
        "the weights of epoch 12, the best by val_accuracy",
        "raspberry-pi-4",
        documents["drift"]["reference"]["golden_sha256"],
    ):
        assert part in page.text
    # Accuracy and loss of both parts of the data, and the learning rate.
    assert page.tags.count("polyline") == 5


def test_html_needs_nothing_else(documents: Documents, write: Write, tmp_path: Path) -> None:
    output = tmp_path / "report.html"
    write_report(write(documents), output)
    text = output.read_text("utf-8")
    page = Page(text)
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    named = {name: [v for n, v in page.attributes if n == name] for name in ("src", "href", "id")}
    # Places of the page itself.
    assert {f"#{name}" for name in named["id"]} >= set(named["href"])
    assert named["src"] == []
    assert "url(" not in text
    assert "@import" not in text
    assert str(tmp_path) not in text


def test_html_is_the_same_twice(documents: Documents, write: Write, tmp_path: Path) -> None:
    paths = write(documents)
    write_report(paths, tmp_path / "a.html")
    write_report(paths, tmp_path / "b.html")
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


@pytest.mark.parametrize("kind", MERGED)
@pytest.mark.parametrize("ending", [".html", ".md"])
def test_each_document_can_be_written_alone(
    every: Documents, write: Write, tmp_path: Path, kind: str, ending: str
) -> None:
    output = tmp_path / f"report{ending}"
    write_report(write({kind: every[kind]}), output)
    if ending == ".html":
        Page(output.read_text("utf-8"))


def test_the_command_takes_a_folder_of_documents(
    every: Documents, write: Write, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write(every)
    words = ["report", *sorted(map(str, tmp_path.glob("*.json")))]
    assert len(words) == 1 + len(MERGED)
    assert main([*words, "-o", str(tmp_path / "report.html")]) == 0
    Page((tmp_path / "report.html").read_text("utf-8"))
    other = tmp_path / "package.json"
    other.write_text('{"name": "board"}', "utf-8")
    assert main([*words, str(other), "-o", str(tmp_path / "other.html")]) == 1
    assert "package.json: is none of edgekit's documents" in capfd.readouterr().err
    assert not (tmp_path / "other.html").exists()


def test_evaluations_inspections_and_machines_are_shown(every: Documents, write: Write) -> None:
    report = merge(write(every))
    page, text = Page(to_html(report)).text, to_markdown(report)
    for part in (
        "94.72 %",
        "2,656,768, 1 layer unknown",
        "SOFTMAX (scores): the quantiser has no int8 version",
        "ai-edge-litert 1.4.0 to 2.1.0 (2)",
        "the CPU has no 8-bit dot products",
        "0.88 of float32's instructions",
    ):
        assert part in page
        assert escape_markdown(part) in text
    # The class that is told apart worst comes first.
    assert page.index("no 1250 0.9589 0.9344 0.9465") < page.index("yes 1250")


def test_a_tuning_shows_every_trial_and_the_best(
    documents: Documents, write: Write, tmp_path: Path
) -> None:
    paths = write(documents)
    write_report(paths, tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text("utf-8"))
    assert "4 trials: 3 complete, 1 pruned." in page.text
    assert "int8 accuracy by size" in page.text
    dots = [value for name, value in page.attributes if name == "class" and value]
    assert (dots.count("trial"), dots.count("trial best")) == (1, 2)
    assert "trial 0: 93.00 %, 14.5 KB" in page.text
    write_report(paths, tmp_path / "report.md")
    lines = (tmp_path / "report.md").read_text("utf-8").splitlines()
    assert "| trial | int8 accuracy | size | model.width |" in lines
    assert [line for line in lines if line.startswith(("| 0 | 9", "| 1 | 9"))] == [
        "| 1 | 95.00 % | 31.2 KB | 1 |",
        "| 0 | 93.00 % | 14.5 KB | 0.5 |",
    ]


def test_a_tuning_for_one_objective_shows_its_course(documents: Documents, write: Write) -> None:
    tuning = documents["tuning"]
    del tuning["objectives"][1]
    for row in tuning["trials"][:3]:
        del row["values"]["size_bytes"]
    tuning["front"] = [1]
    page = Page(to_html(merge(write({"tuning": tuning}))))
    assert "int8 accuracy by trial" in page.text
    assert "the dark dot" in page.text


def test_a_regression_has_no_accuracy(documents: Documents, write: Write, tmp_path: Path) -> None:
    documents["drift"]["reference"]["accuracy"] = None
    for candidate in documents["drift"]["candidates"]:
        task = candidate["task"]
        task.update(dict.fromkeys(("reference", "candidate", "drop", "drop_ci95"), None))
        task.update(kind="regression", agreement=None, flips=None, flipped=[], per_class=[])
        task.update(rmse_reference=0.125, rmse_candidate=0.127)
    output = tmp_path / "report.html"
    write_report(write(documents), output)
    page = Page(output.read_text("utf-8"))
    assert "RMSE against the labels: 0.127, the original's 0.125." in page.text
    assert "Which classes paid" not in page.text


def test_what_documents_say_stays_text(every: Documents, write: Write, tmp_path: Path) -> None:
    documents = every
    documents["evaluation"]["artifact"]["path"] = EVIL
    documents["evaluation"]["per_class"][0]["name"] = EVIL
    documents["inspection"]["artifact"]["path"] = EVIL
    documents["inspection"]["ops"] = {EVIL: {EVIL: 1}}
    documents["host"]["advice"] = [EVIL]
    documents["host"]["schemes"][0]["reason"] = EVIL
    rename(documents, "kws.int8.tflite", EVIL)
    documents["drift"]["candidates"][0]["reasons"] = [EVIL]
    documents["drift"]["candidates"][0]["outputs"][0]["name"] = EVIL
    documents["drift"]["candidates"][0]["warnings"] = [EVIL]
    documents["manifest"]["skipped"][0]["reason"] = EVIL
    documents["manifest"]["files"][2]["recipe"] = {EVIL: EVIL}
    documents["bench"]["host"]["cpu"] = EVIL
    documents["bench"]["noise"] = [EVIL]
    documents["training"]["recipe"] = {EVIL: EVIL}
    documents["tuning"]["search"] = {EVIL: {"choices": [EVIL]}}
    for row in documents["tuning"]["trials"]:
        row["parameters"] = {EVIL: EVIL}
    paths = write(documents)
    write_report(paths, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text("utf-8")
    page = Page(text)
    assert "<script" not in text
    assert {"class", "width", "height", "role", "aria-label"} <= {
        name for name, _ in page.attributes
    }
    assert not any(name.startswith(("alert", "kws")) for name, _ in page.attributes)
    write_report(paths, tmp_path / "report.md")
    assert "<" not in (tmp_path / "report.md").read_text("utf-8")


def test_a_class_name_stays_text(documents: Documents, write: Write) -> None:
    report = merge(write(documents))
    # The schema asks for numbers; names must be as harmless.
    object.__setattr__(report.rows[0].per_class[0], "label", EVIL)
    assert "<script" not in to_html(report)
    assert "<script" not in to_markdown(report)


def test_markdown(documents: Documents, write: Write, tmp_path: Path) -> None:
    write_report(write(documents), tmp_path / "report.md")
    text = (tmp_path / "report.md").read_text("utf-8")
    assert text.startswith("# kws.keras\n\n**Failed.** 2 of 3 files")
    for line in (
        "| kws.int8.tflite | Within budget | 31.2 KB | 95.00 % | 0.28 pt | 99.12 % | 42.1 us | 26.5x |",
        "- **kws.int8.onnx**: Failed; It is above.",
        "| 2 | 250 | 0.00 | 1.12 | 5.08 |",
        "- **onnx int16x8**: ONNX has no such scheme",
    ):
        assert line in text.splitlines()


def test_warnings_are_shown(documents: Documents, write: Write) -> None:
    report = merge(write(documents))
    assert "<li>does not run &lt;here&gt;</li>" in to_html(report)
    assert "## Warnings\n\n- **kws.int8.tflite**: does not run" in to_markdown(report)


def test_another_ending_is_refused(documents: Documents, write: Write, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'\.pdf', expected one of \.html, \.md"):
        write_report(write(documents), tmp_path / "report.pdf")


def test_nothing_is_replaced_unasked(documents: Documents, write: Write, tmp_path: Path) -> None:
    output = tmp_path / "report.md"
    output.write_text("mine", "utf-8")
    with pytest.raises(OutputExistsError):
        write_report(write(documents), output)
    assert output.read_text("utf-8") == "mine"
    write_report(write(documents), output, overwrite=True)
    assert output.read_text("utf-8").startswith("# kws.keras")


def test_without_jinja2_the_extra_is_named(
    documents: Documents, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingDependencyError, match=r"edgekit-keras\[report\]"):
        write_report(write(documents), tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()
    write_report(write(documents), tmp_path / "report.md")


def test_junit(documents: Documents, tmp_path: Path) -> None:
    drift = documents["drift"]
    drift["candidates"][2].update(verdict="inconclusive", reasons=["Too few samples."])
    drift["candidates"][2]["outputs"][0].update(max_abs=0.0, sqnr_db=None)
    write_junit(Drift.from_json(drift), tmp_path / "strict.xml")
    strict = ET.parse(tmp_path / "strict.xml").getroot()[0]
    assert strict.get("failures") == "2"
    assert [f.get("type") for f in strict.iter("failure")] == ["drift", "inconclusive"]
    write_junit(Drift.from_json(drift), tmp_path / "drift.xml", allow_inconclusive=True)
    suite = ET.parse(tmp_path / "drift.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", "1", "0")
    cases = {case.get("name"): case for case in suite.iter("testcase")}
    assert list(cases) == ["kws.int8.tflite", "kws.int8.onnx", "kws.float32.tflite"]
    assert [name for name, case in cases.items() if case.find("failure") is not None] == [
        "kws.int8.onnx"
    ]
    failure = cases["kws.int8.onnx"].find("failure")
    assert failure is not None
    assert failure.get("message") == "It is above."
    note = cases["kws.float32.tflite"].findtext("system-out")
    assert note is not None
    assert note.startswith("verdict: inconclusive\nToo few samples.\n")
    assert "SQNR of scores: identical" in note
    assert all(case.get("time") is None for case in cases.values())


def test_junit_is_well_formed_whatever_the_names(documents: Documents, tmp_path: Path) -> None:
    drift = Drift.from_json(documents["drift"])
    one = drift.candidates[1]
    named = replace(
        one,
        artifact=one.artifact.recorded(f"a\x00\ud800{EVIL}"),
        reasons=(f"\x1b]]>{EVIL}",),
    )
    candidates = (drift.candidates[0], named, drift.candidates[2])
    write_junit(replace(drift, candidates=candidates), tmp_path / "drift.xml")
    cases = list(ET.parse(tmp_path / "drift.xml").getroot().iter("testcase"))
    assert cases[1].get("name") == 'script> & "kws".int8.tflite'


def test_junit_of_another_document_is_refused(documents: Documents, tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=r"edgekit\.bench/1"):
        write_junit(Drift.from_json(documents["bench"]), tmp_path / "drift.xml")
