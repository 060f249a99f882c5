"""The search on a small network: limits on the file itself, and samples that served already."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgekit
from edgekit.drift.budget import DriftBudget
from edgekit.drift.limit import Limit
from edgekit.errors import BudgetError
from edgekit.samples import Samples

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]

SHAPE = (12,)


@pytest.fixture(scope="module")
def model() -> Any:
    """Weights enough that a file in integers is much smaller than one in float."""
    import keras

    keras.utils.set_random_seed(0)
    x = keras.Input(SHAPE, name="x")
    y = keras.layers.Dense(128, activation="relu")(x)
    y = keras.layers.Dense(96, activation="relu")(y)
    return keras.Model(x, keras.layers.Dense(2)(y), name="net")


def numbers(count: int, seed: int) -> Any:
    return np.random.default_rng(seed).normal(0, 1, (count, *SHAPE)).astype(np.float32)


def searched(model: Any, out: Path, limits: list[Limit], seed: int = 1) -> Any:
    x = numbers(200, seed)
    return edgekit.export(
        model,
        out=out,
        formats=["tflite"],
        budget=DriftBudget(limits=tuple(limits)),
        samples=Samples({"x": x}, model.predict(x, verbose=0)),
        calibration=numbers(200, 0),
    )


def test_a_file_that_is_too_large_does_not_stop_smaller_ones(model: Any, tmp_path: Path) -> None:
    exact = Limit("sqnr_db", at_least=20.0)
    small = Limit("size_bytes", at_most=30_000)
    (file,) = searched(model, tmp_path, [exact, small])
    assert file.path.stat().st_size <= 30_000


def test_no_file_is_small_enough(model: Any, tmp_path: Path) -> None:
    with pytest.raises(BudgetError, match=r"above the limit of 1,000 bytes"):
        searched(model, tmp_path / "out", [Limit("size_bytes", at_most=1_000)])
    assert not (tmp_path / "out").exists()


def test_samples_that_calibrated_are_warned_of(model: Any, tmp_path: Path) -> None:
    made = searched(model, tmp_path, [Limit("sqnr_db", at_least=20.0)], seed=0)
    assert any("samples that served for nothing else" in warning for warning in made.warnings)
    made = searched(model, tmp_path / "others", [Limit("sqnr_db", at_least=20.0)])
    assert not made.warnings
