"""Data in another range than the file was calibrated on is pointed out, once."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import edgekit
from edgekit.cli import main
from edgekit.errors import RangeWarning

# One wide enough for the interpreter's memory, one small, one with two inputs.
FILES = {"pixels.int8.tflite": 255, "classifier.int8.tflite": 100, "pair.int8.tflite": 1000}


def inputs_of(runner: edgekit.Runner, high: float) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {s.name: rng.random(s.shape, np.float32) * np.float32(high) for s in runner.inputs}


@pytest.mark.parametrize(("file", "high"), FILES.items())
def test_it_is_said_once_and_points_to_the_caller(
    models: Path, interpreter: str, file: str, high: float
) -> None:
    with (
        edgekit.load(models / file, backend=interpreter) as runner,
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.simplefilter("always")
        inputs = inputs_of(runner, high)
        runner.infer(inputs)
        runner.infer(inputs)
        said = [w for w in caught if w.category is RangeWarning]
        assert len(said) == len(runner.inputs)
        for warning, spec in zip(said, runner.inputs, strict=True):
            assert warning.filename == __file__
            assert f"input {spec.name!r}: " in str(warning.message)
            assert "% of the values are clipped: the file takes " in str(warning.message)


def test_share_and_range_are_told(models: Path) -> None:
    x = np.zeros((1, 224, 224, 3), np.float32)
    x[:, :56] = 255
    with (
        edgekit.load(models / "pixels.int8.tflite") as runner,
        pytest.warns(
            RangeWarning,
            match="input 'image': 25% of the values are clipped: the file takes 0 to 1",
        ),
    ):
        runner.infer({"image": x})


@pytest.mark.parametrize("file", FILES)
def test_outliers_are_no_other_range(models: Path, recorded: Callable, file: str) -> None:  # noqa: ARG001
    with edgekit.load(models / file) as runner, warnings.catch_warnings():
        warnings.simplefilter("error")
        inputs = inputs_of(runner, 0.9)
        for x in inputs.values():
            x.reshape(-1)[: int(x.size * 0.02)] = 1e6
        runner.infer(inputs)


@pytest.fixture
def samples(models: Path, tmp_path: Path) -> Path:  # noqa: ARG001
    np.savez(tmp_path / "x.npz", x=np.random.default_rng(0).random((4, 8, 8, 1), np.float32) * 255)
    return tmp_path / "x.npz"


def test_commands_say_it_in_one_line(
    models: Path, samples: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    int8, golden = str(models / "classifier.int8.tflite"), str(tmp_path / "golden.npz")
    original = str(models / "classifier.float32.tflite")
    assert main(["golden", original, "--samples", str(samples), "-o", golden]) == 0
    assert "warning" not in capfd.readouterr().err
    for words in (
        ["run", int8, "--samples", str(samples), "-o", str(tmp_path / "out.npz")],
        ["compare", int8, "--golden", golden, "--allow-setup"],
    ):
        assert main(words) == 0
        said = [line for line in capfd.readouterr().err.splitlines() if "clipped" in line]
        assert len(said) == 1
        assert said[0].startswith("warning: input 'image': ")
        assert said[0].endswith("(Said once.)")
