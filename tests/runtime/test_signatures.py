"""A file with several ways in, two of which share a variable that begins with 10 and 20."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.backends import backends

import edgekit
from edgekit.cli import main
from edgekit.errors import ArtifactError, UsageError
from edgekit.runtime.runner import Runner

ONE = {"amount": np.ones((1, 2), np.float32)}


@pytest.fixture(params=backends(".tflite"))
def ledger(request: pytest.FixtureRequest, models: Path) -> Iterator[Runner]:
    with edgekit.load(models / "ledger.float32.tflite", backend=request.param) as runner:
        yield runner


def total(runner: Runner) -> list[float]:
    return runner.with_signature("read").infer({})["total"][0].tolist()


def test_signatures_are_named(ledger: Runner) -> None:
    assert set(ledger.signatures) == {"add", "read", "double"}
    # Without one called serving_default the first is taken.
    assert ledger.signature == ledger.signatures[0]
    double = ledger.with_signature("double")
    assert double.signature == "double"
    assert [(spec.name, spec.shape) for spec in double.inputs] == [("x", (1, 3))]
    assert [spec.name for spec in double.outputs] == ["twice"]
    assert ledger.with_signature("read").inputs == ()
    assert ledger.with_signature("double") is double
    assert double.with_signature(ledger.signature) is ledger


def test_an_unknown_signature_names_the_nearest(ledger: Runner) -> None:
    with pytest.raises(UsageError, match=r"'duble' is not in the file.* Did you mean 'double'\?"):
        ledger.with_signature("duble")


def test_a_file_without_signatures_says_so(models: Path) -> None:
    with (
        edgekit.load(models / "unsigned.float32.tflite") as runner,
        pytest.raises(UsageError, match="expected one of none: it has no signatures"),
    ):
        runner.with_signature("serving_default")


def test_state_is_shared(ledger: Runner) -> None:
    add = ledger.with_signature("add")
    assert total(ledger) == [10, 20]
    assert add.infer(ONE)["total"].tolist() == [[11, 21]]
    assert add.infer_raw(ONE)["total"].tolist() == [[12, 22]]
    assert total(ledger) == [12, 22]
    assert total(add) == [12, 22]


def test_reset_from_any_signature_resets_all(ledger: Runner) -> None:
    add, double = ledger.with_signature("add"), ledger.with_signature("double")
    add.infer(ONE)
    double.reset()
    assert total(ledger) == [10, 20]
    assert add.infer(ONE)["total"].tolist() == [[11, 21]]
    assert list(add.stream([ONE, ONE]))[-1]["total"].tolist() == [[12, 22]]
    assert list(add.stream([ONE]))[-1]["total"].tolist() == [[11, 21]]


def test_closing_one_closes_all(ledger: Runner) -> None:
    double = ledger.with_signature("double")
    double.infer({"x": np.ones((1, 3), np.float32)})
    ledger.with_signature("read").close()
    for runner, inputs in ((double, {"x": np.ones((1, 3), np.float32)}), (ledger, ONE)):
        with pytest.raises(ArtifactError, match="the runner is closed"):
            runner.infer(inputs)
        with pytest.raises(ArtifactError, match="the runner is closed"):
            runner.reset()
    with pytest.raises(ArtifactError, match="the runner is closed"):
        double.with_signature("add")


def test_threads_take_turns_on_two_signatures(ledger: Runner) -> None:
    add, double = ledger.with_signature("add"), ledger.with_signature("double")
    wrong = []

    def count() -> None:
        for _ in range(100):
            add.infer(ONE)

    def compute() -> None:
        for number in range(100):
            x = np.full((1, 3), number, np.float32)
            if not np.array_equal(double.infer({"x": x})["twice"], 2 * x):
                wrong.append(number)

    threads = [threading.Thread(target=work) for work in (count, compute, count, compute)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert total(ledger) == [210, 220]


def test_workers_take_the_signature_of_their_runner(models: Path) -> None:
    # Without state: classifier has one signature, and workers have it too.
    with edgekit.load(models / "pair.float32.tflite") as loaded:
        runner = loaded.with_signature("serving_default")
        items = [
            {name: np.full((1, 2, 2, 3), i, np.float32) for name in ("left", "right")}
            for i in range(80)
        ]
        for alone, other in zip(runner.map(items), runner.map(items, workers=2), strict=True):
            assert all(np.array_equal(alone[name], other[name]) for name in alone)


@pytest.mark.parametrize("file", ["ledger.float32.tflite", "counter.float32.tflite"])
def test_a_file_that_keeps_state_has_one_worker(models: Path, file: str) -> None:
    with edgekit.load(models / file) as runner:
        inputs = {spec.name: np.ones(spec.shape, np.float32) for spec in runner.inputs}
        for call in (
            lambda: runner.map([inputs], workers=2),
            lambda: runner.infer_batch(inputs, workers=2),
        ):
            with pytest.raises(
                UsageError, match=r"workers: received 2, expected 1: .* keeps state"
            ):
                call()
        assert len(list(runner.map([inputs] * 3))) == 3


def test_verifying_runs_every_signature(models: Path) -> None:
    with edgekit.load(models / "ledger.float32.tflite", verify=True) as runner:
        assert total(runner) == [10, 20]


def test_the_command_takes_a_signature(
    models: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    x = np.arange(12, dtype=np.float32).reshape(4, 3)
    np.savez(tmp_path / "samples.npz", x=x)
    words = [str(models / "ledger.float32.tflite"), "--samples", str(tmp_path / "samples.npz")]
    out = tmp_path / "out.npz"
    assert main(["run", *words, "-o", str(out), "--signature", "double"]) == 0
    with np.load(out) as answers:
        assert np.array_equal(answers["twice"], 2 * x)
    assert main(["run", *words, "-o", str(tmp_path / "o.npz"), "--signature", "doubel"]) == 2
    assert "Did you mean 'double'?" in capfd.readouterr().err
