from __future__ import annotations

import gc
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support import needs

import edgekit
from edgekit.document import dumps, json_schema
from edgekit.errors import ArtifactError, TensorError, UsageError
from edgekit.runtime.bench import Bench
from edgekit.runtime.latency import Latency
from edgekit.runtime.random_inputs import random_inputs
from edgekit.runtime.runner import Runner

FILES = ("classifier.float32.tflite", "classifier.int8.tflite")


@pytest.fixture(scope="module")
def runners(models: Path) -> Iterator[list[Runner]]:
    loaded = [edgekit.load(models / name) for name in FILES]
    yield loaded
    for runner in loaded:
        runner.close()


@pytest.fixture(scope="module")
def result(runners: list[Runner]) -> Bench:
    return edgekit.benchmark(runners, seconds=0.05)


def test_runs_come_in_order_with_their_raw_durations(result: Bench, runners: list[Runner]) -> None:
    assert [run.artifact for run in result.runs] == [r.artifact for r in runners]
    for run in result.runs:
        assert len(run.samples_ns) >= 30
        assert all(type(ns) is int and ns > 0 for ns in run.samples_ns)
        assert run.latency == Latency.of(run.samples_ns)
        assert run.throughput_per_s == pytest.approx(1000 / run.latency.mean_ms)


def test_the_cold_start_is_measured_too(result: Bench) -> None:
    for run in result.runs:
        assert run.load_ms > 0
        assert run.first_ms > 0
        # An interpreter and numpy need some megabytes, and this file no hundreds.
        assert run.peak_rss_bytes is not None
        assert 5e6 < run.peak_rss_bytes < 2e9


def test_the_document_says_what_was_measured(result: Bench, runners: list[Runner]) -> None:
    document = json.loads(dumps(result.to_json()))
    assert document["schema"] == "edgekit.bench/1"
    for row, runner in zip(document["runs"], runners, strict=True):
        assert row["artifact"] == runner.artifact.to_json()
        assert row["backend"] == {"name": runner.backend.name, "version": runner.backend.version}
        assert row["threads"] == 1
        assert row["latency"]["count"] >= 30


def test_the_document_keeps_its_schema(result: Bench) -> None:
    jsonschema = needs.package("jsonschema")
    jsonschema.validate(json.loads(dumps(result.to_json())), json_schema("bench"))


def test_runners_take_turns(runners: list[Runner], monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[int] = []
    collecting: list[bool] = []

    def spied(position: int, runner: Runner) -> None:
        infer = runner.infer

        def infer_and_note(inputs: dict) -> dict:
            turns.append(position)
            collecting.append(gc.isenabled())
            return infer(inputs)

        monkeypatch.setattr(runner, "infer", infer_and_note)

    for position, runner in enumerate(runners):
        spied(position, runner)
    done = edgekit.benchmark(runners, seconds=0.2, warmup=1)
    timed = turns[len(runners) :]
    changes = np.count_nonzero(np.diff(timed))
    assert changes >= 4
    assert not any(collecting[len(runners) :])
    assert gc.isenabled()
    for position, run in enumerate(done.runs):
        # One call of each block brings the caches back and is not timed.
        assert len(run.samples_ns) < timed.count(position)


def test_progress_is_told(runners: list[Runner]) -> None:
    lines: list[str] = []
    edgekit.benchmark(runners[:1], seconds=0.01, progress=lines.append)
    assert FILES[0] in lines[0]


@pytest.mark.parametrize("seconds", [0, -1])
def test_no_time_is_refused(runners: list[Runner], seconds: float) -> None:
    with pytest.raises(UsageError, match=r"seconds: received .*, expected a positive time"):
        edgekit.benchmark(runners, seconds=seconds)


def test_no_runners_are_refused() -> None:
    with pytest.raises(UsageError, match="received no model, expected at least one"):
        edgekit.benchmark([])


def test_inputs_that_do_not_fit(runners: list[Runner]) -> None:
    with pytest.raises(TensorError, match="received shape"):
        edgekit.benchmark(runners[:1], inputs={"image": np.zeros((2, 2))}, seconds=0.01)


def test_a_file_that_went_away(models: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.int8.tflite"
    shutil.copy(models / "classifier.int8.tflite", path)
    with edgekit.load(path) as runner:
        path.unlink()
        with pytest.raises(ArtifactError, match=r"m\.int8\.tflite: a fresh process"):
            edgekit.benchmark([runner], seconds=0.01)


@pytest.mark.parametrize(
    "name",
    ["classifier.int8", "classifier.int16x8", "pair.float32", "tokens.float32", "kinds.float32"],
)
def test_random_inputs_fit_and_repeat(models: Path, name: str) -> None:
    with edgekit.load(models / f"{name}.tflite") as runner:
        inputs = random_inputs(runner)
        runner.infer(inputs)
        again = random_inputs(runner)
        assert all(np.array_equal(x, again[key]) for key, x in inputs.items())
        for spec in runner.inputs:
            if spec.quantization is not None:
                # They span the range, so that no kernel is timed on constants.
                assert np.ptp(inputs[spec.name]) > 100 * spec.quantization.scale[0]
