from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edgekit.artifact import Artifact
from edgekit.errors import UsageError
from edgekit.runtime.baseline import changes
from edgekit.runtime.bench import Bench, Run
from edgekit.runtime.host import HostState
from edgekit.runtime.latency import Latency
from edgekit.runtime.runner import Backend

STEADY = (1.0, 1.01, 0.99, 1.0, 1.0)


def bench(models: Path, medians: tuple[float, ...] = STEADY, **more: object) -> Bench:
    file = Artifact.of(models / "classifier.int8.tflite")
    latency = Latency.of([1000, 1200])
    run = Run(file, Backend("litert", "2.1"), 1, None, 1.0, 2.0, latency, 900.0, None)
    return replace(
        Bench(HostState.read(), (), (replace(run, medians_ms=medians),)),
        **more,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("factor", "verdict"), [(1.0, "pass"), (0.7, "pass"), (1.2, "fail"), (1.05, "inconclusive")]
)
def test_slower_than_allowed(models: Path, factor: float, verdict: str) -> None:
    now = bench(models, tuple(factor * ms for ms in STEADY))
    (change,) = changes(now, bench(models), 0.05)
    assert change.verdict == verdict
    assert change.ratio == pytest.approx(factor)
    assert change.low < factor < change.high


def test_a_disturbed_machine_proves_nothing(models: Path) -> None:
    now = bench(models, disturbed=("the clock went down",))
    assert changes(now, bench(models), 0.05)[0].verdict == "inconclusive"
    assert changes(bench(models), now, 0.05)[0].verdict == "inconclusive"


def test_another_machine_is_refused(models: Path) -> None:
    other = bench(models, host=replace(HostState.read(), cpu="Cortex-A53"))
    with pytest.raises(UsageError, match="its cpu is 'Cortex-A53', and here it is"):
        changes(bench(models), other, 0.05)


def test_other_settings_are_refused(models: Path) -> None:
    then = bench(models)
    then = replace(then, runs=(replace(then.runs[0], threads=4),))
    with pytest.raises(UsageError, match="ran there with threads 4, and here with 1"):
        changes(bench(models), then, 0.05)


def test_no_file_in_common(models: Path) -> None:
    then = bench(models)
    file = Artifact.of(models / "classifier.float32.tflite")
    then = replace(then, runs=(replace(then.runs[0], artifact=file),))
    with pytest.raises(UsageError, match=r"none of the files classifier\.int8\.tflite; it has"):
        changes(bench(models), then, 0.05)


def test_a_single_process_is_no_baseline(models: Path) -> None:
    with pytest.raises(UsageError, match="was not timed in two processes"):
        changes(bench(models), bench(models, (1.0,)), 0.05)
