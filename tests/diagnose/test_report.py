"""Reports of diagnoses, differences and healed files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diagnose.conftest import Files

import edgekit
from edgekit import document
from edgekit.diagnose.diagnose import diagnose
from edgekit.diagnose.diff import diff
from edgekit.drift.golden import Golden
from edgekit.report import write_report
from edgekit.samples import Samples


def test_a_page_shows_errors_along_the_network(tflite: Files, images: Any, tmp_path: Path) -> None:
    with edgekit.load(tflite.plain) as plain, edgekit.load(tflite.int8) as file:
        found = diagnose(Golden.of(plain, Samples(images)), file, plain)
        both = diff(plain, file)
    paths = [tmp_path / "diagnosis.json", tmp_path / "diff.json"]
    document.write(paths[0], found.to_json())
    document.write(paths[1], both.to_json())
    write_report(paths, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "Signal to noise along the network" in page
    assert "<h2>Diagnoses</h2>" in page
    assert "<h2>Differences of files</h2>" in page
    assert page.count("<polyline") >= 2
    write_report(paths, tmp_path / "page.md")
    text = (tmp_path / "page.md").read_text("utf-8")
    assert "## Diagnoses" in text
    assert "classifier.int8.tflite: healthy" in text
    assert found.layers is not None
    # A row for each operator in the table of layers.
    rows = [line for line in text.splitlines() if line.startswith("| ") and "DEPTHWISE" in line]
    assert rows
