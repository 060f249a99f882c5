from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from support import needs

import edgekit
from edgekit.document import dumps, json_schema
from edgekit.errors import ArtifactError, TensorError, UsageError
from edgekit.runtime import measuring
from edgekit.runtime.bench import Bench
from edgekit.runtime.contestant import Contestant, Entry
from edgekit.runtime.latency import Latency
from edgekit.runtime.random_inputs import random_inputs
from edgekit.runtime.runner import Runner

# They start processes.
pytestmark = pytest.mark.processes

FILES = ("classifier.float32.tflite", "classifier.int8.tflite")


@pytest.fixture(scope="module")
def runners(models: Path) -> Iterator[list[Runner]]:
    loaded = [edgekit.load(models / name) for name in FILES]
    yield loaded
    for runner in loaded:
        runner.close()


@pytest.fixture(scope="module")
def result(runners: list[Runner]) -> Bench:
    return edgekit.benchmark(runners, seconds=0.05, processes=2)


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


def test_others_are_held_against_the_first_file(result: Bench) -> None:
    first, second = result.runs
    assert first.relative is None
    assert second.relative is not None
    assert second.relative.to == first.artifact.file
    assert len(first.medians_ms) == len(second.medians_ms) == len(first.loads_ms) == 2
    assert second.relative.low is not None


def test_each_file_has_processes_of_its_own(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    known = measuring.contestant
    monkeypatch.setattr(
        measuring,
        "contestant",
        lambda entry: started.append(entry.artifact.name) or known(entry),
    )
    edgekit.benchmark([models / name for name in FILES], seconds=0.01, processes=3)
    assert sorted(started) == sorted([*FILES] * 3)


def test_as_many_at_once_as_there_is_memory_for(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive, most = [0], [0]
    known = measuring.contestant

    @contextmanager
    def counted(entry: Entry) -> Iterator[Contestant]:
        with known(entry) as seated:
            alive[0] += 1
            most[0] = max(most[0], alive[0])
            yield seated
            alive[0] -= 1

    monkeypatch.setattr(measuring, "contestant", counted)
    monkeypatch.setattr(measuring.linux, "memory", lambda _: (1 << 29, 1 << 20, None))
    files = [models / name for name in (*FILES, "classifier.dynamic.tflite")]
    done = edgekit.benchmark(files, seconds=0.01, processes=2)
    # The first, and one beside it.
    assert most == [2]
    assert [len(run.medians_ms) for run in done.runs] == [4, 2, 2]
    assert all(run.relative is not None for run in done.runs[1:])


def test_time_is_kept_however_fast_a_file_is(models: Path) -> None:
    done = edgekit.benchmark(models / FILES[1], seconds=0.6, processes=2)
    assert sum(done.runs[0].samples_ns) >= 0.6e9


def test_one_that_fails_is_a_row_and_the_others_are_timed(models: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.int8.tflite"
    shutil.copy(models / "classifier.int8.tflite", path)
    with edgekit.load(path) as gone:
        path.unlink()
        done = edgekit.benchmark(
            [gone, models / FILES[0], models / FILES[1]], seconds=0.01, processes=2
        )
    assert [failure.file for failure in done.failures] == [str(path)]
    assert [run.artifact.name for run in done.runs] == list(FILES)
    # What was to be held against it is held against the next.
    assert done.runs[0].relative is None
    assert done.runs[1].relative is not None


def test_progress_is_told(runners: list[Runner]) -> None:
    lines: list[str] = []
    edgekit.benchmark(runners[:1], seconds=0.01, progress=lines.append)
    assert lines[0] == "timing 1 files in turns: 1 of 5"


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
        with pytest.raises(ArtifactError, match=r"m\.int8\.tflite"):
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
