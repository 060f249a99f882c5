"""Samples of another scale than the model's own, or of one class, are told without labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgekit.convert.check.plausible import implausible
from edgekit.convert.check.reference import Reference
from edgekit.errors import require
from edgekit.models.objects import from_object
from edgekit.samples import Samples

FLAVOURS = ["keras", "tf_keras"]


def pixels(count: int = 64) -> np.ndarray:
    return np.random.default_rng(0).random((count, 6, 6, 3)).astype(np.float32)


def with_statistics(flavour: str) -> Any:
    """A convolution and a batch normalisation that saw pixels from 0 to 1."""
    keras = require(flavour, "export", "a test")
    keras.utils.set_random_seed(0)
    given = keras.layers.Input((6, 6, 3), name="image")
    x = keras.layers.Conv2D(4, 3, name="conv")(given)
    normal = keras.layers.BatchNormalization(name="normal")
    model = keras.Model(given, keras.layers.GlobalAveragePooling2D()(normal(x)))
    inner = keras.Model(given, x)
    seen = np.asarray(inner(pixels()))
    normal.moving_mean.assign(seen.mean((0, 1, 2)))
    normal.moving_variance.assign(seen.var((0, 1, 2)))
    return model


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_pixels_of_another_scale(flavour: str) -> None:
    source = from_object(with_statistics(flavour))

    def said(factor: float) -> tuple[str, ...]:
        return implausible(Reference(source, Samples({"image": pixels() * np.float32(factor)})))

    assert said(1) == ()
    assert said(3) == ()
    (large,) = said(255)
    assert "layer 'normal' is 2" in large
    assert "times larger than what the layer was trained on" in large
    (small,) = said(1 / 255)
    assert "times smaller" in small


def test_a_layer_that_learned_nothing_says_nothing() -> None:
    keras = require("keras", "export", "a test")
    given = keras.layers.Input((6, 6, 3), name="image")
    model = keras.Model(given, keras.layers.BatchNormalization()(given))
    assert implausible(Reference(from_object(model), Samples({"image": pixels() * 255}))) == ()


def test_an_adapted_normalisation() -> None:
    keras = require("keras", "export", "a test")
    given = keras.layers.Input((4,), name="x")
    normal = keras.layers.Normalization(mean=[1000.0] * 4, variance=[100.0] * 4)
    source = from_object(keras.Model(given, keras.layers.Dense(2)(normal(given))))
    x = np.random.default_rng(0).normal(1000, 10, (64, 4)).astype(np.float32)
    assert implausible(Reference(source, Samples({"x": x}))) == ()
    (line,) = implausible(Reference(source, Samples({"x": x / 255})))
    assert "255 times smaller" in line


def test_samples_of_one_class() -> None:
    keras = require("keras", "export", "a test")
    given = keras.layers.Input((3,), name="x")
    source = from_object(keras.Model(given, keras.layers.Softmax(name="scores")(given)))
    sure = np.eye(3, dtype=np.float32)[np.arange(64) % 3] * 9
    assert implausible(Reference(source, Samples({"x": sure}))) == ()
    (line,) = implausible(Reference(source, Samples({"x": sure[[1] * 64]})))
    assert "class 1 to all 64 that were looked at (output 'scores')" in line
    # One that is sure of nothing, as before training.
    assert implausible(Reference(source, Samples({"x": sure[[1] * 64] / 30}))) == ()


def test_nothing_is_said_of_seeded_inputs() -> None:
    assert implausible(Reference(from_object(with_statistics("keras")))) == ()
