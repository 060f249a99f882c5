"""150,528 values of a photograph go straight into the interpreter's memory."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import edgekit
from edgekit.errors import ArtifactError, RangeWarning, TensorError
from edgekit.runtime.runner import Runner
from edgekit.tensor import dequantize, quantize

SHAPE = (1, 224, 224, 3)


@pytest.fixture
def runner(models: Path, interpreter: str) -> Iterator[Runner]:
    with edgekit.load(models / "pixels.int8.tflite", backend=interpreter) as loaded:
        yield loaded


def photograph(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(SHAPE, np.float32)


def by_raw(runner: Runner, x: np.ndarray) -> np.ndarray:
    (into,), (out,) = runner.inputs, runner.outputs
    raw = runner.infer_raw({"image": quantize(x, into.quantization, into.dtype)})
    return dequantize(raw["mean"], out.quantization)


@pytest.mark.filterwarnings("ignore::edgekit.errors.RangeWarning")
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "uint8"])
def test_it_is_quantised_by_the_formula(runner: Runner, dtype: str) -> None:
    for seed in range(3):
        x = (photograph(seed) + seed / 8).astype(dtype)
        answer = runner.infer({"image": x})["mean"]
        assert np.array_equal(answer, by_raw(runner, x))
        strided = np.repeat(x, 2, axis=2)[:, :, ::2]
        assert np.array_equal(runner.infer({"image": strided})["mean"], answer)
    assert photograph().mean() == pytest.approx(
        runner.infer({"image": photograph()})["mean"][0], abs=0.01
    )


def test_what_is_clipped_is_clipped(runner: Runner) -> None:
    x = photograph()
    x[0, :20] = 1e9
    x[0, 20:22] = -np.inf
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RangeWarning)
        answer = runner.infer({"image": x})["mean"]
    assert np.array_equal(answer, by_raw(runner, x))


def test_nan_is_refused_and_forgotten(runner: Runner) -> None:
    x = photograph()
    expected = runner.infer({"image": x})["mean"]
    broken = x.copy()
    broken[0, 100, 100, 1] = np.nan
    with pytest.raises(TensorError, match="input 'image': holds NaN") as caught:
        runner.infer({"image": broken})
    # A traceback that is kept does not hold the interpreter's memory.
    assert caught.tb is not None
    assert np.array_equal(runner.infer({"image": x})["mean"], expected)


def test_it_closes(models: Path, interpreter: str) -> None:
    runner = edgekit.load(models / "pixels.int8.tflite", backend=interpreter)
    x = photograph()
    runner.infer({"image": x})
    runner.close()
    with pytest.raises(ArtifactError, match="the runner is closed"):
        runner.infer({"image": x})


def test_several_runners_have_memory_of_their_own(runner: Runner, models: Path) -> None:
    with edgekit.load(models / "pixels.int8.tflite", backend=runner.backend.name) as other:
        dark, bright = np.zeros(SHAPE, np.float32), np.ones(SHAPE, np.float32)
        for _ in range(3):
            assert runner.infer({"image": dark})["mean"].max() < 0.01
            assert other.infer({"image": bright})["mean"].min() > 0.98
    items = [{"image": np.full(SHAPE, v, np.float32)} for v in np.linspace(0, 1, 9)]
    means = [x["mean"][0, 0] for x in runner.map(items, workers=2)]
    np.testing.assert_allclose(means, np.linspace(0, 1, 9), atol=0.01)


def test_raw_values_are_left_alone(runner: Runner) -> None:
    q = np.full(SHAPE, -128, np.int8)
    runner.infer({"image": photograph()})
    assert runner.infer_raw({"image": q})["mean"].tolist() == [[-128] * 3]
    assert (q == -128).all()
