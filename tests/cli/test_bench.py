"""`edgekit bench`: rows, failures, shapes and earlier benchmarks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgekit.cli import main

QUICK = ("--seconds", "0.05")


@pytest.fixture
def measured(models: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> dict[str, Any]:
    out = tmp_path / "bench.json"
    file = str(models / "classifier.int8.tflite")
    assert main(["bench", file, *QUICK, "--json", str(out)]) == 0
    capfd.readouterr()
    content: dict[str, Any] = json.loads(out.read_text())
    # As on a machine that was left alone.
    content["disturbed"] = []
    out.write_text(json.dumps(content))
    return content


def times(factor: float) -> Callable[[dict[str, Any]], None]:
    def change(content: dict[str, Any]) -> None:
        for run in content["runs"]:
            run["medians_ms"] = [factor * ms for ms in run["medians_ms"]]

    return change


@pytest.mark.parametrize(("factor", "codes"), [(0.01, {3, 5}), (100.0, {0, 5})])
def test_an_earlier_benchmark_is_a_limit(
    measured: dict[str, Any],
    models: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    factor: float,
    codes: set[int],
) -> None:
    times(factor)(measured)
    (tmp_path / "then.json").write_text(json.dumps(measured))
    file = str(models / "classifier.int8.tflite")
    words = [
        "bench",
        file,
        *QUICK,
        "--baseline",
        str(tmp_path / "then.json"),
        "--max-slowdown",
        "10%",
    ]
    code = main(words)
    said = capfd.readouterr()
    # 5 where the machine was disturbed meanwhile.
    assert code in codes
    assert (code == 5) == ("disturbed" in said.err)
    assert "baseline: classifier.int8.tflite" in said.err
    if code == 5:
        assert main([*words, "--allow-inconclusive"]) in codes - {5} | {0}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"host": {"cpu": "Cortex-A53"}}, "its cpu is 'Cortex-A53', and here it is"),
        ({"host": {"cores": 64}}, "its cores is 64, and here it is"),
    ],
)
def test_another_machine_is_refused(
    measured: dict[str, Any],
    models: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    change: dict[str, Any],
    said: str,
) -> None:
    measured["host"].update(change["host"])
    (tmp_path / "then.json").write_text(json.dumps(measured))
    file = str(models / "classifier.int8.tflite")
    assert main(["bench", file, *QUICK, "--baseline", str(tmp_path / "then.json")]) == 2
    found = capfd.readouterr().err
    assert said in found
    assert "timing" not in found


def test_a_baseline_of_other_files_is_refused_before_the_work(
    measured: dict[str, Any], models: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "then.json").write_text(json.dumps(measured))
    file = str(models / "gauge.float32.tflite")
    assert main(["bench", file, *QUICK, "--baseline", str(tmp_path / "then.json")]) == 2
    found = capfd.readouterr().err
    assert "has none of the files gauge.float32.tflite" in found
    assert "timing" not in found


def test_a_limit_needs_a_baseline(models: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = str(models / "classifier.int8.tflite")
    assert main(["bench", file, "--max-slowdown", "5%"]) == 2
    assert "--max-slowdown: received without --baseline" in capfd.readouterr().err


def test_a_broken_file_is_a_row_beside_the_others(
    models: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.tflite").write_bytes(b"no file at all")
    words = ["bench", str(tmp_path / "broken.tflite"), str(models / "classifier.int8.tflite")]
    assert main([*words, *QUICK]) == 1
    said = capfd.readouterr()
    assert len(json.loads(said.out)["runs"]) == 1
    assert said.err.count("broken.tflite") == 1
    assert main([*words[:2], *QUICK]) == 1
    assert "broken.tflite" in capfd.readouterr().err


def test_the_shape_of_open_axes_is_said_and_chosen(
    models: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = str(models / "sequence.float32.onnx")
    assert main(["bench", file, *QUICK]) == 0
    first = json.loads(capfd.readouterr().out)["runs"][0]["open_shapes"]
    ((name, sizes),) = first.items()
    wanted = [size + 3 for size in sizes]
    chosen = ",".join(map(str, wanted))
    code = main(["bench", file, *QUICK, "--shape", f"{name}={chosen}"])
    said = capfd.readouterr()
    if code == 0:
        assert json.loads(said.out)["runs"][0]["open_shapes"] == {name: wanted}
        assert f"was timed with {name} {'x'.join(map(str, wanted))}" in said.err
    else:
        # Some of its axes are fixed.
        assert "with sizes in place of None" in said.err
    assert main(["bench", file, *QUICK, "--shape", "nonesuch=1,2"]) == 2
    assert "no such input" in capfd.readouterr().err
