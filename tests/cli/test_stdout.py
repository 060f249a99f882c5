"""`-` is stdout, and what is there is one document; stdin is never read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import needs

pytestmark = pytest.mark.processes

Command = Callable[..., Any]


@pytest.fixture
def golden(command: Command, models: Path, samples: Callable[..., Path], tmp_path: Path) -> Path:
    path = tmp_path / "golden.npz"
    original = models / "classifier.float32.tflite"
    assert command("golden", original, "--samples", samples(), "-o", path).code == 0
    return path


def test_json_to_stdout(
    command: Command, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = command("inspect", models / "classifier.int8.tflite", "--json", "-")
    assert done.code == 0
    assert done.json()["schema"] == "edgekit.inspection/1"
    assert "MACs" in done.err
    assert list(tmp_path.iterdir()) == []


def test_stdout_has_other_names_and_devices_stay(
    command: Command, models: Path, fails: Callable[..., str]
) -> None:
    file = models / "classifier.int8.tflite"
    for name in ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"):
        assert command("inspect", file, "--json", name).json()["schema"] == "edgekit.inspection/1"
    line = fails(2, "inspect", file, "--json", "/dev/stderr")
    assert "'/dev/stderr'" in line
    assert "'-' for stdout" in line


@needs.system("mkfifo")
@pytest.mark.parametrize("words", [(), ("--overwrite",)])
def test_a_pipe_with_a_name_takes_the_result(
    command: Command, models: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text("utf-8")))
    reader.start()
    done = command("inspect", models / "classifier.int8.tflite", "--json", pipe, *words)
    reader.join(timeout=60)
    assert (done.code, done.out) == (0, "")
    assert json.loads(read[0])["schema"] == "edgekit.inspection/1"
    assert pipe.is_fifo()


def test_junit_to_stdout(command: Command, models: Path, golden: Path, tmp_path: Path) -> None:
    words = ("compare", models / "classifier.int8.tflite", "--golden", golden, "--min-sqnr-db", "1")
    done = command(*words, "--junit", "-")
    assert done.code == 0
    (case,) = ET.fromstring(done.out.encode()).iter("testcase")
    assert case.get("name") == "classifier.int8.tflite"
    done = command(*words, "--junit", "-", "--json", tmp_path / "drift.json")
    assert done.out.startswith("<?xml")
    drift = json.loads((tmp_path / "drift.json").read_text("utf-8"))
    assert drift["schema"] == "edgekit.drift/1"
    done = command(*words, "--json", "-", "--junit", tmp_path / "drift.xml")
    assert done.json()["schema"] == "edgekit.drift/1"
    assert ET.parse(tmp_path / "drift.xml").getroot().get("tests") == "1"


def test_a_report_to_stdout_is_markdown(
    command: Command, models: Path, golden: Path, tmp_path: Path
) -> None:
    needs.package("jsonschema")
    drift = tmp_path / "drift.json"
    words = ("--golden", golden, "--json", drift)
    assert command("compare", models / "classifier.int8.tflite", *words).code == 0
    done = command("report", drift, "-o", "-")
    assert done.code == 0
    assert done.out.startswith("# ")
    assert "classifier.int8.tflite" in done.out
    assert command("report", drift, "-o", tmp_path / "r.md").code == 0
    assert done.out == (tmp_path / "r.md").read_text("utf-8")


def test_a_budget_is_echoed_in_points(command: Command, models: Path, golden: Path) -> None:
    words = ("compare", models / "classifier.float32.tflite", "--golden", golden)
    one = command(*words, "--max-accuracy-drop", "1%", "--min-agreement", "99%")
    assert one.err.startswith("budget: accuracy drop at most 1.00 pt, agreement at least 99.00 %\n")
    other = command(*words, "--max-accuracy-drop", "0.01", "--min-agreement", "0.99")
    assert other.err.splitlines()[0] == one.err.splitlines()[0]
    assert other.json()["budget"] == one.json()["budget"]
    # In per cent it is certain what is meant.
    assert "at most 30.00 pt" in command(*words, "--max-accuracy-drop", "30%").err


def test_a_benchmark_of_samples(
    command: Command, models: Path, samples: Callable[..., Path], fails: Callable[..., str]
) -> None:
    file = models / "classifier.int8.tflite"
    done = command("bench", file, "--seconds", "0.01", "--samples", samples())
    assert done.json()["runs"][0]["latency"]["count"] >= 30
    wrong = samples("wrong.npz", imgae=[[1.0]])
    assert "no such input" in fails(1, "bench", file, "--samples", wrong)


@pytest.mark.parametrize("stdin", ["closed", "empty"])
def test_stdin_is_never_read(
    models: Path, samples: Callable[..., Path], tmp_path: Path, stdin: str
) -> None:
    file, given, out = models / "classifier.int8.tflite", samples(), tmp_path / "o.npz"
    words = [sys.executable, "-m", "edgekit", "run", file, "--samples", given, "-o", out]
    closing = ["sh", "-c", 'exec "$@" <&-', "sh"] if stdin == "closed" else []
    done = subprocess.run(
        [*closing, *map(str, words)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert out.exists()
    # What exists is not asked about either.
    done = subprocess.run(
        [*closing, *map(str, words)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "--overwrite" in done.stderr
