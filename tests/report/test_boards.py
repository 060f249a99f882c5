from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from edgekit import document
from edgekit.report import merge, terminal_lines, to_markdown


@pytest.fixture
def paths(documents: dict[str, Any], tmp_path: Path) -> list[Path]:
    """A benchmark of one machine and of two boards, of which one took twice as long and one three times."""
    found = []
    for factor, device in enumerate(("desktop", "raspberry-pi-4b", "raspberry-pi-5"), 1):
        bench = deepcopy(documents["bench"])
        bench["host"]["device"] = device
        for run in bench["runs"]:
            run["latency"] = {
                k: v * factor if k.endswith("_ms") else v for k, v in run["latency"].items()
            }
        (tmp_path / device).mkdir()
        found.append(tmp_path / device / "bench.json")
        document.write(found[-1], bench)
    return found


def test_each_machine_has_a_column(paths: list[Path]) -> None:
    report = merge(paths)
    # No row has the times of one of them as if they were all's.
    assert [row.p50_ms for row in report.rows] == [None] * len(report.rows)
    lines = terminal_lines(report)
    head = next(line for line in map(str, lines) if line.startswith("p50"))
    assert head.split() == ["p50", "desktop", "raspberry-pi-4b", "raspberry-pi-5"]
    row = next(line for line in map(str, lines) if line.startswith("kws.int8.tflite   "))
    assert "| file | desktop | raspberry-pi-4b | raspberry-pi-5 |" in to_markdown(report)
    assert any("several machines" in note for note in report.notes), row


def test_one_machine_has_none(paths: list[Path]) -> None:
    report = merge(paths[:1])
    assert all(row.p50_ms is not None for row in report.rows)
    assert "## Boards" not in to_markdown(report)
