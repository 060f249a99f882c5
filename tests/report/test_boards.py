from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from edgekit import document
from edgekit.report import merge, terminal_lines, to_markdown
from edgekit.report.boards import answers_table, instructions_table


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


@pytest.fixture
def compared(documents: dict[str, Any], tmp_path: Path) -> list[Path]:
    """Comparisons of two boards of one kind and of another; on the second every file fails."""
    found = []
    for number, device in enumerate(("raspberry-pi-5", "raspberry-pi-5", "raspberry-pi-3b")):
        drift = deepcopy(documents["drift"])
        drift["host"] = {
            "device": device,
            "machine": "aarch64",
            "cpu": "Cortex-A76",
            "python": "3.13.5",
            "emulated": number == 2,
        }
        for row in drift["candidates"]:
            row["verdict"] = "fail" if number == 1 else "pass"
            row["task"]["flips"] = number
        drift["verdict"] = "fail" if number == 1 else "pass"
        (tmp_path / f"board{number}").mkdir()
        found.append(tmp_path / f"board{number}" / "drift.json")
        document.write(found[-1], drift)
    return found


def test_the_answers_of_each_board_have_a_column(compared: list[Path]) -> None:
    report = merge(compared)
    assert report.verdict == "fail"
    table = answers_table(report)
    assert table is not None
    assert table.columns == (
        "file",
        "raspberry-pi-5 (board0)",
        "raspberry-pi-5 (board1)",
        "raspberry-pi-3b (emulated)",
    )
    assert {row[1:] for row in table.rows} == {
        ("within budget, 0 flips", "failed, 1 flip", "within budget, 2 flips")
    }
    assert any("comparisons are from several machines" in note for note in report.notes)
    text = "\n".join(map(str, terminal_lines(report)))
    for shown in (text, to_markdown(report)):
        assert "raspberry-pi-3b (emulated)" in shown


def test_answers_of_one_machine_have_no_column(compared: list[Path]) -> None:
    assert answers_table(merge(compared[:1])) is None
    # Earlier documents name no machine: their files tell them apart.
    for path in compared[:2]:
        content = document.load(path).to_json()
        document.write(path, {key: x for key, x in content.items() if key != "host"})
    table = answers_table(merge(compared[:2]))
    assert table is not None
    assert table.columns == ("file", "board0/drift.json", "board1/drift.json")


def test_documents_of_one_board_share_a_column(compared: list[Path]) -> None:
    """A board writes a document for each file where one of them ends its interpreter."""
    content = document.load(compared[0]).to_json()
    first, *others = content["candidates"]
    for name, rows in (("drift-a.json", [first]), ("drift-b.json", others)):
        document.write(compared[0].parent / name, {**content, "candidates": rows})
    paths = [compared[0].parent / "drift-a.json", compared[0].parent / "drift-b.json", compared[2]]
    table = answers_table(merge(paths))
    assert table is not None
    assert table.columns == ("file", "raspberry-pi-5", "raspberry-pi-3b (emulated)")
    assert len(table.rows) == len(content["candidates"])


def test_instructions_have_a_column_a_processor(
    every: dict[str, Any], write: Callable[[dict[str, Any]], list[Path]]
) -> None:
    first, other = every["instructions"], deepcopy(every["instructions"])
    other["bits"] = 32
    other["files"][0]["infer"] = 1_000_000
    report = merge(write({"instructions": first, "other": other}))
    table = instructions_table(report)
    assert table is not None
    assert table.columns == ("file", "raspberry-pi-4b", "raspberry-pi-4b, 32 bits")
    assert table.rows == (
        ("kws.int8.tflite", "86,208", "1,000,000"),
        ("kws.int8.onnx", "failed", "failed"),
    )
    assert instructions_table(merge(write({"host": every["host"]}))) is None
    assert "86,208" in to_markdown(report)
    assert any("1,000,000" in str(line) for line in terminal_lines(report))
