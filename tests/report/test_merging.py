"""Documents of one model become one report; documents that do not belong together are refused."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from edgekit.document import KINDS
from edgekit.drift.budget import DriftBudget
from edgekit.errors import DocumentError, UsageError
from edgekit.report import merge
from edgekit.report.summary import summary

Documents = dict[str, dict[str, Any]]
# What a report puts together; what it writes itself is none of them.
MERGED = [kind for kind in KINDS if kind != "report"]
Write = Callable[[Documents], list[Path]]
OTHER = "0123456789abcdef" * 4


def test_every_document_adds_what_it_knows(documents: Documents, write: Write) -> None:
    report = merge(write(documents))
    assert [row.name for row in report.rows] == [
        "kws.float32.tflite",
        "kws.int8.tflite",
        "kws.int8.onnx",
    ]
    row = report.rows[1]
    assert (row.size_bytes, row.scheme, row.verdict) == (31_200, "int8", "pass")
    assert (row.accuracy, row.drop, row.drop_ci95) == (0.95, 0.0028, (0.0004, 0.0052))
    assert (row.agreement, row.sqnr_db, row.p50_ms) == (0.9912, 34.25, 0.04207)
    assert row.speedup == pytest.approx(1.1148 / 0.04207)
    assert row.recipe["calibration"] == {"samples": 200, "seed": 0}
    assert report.reference is not None
    assert (report.reference.name, report.reference.accuracy) == ("kws.keras", 0.9528)
    assert report.reference.speedup == 1
    assert report.budget == DriftBudget(max_accuracy_drop=0.01)
    assert report.host is not None
    assert report.host.device == "raspberry-pi-4"
    assert list(report.float_ops) == ["kws.int8.onnx"]
    assert report.skipped[0].scheme == "int16x8"
    assert report.training is not None
    assert report.verdict == "fail"
    assert report.notes == ()


@pytest.mark.parametrize("kind", MERGED)
def test_each_document_will_do_alone(every: Documents, write: Write, kind: str) -> None:
    report = merge(write({kind: every[kind]}))
    assert report.documents == (f"{kind}.json",)
    assert (report.reference is None) == (kind not in ("drift", "ledger", "manifest", "training"))


def test_a_report_takes_all_kinds(every: Documents, write: Write) -> None:
    assert set(every) == set(MERGED)
    report = merge(write(every))
    assert [row.label for row in report.evaluations] == ["evaluation.json"]
    assert report.evaluations[0].document.accuracy == 0.9472
    assert report.inspections[0].document.macs.total == 2_656_768
    assert report.checkups[0].document.schemes[0].verdict == "works"
    # The drift's samples are those that the files are judged on.
    assert report.rows[1].accuracy == 0.95
    assert len(report.rows) == 3
    said = {row.label: row.document.in_words for row in report.further}
    kinds = ("boards", "build", "bundle", "installation", "ledger", "selftest", "verification")
    assert sorted(said) == [f"{kind}.json" for kind in kinds]
    assert said["selftest.json"] == "self-test of kws on aarch64: pass: kws.int8.tflite pass"
    assert said["verification.json"] == "bundle kws: fail: kws.int8.tflite: was changed"


def test_several_of_a_kind_are_listed(every: Documents, write: Write) -> None:
    onnx = deepcopy(every["evaluation"])
    onnx["artifact"] = every["bench"]["runs"][2]["artifact"] | {
        "path": "build/kws.int8.onnx",
        "sha256": every["manifest"]["files"][1]["sha256"],
        "format": "onnx",
    }
    report = merge(write({**every, "second": onnx, "third": every["host"]}))
    assert [row.label for row in report.evaluations] == ["evaluation.json", "second.json"]
    assert [row.label for row in report.checkups] == ["host.json", "third.json"]


def test_what_is_not_known_is_none(documents: Documents, write: Write) -> None:
    row = merge(write({"manifest": documents["manifest"]})).rows[0]
    assert (row.accuracy, row.verdict, row.p50_ms, row.speedup) == (None, None, None, None)


def test_a_document_given_twice_is_read_once(documents: Documents, write: Write) -> None:
    paths = write(documents)
    assert merge(paths + paths) == merge(paths)


def test_speedup_is_of_as_many_threads_in_the_same_document(
    documents: Documents, write: Write
) -> None:
    documents["bench"]["runs"][0]["threads"] = 4
    again = deepcopy(documents["bench"])
    again["runs"] = again["runs"][:1]
    again["runs"][0]["threads"] = 1
    report = merge(write({**documents, "again": again}))
    assert report.rows[1].p50_ms == 0.04207
    assert report.rows[1].speedup is None


def test_the_gravest_of_several_comparisons_counts(documents: Documents, write: Write) -> None:
    second = deepcopy(documents["drift"])
    second["budget"]["max_accuracy_drop"] = 0.001
    second["candidates"] = second["candidates"][:1]
    second["candidates"][0].update(verdict="inconclusive", reasons=["Too few."])
    report = merge(write({**documents, "second": second}))
    assert (report.rows[1].verdict, report.rows[1].reasons) == ("inconclusive", ("Too few.",))
    assert report.budget == DriftBudget()
    assert len(report.notes) == 2


def test_benchmarks_of_the_same_name_are_told_apart(
    documents: Documents, write: Write, tmp_path: Path
) -> None:
    paths = write({"bench": documents["bench"]})
    (tmp_path / "pi").mkdir()
    other = tmp_path / "pi" / "bench.json"
    other.write_bytes(paths[0].read_bytes())
    hosts = merge([*paths, other]).hosts
    assert [host.document for host in hosts] == [f"{tmp_path.name}/bench.json", "pi/bench.json"]


def test_an_output_that_is_not_finite_has_no_sqnr(documents: Documents, write: Write) -> None:
    output = documents["drift"]["candidates"][0]["outputs"][0]
    unmeasured = dict.fromkeys(output, None) | {"name": "broken"}
    documents["drift"]["candidates"][0]["outputs"].append(unmeasured)
    assert merge(write(documents)).rows[1].sqnr_db is None


def test_nothing_to_merge_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="received no documents"):
        merge([])


def _other_reference(documents: Documents) -> None:
    documents["second"] = deepcopy(documents["drift"])
    documents["second"]["reference"]["sha256"] = OTHER


def _other_golden(documents: Documents) -> None:
    documents["second"] = deepcopy(documents["drift"])
    documents["second"]["reference"]["golden_sha256"] = OTHER


def _golden_of_its_own(documents: Documents) -> None:
    documents["manifest"]["files"][0]["golden_sha256"] = OTHER


def _other_source(documents: Documents) -> None:
    documents["manifest"]["source"]["sha256"] = OTHER


def _other_training(documents: Documents) -> None:
    documents["training"]["model"]["sha256"] = OTHER


def _stranger_in_evaluation(documents: Documents) -> None:
    documents["evaluation"]["artifact"].update(path="other.tflite", sha256=OTHER)


def _same_name_other_hash_in_inspection(documents: Documents) -> None:
    documents["inspection"]["artifact"]["sha256"] = OTHER


def _other_front(documents: Documents) -> None:
    documents["tuning"]["front"] = [2]
    documents["tuning"]["trials"][2]["model"]["sha256"] = OTHER


def _same_name_other_hash(documents: Documents) -> None:
    documents["bench"]["runs"][2]["artifact"]["sha256"] = OTHER


def _stranger_in_bench(documents: Documents) -> None:
    documents["bench"]["runs"][2]["artifact"].update(path="other.tflite", sha256=OTHER)


def _stranger_in_drift(documents: Documents) -> None:
    documents["drift"]["candidates"][0]["artifact"].update(path="other.tflite", sha256=OTHER)


def _stranger_without_manifest(documents: Documents) -> None:
    del documents["manifest"]
    _stranger_in_bench(documents)


@pytest.mark.parametrize(
    ("spoil", "first", "second", "known"),
    [
        (_other_reference, "drift.json", "second.json", "kws.keras"),
        (_other_golden, "drift.json", "second.json", "golden"),
        (_golden_of_its_own, "manifest.json", "drift.json", "golden"),
        (_other_source, "drift.json", "manifest.json", "kws.keras"),
        (_other_training, "drift.json", "training.json", "kws.keras"),
        (_other_front, "drift.json", "tuning.json", "kws.keras"),
        (_same_name_other_hash, "bench.json", "drift.json", "kws.int8.tflite"),
        (_stranger_in_bench, "bench.json", "manifest.json", "kws.keras"),
        (_stranger_in_drift, "drift.json", "manifest.json", "kws.keras"),
        (_stranger_without_manifest, "bench.json", "drift.json", "kws.keras"),
        (_stranger_in_evaluation, "evaluation.json", "manifest.json", "kws.keras"),
        (_same_name_other_hash_in_inspection, "inspection.json", "bench.json", "kws.int8.tflite"),
    ],
)
def test_documents_that_do_not_belong_together_are_refused(
    every: Documents,
    write: Write,
    digest: Callable[[str], str],
    spoil: Callable[[Documents], None],
    first: str,
    second: str,
    known: str,
) -> None:
    spoil(every)
    with pytest.raises(DocumentError, match="do not belong together") as caught:
        merge(write(every))
    for part in (first, second, OTHER[:12], digest(known)[:12]):
        assert part in str(caught.value)


@pytest.mark.parametrize(("p50_ms", "said"), [(0.1483, False), (0.2, True)])
def test_an_int8_file_that_is_slower_than_float_is_told(
    documents: Documents, write: Write, p50_ms: float, said: bool
) -> None:
    documents["bench"]["runs"][2]["latency"]["p50_ms"] = p50_ms
    row = next(row for row in merge(write(documents)).rows if row.name == "kws.int8.tflite")
    lines = [line for line in row.warnings if "is slower than kws.float32.tflite" in line]
    assert len(lines) == said
    assert all("200 us against 148 us" in line for line in lines)


@pytest.mark.parametrize("kind", ["manifest", "training", "tuning"])
def test_a_second_one_of_its_kind_is_refused(documents: Documents, write: Write, kind: str) -> None:
    # The same content once more is no second one.
    assert merge(write({**documents, "second": documents[kind]})) == merge(write(documents))
    second = deepcopy(documents[kind])
    changed = {"manifest": "versions", "training": "recipe", "tuning": "search"}[kind]
    second[changed] = {}
    with pytest.raises(DocumentError, match=f"both {kind} documents"):
        merge(write({**documents, "second": second}))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "not a JSON document"),
        ("[" * 100_000, "not a JSON document"),
        ('{"p50_ms": 1}', "is none of edgekit's documents: received no schema"),
        ('{"schema": "other/1"}', "is none of edgekit's documents: received schema 'other/1'"),
    ],
)
def test_a_file_that_is_none_of_edgekits_is_named(
    documents: Documents, write: Write, tmp_path: Path, content: str, says: str
) -> None:
    other = tmp_path / "package.json"
    other.write_text(content, "utf-8")
    with pytest.raises(DocumentError, match=f"package.json: {says}"):
        merge([*write(documents), other])


def test_a_document_that_breaks_its_schema_is_refused(documents: Documents, write: Write) -> None:
    del documents["bench"]["runs"]
    with pytest.raises(DocumentError, match=r"bench\.json: \$: has no key 'runs'"):
        merge(write(documents))


def test_the_summary_names_what_failed_and_what_is_best(documents: Documents, write: Write) -> None:
    assert summary(merge(write(documents))) == (
        "2 of 3 files stay within the budget; failed: kws.int8.onnx. The smallest within budget, "
        "kws.int8.tflite, is 31.2 KB (10.2x smaller than the original), loses 0.28 points of "
        "accuracy (now 95.00 %) and answers in 42.1 us, 26.5x as fast as the original."
    )


def test_the_summary_of_failures_only_speaks_of_the_budget(
    documents: Documents, write: Write
) -> None:
    documents["drift"]["candidates"] = documents["drift"]["candidates"][1:2]
    report = merge(write({"drift": documents["drift"]}))
    assert summary(report) == "No file is shown to stay within the budget; failed: kws.int8.onnx."


def test_the_summary_without_a_budget_judges_nothing(documents: Documents, write: Write) -> None:
    documents["drift"]["budget"]["max_accuracy_drop"] = None
    for candidate in documents["drift"]["candidates"]:
        candidate["verdict"] = "none"
    text = summary(merge(write(documents)))
    assert text.startswith("3 files were compared with the original model on 2,500 samples; no bud")
    documents["drift"]["candidates"][1]["verdict"] = "fail"
    text = summary(merge(write(documents)))
    assert "no budget is set, but failed: kws.int8.onnx." in text


def test_the_summary_tells_what_was_not_compared(documents: Documents, write: Write) -> None:
    del documents["drift"]["candidates"][1]
    text = summary(merge(write(documents)))
    assert text.startswith("All 2 files stay within the budget. Not compared: kws.int8.onnx.")
