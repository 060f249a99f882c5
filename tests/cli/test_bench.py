"""`edgekit bench`: rows, failures, shapes and earlier benchmarks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgekit
from edgekit.cli import main
from edgekit.document import load
from edgekit.runtime.bench import Bench

# They start processes.
pytestmark = pytest.mark.processes

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


def test_the_shape_of_dynamic_dimensions_is_said_and_chosen(
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


def test_several_threads_and_batches_are_rows(
    models: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["bench", str(models / "dynamic.float32.tflite"), "--threads", "1,2", "--batch", "1,4"]
    assert main([*words, *QUICK]) == 0
    said = capfd.readouterr()
    runs = json.loads(said.out)["runs"]
    assert [(run["threads"], run["batch"]) for run in runs] == [(1, 1), (1, 4), (2, 1), (2, 4)]
    for run in runs:
        assert run["throughput_per_s"] == pytest.approx(
            1000 * run["batch"] / run["latency"]["mean_ms"]
        )
    assert said.err.count("dynamic.float32.tflite") == 4
    head = next(line for line in said.err.splitlines() if line.startswith("file"))
    assert head.split()[:4] == ["file", "threads", "batch", "size"]


def test_a_batch_that_a_file_does_not_take_is_a_failure_of_that_file(
    models: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = [str(models / f"{name}.float32.tflite") for name in ("dynamic", "classifier")]
    assert main(["bench", *words, "--batch", "4", *QUICK]) == 1
    said = capfd.readouterr()
    (run,) = json.loads(said.out)["runs"]
    assert run["batch"] == 4
    assert "takes 1 at a time, and --batch asks for 4" in said.err


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--batch", "0"), "--batch: received 0, expected at least 1"),
        (("--batch", "2", "--shape", "x=1,6"), "--batch: received beside --shape"),
        (("--sustained", "never"), "expected a time, such as 30m or 90s"),
        (("--threads", "1,some"), "received 'some', expected a whole number"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    models: Path, capfd: pytest.CaptureFixture[str], words: tuple[str, ...], reason: str
) -> None:
    assert main(["bench", str(models / "dynamic.float32.tflite"), *words]) == 2
    assert reason in capfd.readouterr().err


def test_how_good_answers_are_stands_beside_the_times(
    models: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = models / "classifier.float32.tflite"
    with edgekit.load(file) as runner:
        x = np.random.default_rng(0).normal(0, 3, (40, *runner.inputs[0].shape[1:]))
        inputs = {runner.inputs[0].name: x.astype(np.float32)}
        (scores,) = runner.infer_batch(inputs).values()
    classes = scores.argmax(1)
    # A tenth of the labels is another class.
    classes[:4] = (classes[:4] + 1) % scores.shape[1]
    np.savez(tmp_path / "samples.npz", x=x.astype(np.float32), y=classes)
    golden = str(tmp_path / "golden.npz")
    words = ["golden", str(file), "--samples", str(tmp_path / "samples.npz"), "-o", golden]
    assert main(words) == 0
    capfd.readouterr()
    out = tmp_path / "bench.json"
    assert main(["bench", str(file), *QUICK, "--golden", golden, "--json", str(out)]) == 0
    (run,) = json.loads(out.read_text())["runs"]
    assert run["answers"] == {
        "figure": "accuracy",
        "unit": "share",
        "value": pytest.approx(0.9),
        "reference": pytest.approx(0.9),
    }
    said = capfd.readouterr().err
    assert "accuracy" in said
    assert "90.00 %" in said
    document = load(out)
    assert isinstance(document, Bench)
    assert document.runs[0].answers is not None


def test_a_long_measurement_says_who_is_fastest_at_first_and_at_last(
    models: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = str(models / "classifier.int8.tflite")
    assert main(["bench", file, *QUICK, "--threads", "1,2", "--sustained", "0.5s"]) == 0
    said = capfd.readouterr()
    content = json.loads(said.out)
    found = content["sustained"]
    read = Bench.from_json(content)
    assert read.sustained is not None
    assert read.sustained.windows[0].medians_ms == tuple(found["windows"][0]["medians_ms"])
    assert len(found["windows"]) == 10
    assert sorted(found["first"]) == sorted(found["last"]) == [0, 1]
    assert "sustained: classifier.int8.tflite (threads 2): p50 " in said.err


def test_operators_are_told_of_files_whose_interpreter_tells(
    models: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = [str(models / f"classifier.float32.{ending}") for ending in ("onnx", "tflite")]
    assert main(["bench", *words, *QUICK, "--operators"]) == 0
    said = capfd.readouterr()
    first, second = json.loads(said.out)["runs"]
    assert first["operators"]
    assert not second["operators"]
    assert "operator: classifier.float32.onnx: " in said.err
