"""What `compare` ends with: a pass alone is 0, whatever the limit is on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgekit

# Without a changed answer so few samples settle no point, and 30 points easily.
SAMPLES = 40


@pytest.fixture
def file(models: Path) -> Path:
    return models / "classifier.float32.tflite"


@pytest.fixture
def golden(file: Path, tmp_path: Path) -> Path:
    """A file's own answers, labelled by them: no drift, and accuracy 1. The column is "dark" for 10 of 40."""
    rng = np.random.default_rng(0)
    with edgekit.load(file) as runner:
        x = rng.random((SAMPLES, *runner.inputs[0].shape[1:]), np.float32)
        (scores,) = runner.infer_batch({runner.inputs[0].name: x}).values()
        samples = edgekit.Samples({runner.inputs[0].name: x}, scores.argmax(1))
        light = ["dark"] * 10 + ["bright"] * (SAMPLES - 10)
        edgekit.Golden.of(runner, samples, {"light": light}).save(tmp_path / "golden.npz")
    return tmp_path / "golden.npz"


@pytest.mark.parametrize(
    ("options", "code", "verdict"),
    [
        (["--max-accuracy-drop", "30%"], 0, "pass"),
        (["--max-accuracy-drop", "1%"], 5, "inconclusive"),
        (["--max-accuracy-drop", "1%", "--allow-inconclusive"], 0, "inconclusive"),
        (["--min-accuracy", "85%"], 0, "pass"),
        (["--min-accuracy", "99%"], 5, "inconclusive"),
        (["--limit", "agreement[light=bright]>=85%"], 0, "pass"),
        (["--limit", "agreement[light=*]>=85%"], 5, "inconclusive"),
        (["--limit", "size_bytes<=1 GB"], 0, "pass"),
        (["--limit", "size_bytes<=0.1 kB"], 3, "fail"),
        (["--max-accuracy-drop", "1%", "--limit", "size_bytes<=0.1 kB"], 3, "fail"),
        ([], 0, "none"),
    ],
)
def test_only_a_pass_ends_with_0(
    file: Path, golden: Path, command: Any, options: list[str], code: int, verdict: str
) -> None:
    done = command("compare", file, "--golden", golden, *options)
    assert (done.code, done.json()["verdict"]) == (code, verdict)


def test_junit_fails_where_the_command_does(
    file: Path, golden: Path, command: Any, tmp_path: Path
) -> None:
    budget = ["--max-accuracy-drop", "1%", "--junit", tmp_path / "j.xml", "--overwrite"]
    assert command("compare", file, "--golden", golden, *budget).code == 5
    assert 'type="inconclusive"' in (tmp_path / "j.xml").read_text()
    assert command("compare", file, "--golden", golden, *budget, "--allow-inconclusive").code == 0
    assert "<failure" not in (tmp_path / "j.xml").read_text()


def test_a_budget_in_toml_gives_way_to_options(
    file: Path, golden: Path, command: Any, tmp_path: Path
) -> None:
    table = tmp_path / "b.toml"
    table.write_text('[budget]\nmax_accuracy_drop = "30%"\nlimits = ["size_bytes <= 1 GB"]\n')
    compare = ("compare", file, "--golden", golden, "--budget", table)
    done = command(*compare)
    assert done.code == 0
    assert len(done.json()["candidates"][0]["reasons"]) == 2
    assert command(*compare, "--max-accuracy-drop", "1%").code == 5


def test_slices_are_shown(file: Path, golden: Path, command: Any) -> None:
    done = command("compare", file, "--golden", golden, "--slice", "light")
    groups = {f["group"] for f in done.json()["candidates"][0]["figures"]}
    assert {"light=dark", "light=bright"} <= groups
    (line,) = (each for each in done.err.splitlines() if "light=dark: " in each)
    for said in (
        "agreement 100.00 %",
        "accuracy 100.00 %",
        "accuracy drop 0.00 pt (-",
        "; 10 samples",
    ):
        assert said in line


@pytest.mark.processes
def test_latency_is_limited_by_what_bench_wrote(
    file: Path, golden: Path, command: Any, fails: Callable[..., str], tmp_path: Path
) -> None:
    limit = ("--limit", "p50_ms<=100 s")
    assert "--timings" in fails(2, "compare", file, "--golden", golden, *limit)
    command("bench", file, "--seconds", "0.02", "--json", tmp_path / "bench.json")
    measured = ("--timings", tmp_path / "bench.json")
    assert command("compare", file, "--golden", golden, *limit, *measured).code == 0
    done = command("compare", file, "--golden", golden, "--limit", "p50_ms<=1e-6", *measured)
    assert done.code == 3
    figures = {f["name"]: f["value"] for f in done.json()["candidates"][0]["figures"]}
    run = json.loads((tmp_path / "bench.json").read_text())["runs"][0]
    assert figures["p50_ms"] == run["latency"]["p50_ms"]


def test_columns_that_do_not_fit_are_refused(
    file: Path, fails: Callable[..., str], samples: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "c.csv").write_text("light\ndark\n")
    with edgekit.load(file) as runner:
        shape = runner.inputs[0].shape[1:]
    given = samples(x=np.zeros((3, *shape), np.float32))
    words = ("golden", file, "--samples", given, "-o", tmp_path / "g.npz")
    assert "each of the 3 samples" in fails(1, *words, "--columns", tmp_path / "c.csv")
    assert "does not exist" in fails(2, *words, "--columns", tmp_path / "none.csv")
