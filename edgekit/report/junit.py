"""A drift document as JUnit XML, which build servers show as tests."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from edgekit.artifact import told_apart
from edgekit.drift.candidate import Candidate
from edgekit.drift.drift import Drift
from edgekit.errors import printable
from edgekit.report import units
from edgekit.report.hashes import base_name


def to_junit(drift: Drift, allow_inconclusive: bool = False) -> str:
    """One test case a candidate, which fails wherever the command does not exit with 0.

    Args:
        drift: what was found.
        allow_inconclusive: let a file pass where the samples are too few to tell.
    """
    candidates = drift.candidates
    failing = {"fail"} if allow_inconclusive else {"fail", "inconclusive"}
    counts = {
        "tests": str(len(candidates) + len(drift.failed)),
        "failures": str(sum(row.verdict in failing for row in candidates)),
        "errors": str(len(drift.failed)),
        "skipped": "0",
    }
    root = ET.Element("testsuites", {"name": "edgekit", **counts})
    suite = ET.SubElement(root, "testsuite", {"name": "edgekit.drift", **counts})
    original = _xml_text(base_name(drift.reference.path))
    shown = told_apart([row.artifact.file for row in candidates])
    for row, name in zip(candidates, map(_xml_text, shown), strict=True):
        case = ET.SubElement(
            suite, "testcase", {"classname": f"edgekit.drift.{original}", "name": name}
        )
        reasons = _xml_text("\n".join(row.reasons))
        if row.verdict in failing:
            # The message is what a list of failures shows, one line each.
            message = reasons.replace("\n", "; ") or "over budget"
            kind = "drift" if row.verdict == "fail" else "inconclusive"
            ET.SubElement(case, "failure", {"message": message, "type": kind}).text = reasons
        ET.SubElement(case, "system-out").text = _xml_text(_note(row))
    for failure in drift.failed:
        case = ET.SubElement(
            suite,
            "testcase",
            {"classname": f"edgekit.drift.{original}", "name": _xml_text(failure.path)},
        )
        reason = _xml_text(failure.reason)
        ET.SubElement(case, "error", {"message": reason, "type": "failed"}).text = reason
    ET.indent(root)
    text = ET.tostring(root, encoding="unicode", xml_declaration=False)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'


def _note(row: Candidate) -> str:
    task = row.task
    lines = [f"verdict: {row.verdict}", *row.reasons]
    for name, value, form in (
        ("reference", task.reference, units.percent),
        ("candidate", task.candidate, units.percent),
        ("drop", task.drop, units.points),
        ("agreement", task.agreement, units.percent),
    ):
        if value is not None:
            lines.append(f"{name}: {form(value)}")
    lines += [f"SQNR of {output.name}: {units.decibels(output.sqnr_db)}" for output in row.outputs]
    lines.append(f"sha256: {row.artifact.sha256}")
    return "\n".join(lines)


def _xml_text(text: str) -> str:
    # XML 1.0 has no way to write most control characters (https://www.w3.org/TR/xml/#charsets).
    return printable(text, keep="\n")
