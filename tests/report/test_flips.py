"""Flips with their pictures, what changed, and histograms, on the page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.browser import chromium

from edgekit.drift.drift import Drift
from edgekit.drift.evidence import evidence
from edgekit.drift.golden import Golden
from edgekit.drift.reference import Reference
from edgekit.errors import DocumentError
from edgekit.report import merge, write_report
from edgekit.report.flips import golden_for, shown_flips
from edgekit.runtime.runner import Backend
from edgekit.samples import Samples

Documents = dict[str, dict[str, Any]]
Write = Callable[[Documents], list[Path]]


@pytest.fixture
def golden(documents: Documents, tmp_path: Path) -> Path:
    """A golden file of images, and its candidates' evidence in the drift document."""
    rng = np.random.default_rng(3)
    before, after = rng.dirichlet([0.4] * 4, 30), rng.dirichlet([0.4] * 4, 30)
    known = documents["drift"]["reference"]
    reference = Reference(
        known["path"],
        known["sha256"],
        known["format"],
        known["size_bytes"],
        Backend("keras", "3"),
    )
    samples = Samples(
        {"image": rng.uniform(0, 1, (30, 12, 12, 3)).astype(np.float32)}, rng.integers(0, 4, 30)
    )
    made = Golden(samples, {"scores": before}, "classification", "scores", reference)
    saved = made.save(tmp_path / "golden.npz")
    known["golden_sha256"] = saved.sha256
    drift = Drift.from_json(documents["drift"])
    first = replace(drift.candidates[0], evidence=evidence(made, {"scores": after}))
    documents["drift"] = replace(drift, candidates=(first, *drift.candidates[1:])).to_json()
    return tmp_path / "golden.npz"


def test_flips_are_shown_with_both_answers(
    documents: Documents, golden: Path, write: Write, tmp_path: Path
) -> None:
    report = merge(write(documents))
    flips = shown_flips(report, golden_for(report, golden))
    assert len(flips) == 6
    assert {flip.file for flip in flips} == {"kws.int8.tflite"}
    assert [about for about, _ in flips[0].facts] == ["right", "original", "file"]
    output = tmp_path / "report.html"
    write_report(write(documents), output, golden=golden)
    with chromium() as browser:
        for width in (1400, 390):
            browser.open(output, width)
            assert browser.errors == []
            assert browser.run("document.documentElement.scrollWidth") <= width
            sizes = browser.run(
                "[...document.querySelectorAll('#flips img')].map(e => [e.naturalWidth, e.width])"
            )
            assert [natural for natural, _ in sizes] == [12] * 6
            assert all(shown > 80 for _, shown in sizes)
            assert browser.run("document.querySelectorAll('#histograms polygon').length") == 2
            assert browser.run("document.querySelectorAll('#changes tbody tr').length") > 2


def test_without_the_golden_file_they_are_a_table(
    documents: Documents,
    golden: Path,  # noqa: ARG001
    write: Write,
    tmp_path: Path,
) -> None:
    write_report(write(documents), tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "With --golden the samples are shown." in page
    assert "<img" not in page


def test_another_golden_file_is_refused(documents: Documents, golden: Path, write: Write) -> None:
    documents["drift"]["reference"]["golden_sha256"] = "0" * 64
    report = merge(write(documents))
    with pytest.raises(DocumentError, match="Give the golden file that 'edgekit compare' had"):
        golden_for(report, golden)
