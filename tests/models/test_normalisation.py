"""What a first layer with statistics of its own says of samples."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgekit.errors import require
from edgekit.runtime import load


def model(flavour: str) -> Any:
    """A batch normalisation that saw values of mean 2 and standard deviation 0.5."""
    keras = require(flavour, "export", "a test")
    given = keras.layers.Input((5, 3), name="x")
    normal = keras.layers.BatchNormalization(name="normal")
    made = keras.Model(given, keras.layers.Dense(2)(normal(given)))
    normal.moving_mean.assign([2.0, 2.0, 2.0])
    normal.moving_variance.assign([0.25, 0.25, 0.25])
    return made


def samples() -> np.ndarray:
    return np.random.default_rng(0).normal(2, 0.5, (32, 5, 3)).astype(np.float32)


@pytest.mark.parametrize("flavour", ["keras", "tf_keras"])
def test_samples_beside_what_was_learned(flavour: str) -> None:
    with load(model(flavour)) as runner:
        (layer, times, shift) = runner.normalisation({"x": samples()}) or ("", 0.0, 0.0)
        assert layer == "normal"
        assert times == pytest.approx(1, abs=0.1)
        assert shift < 0.3
        (_, times, shift) = runner.normalisation({"x": samples() * 10}) or ("", 0.0, 0.0)
        assert times == pytest.approx(10, rel=0.1)
        assert shift == pytest.approx((20 - 2) / 0.5, rel=0.1)


def test_files_and_plain_models_say_nothing(models: Any) -> None:
    keras = require("keras", "export", "a test")
    plain = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)])
    for each in (plain, models / "classifier.int8.tflite"):
        with load(each) as runner:
            (spec,) = runner.inputs
            x = np.zeros(spec.concrete_shape(), np.float32)
            assert runner.normalisation({spec.name: x}) is None


@pytest.mark.parametrize("flavour", ["keras", "tf_keras"])
@pytest.mark.parametrize("kind", ["batch", "columns", "one for all"])
def test_channels_that_do_not_come_last(flavour: str, kind: str) -> None:
    keras = require(flavour, "export", "a test")
    given = keras.layers.Input((5, 3), name="x")
    means = np.array([2.0, 20.0, 200.0, 2000.0, 20000.0])
    if kind == "batch":
        layer = keras.layers.BatchNormalization(axis=1, name="normal")
    elif kind == "columns":
        layer = keras.layers.Normalization(axis=1, mean=means, variance=means**2, name="normal")
    else:
        layer = keras.layers.Normalization(axis=None, mean=2.0, variance=4.0, name="normal")
    made = keras.Model(given, keras.layers.Dense(2)(layer(given)))
    if kind == "batch":
        layer.moving_mean.assign(means)
        layer.moving_variance.assign(means**2)
    size = np.full((5, 1), 2.0) if kind == "one for all" else means[:, None]
    x = (size * np.random.default_rng(0).normal(1, 1, (32, 5, 3))).astype(np.float32)
    with load(made) as runner:
        name, times, shift = runner.normalisation({"x": x}) or ("", 0.0, 0.0)
    assert name == "normal"
    assert times == pytest.approx(1, abs=0.2)
    assert shift < 0.3
