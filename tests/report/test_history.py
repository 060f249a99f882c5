"""Several builds, from the oldest to the newest."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.browser import chromium

from edgekit.cli import main
from edgekit.errors import DocumentError, UsageError
from edgekit.report import ReportResult, merge, read_history, write_history
from edgekit.report.history import history_summary, in_order

Documents = dict[str, dict[str, Any]]
Write = Callable[[Documents], list[Path]]


@pytest.fixture
def builds(documents: Documents, tmp_path: Path) -> Path:
    """Three builds: two folders of documents, and in between what ``report --json`` wrote."""
    folder = tmp_path / "builds"
    for number, accuracy in ((9, 0.9500), (10, 0.9480), (11, 0.9400)):
        made = deepcopy({key: documents[key] for key in ("drift", "bench", "manifest")})
        task = made["drift"]["candidates"][0]["task"]
        task.update(candidate=accuracy, drop=round(0.9528 - accuracy, 10))
        made["drift"]["candidates"][0]["verdict"] = "pass" if accuracy > 0.945 else "fail"
        build = folder / f"build-{number}"
        build.mkdir(parents=True)
        for name, content in made.items():
            (build / f"{name}.json").write_text(json.dumps(content), "utf-8")
    middle = folder / "build-10"
    result = ReportResult.of(merge(middle.glob("*.json"))).to_json()
    for path in middle.glob("*.json"):
        path.unlink()
    middle.rmdir()
    (folder / "build-10.json").write_text(json.dumps(result), "utf-8")
    (folder / "empty").mkdir()
    return folder


def test_builds_are_in_the_order_of_their_numbers(builds: Path) -> None:
    history = read_history(builds)
    assert [build.name for build in history.builds] == ["build-9", "build-10", "build-11"]
    assert history.skipped == ("empty",)
    assert history.verdict == "fail"
    trend = next(each for each in history.trends if each.name == "kws.int8.tflite")
    assert trend.table.columns == ("build", "verdict", "accuracy", "drop", "size", "p50")
    assert trend.table.rows == (
        ("build-9", "within budget", "95.00 %", "0.28 pt", "31.2 KB", "42.1 us"),
        ("build-10", "within budget", "94.80 %", "0.48 pt", "31.2 KB", "42.1 us"),
        ("build-11", "failed", "94.00 %", "1.28 pt", "31.2 KB", "42.1 us"),
    )
    assert [curve.title for curve in trend.curves] == ["Accuracy", "Drop", "Size", "Latency (p50)"]
    # From the top, which is the best accuracy, to the bottom.
    assert trend.curves[0].lines[0].points == "0.00,0.00 50.00,20.00 100.00,100.00"
    assert history_summary(history) == (
        "3 builds, the newest build-11: failed. Since build-10: kws.int8.tflite is no longer within budget."
    )


def test_a_folder_may_hold_its_own_report(builds: Path) -> None:
    folder = builds / "build-9"
    result = ReportResult.of(merge(sorted(folder.glob("*.json")))).to_json()
    (folder / "report.json").write_text(json.dumps(result), "utf-8")
    assert read_history(builds).builds[0].result.to_json() == result


def test_the_command_shows_them(builds: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--history", str(builds)]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert "kws.int8.tflite" in lines
    assert "  build-11  failed          94.00 %  1.28 pt  31.2 KB  42.1 us" in lines
    assert max(map(len, lines)) <= 80
    output = builds.parent / "trend.md"
    assert main(["report", "--history", str(builds), "-o", str(output)]) == 0
    assert "| build-9 | within budget | 95.00 % |" in output.read_text("utf-8")
    assert main(["report", "--history", str(builds), "--json", "-"]) == 2
    assert main(["report", "drift.json", "--history", str(builds)]) == 2


def test_the_page_stands(builds: Path, tmp_path: Path) -> None:
    output = tmp_path / "trend.html"
    write_history(read_history(builds), output)
    with chromium() as browser:
        for width in (1400, 390):
            browser.open(output, width)
            assert browser.errors == []
            assert browser.run("document.documentElement.scrollWidth") <= width
            assert browser.run("document.querySelectorAll('polyline').length") == 4 * 3 - 1


def test_what_is_no_build_is_refused(tmp_path: Path, builds: Path) -> None:
    with pytest.raises(UsageError, match="expected a folder with a build"):
        read_history(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="received no build"):
        read_history(builds / "empty")
    (builds / "build-9" / "drift.json").write_text("{", "utf-8")
    with pytest.raises(DocumentError, match=r"build-9.drift\.json: not a JSON document"):
        read_history(builds)


@given(st.lists(st.integers(0, 10**6), min_size=2, max_size=6), st.sampled_from(["", "v", "a-1."]))
def test_names_are_ordered_by_the_numbers_in_them(numbers: list[int], stem: str) -> None:
    names = [f"{stem}{number}" for number in numbers]
    assert sorted(names, key=in_order) == [f"{stem}{number}" for number in sorted(numbers)]
