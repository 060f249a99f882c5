"""Seeded inputs are such as the model may well be given."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.calibration.seeded import seeded
from edgekit.errors import require
from edgekit.models.objects import from_object

FLAVOURS = ["keras", "tf_keras"]


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_ids_lie_in_the_table_that_they_are_looked_up_in(flavour: str, dtype: str) -> None:
    keras = require(flavour, "export", "a test")
    given = keras.layers.Input((6,), dtype=dtype, name="ids")
    x = keras.layers.Reshape((3, 2))(given)
    table = keras.layers.Embedding(300, 2)(x)
    model = keras.Model(given, keras.layers.Flatten()(table))
    ids = seeded(from_object(model), 64).inputs["ids"]
    assert ids.shape == (64, 6)
    assert ids.dtype == dtype
    assert np.array_equal(ids, np.floor(ids))
    assert 250 < ids.max() < 300


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_float_values_are_as_the_first_layers_expect_them(flavour: str) -> None:
    keras = require(flavour, "export", "a test")
    layers = keras.layers
    pixels, series, plain = (
        layers.Input(shape, name=name)
        for name, shape in (("pixels", (8, 8, 3)), ("series", (50, 2)), ("plain", (40,)))
    )
    normal = layers.Normalization(mean=[100.0, -5.0], variance=[4.0, 0.25])
    parts = [
        layers.Flatten()(layers.Rescaling(1 / 127.5, offset=-1)(pixels)),
        layers.Flatten()(normal(series)),
        plain,
    ]
    model = keras.Model([pixels, series, plain], layers.Concatenate()(parts))
    made = seeded(from_object(model), 64).inputs
    assert made["pixels"].min() >= 0
    assert 100 < made["pixels"].mean() < 150
    assert made["pixels"].max() <= 255
    assert made["series"].mean((0, 1)) == pytest.approx([100, -5], abs=0.2)
    assert made["series"].std((0, 1)) == pytest.approx([2, 0.5], rel=0.1)
    assert made["plain"].std() == pytest.approx(1, rel=0.1)


def test_a_model_inside_a_model_is_asked_too() -> None:
    keras = require("keras", "export", "a test")
    inner = keras.Sequential([keras.layers.Input((4,)), keras.layers.Rescaling(1 / 255)])
    outer = keras.layers.Input((4,), name="x")
    model = keras.Model(outer, keras.layers.Dense(2)(inner(outer)))
    assert seeded(from_object(model), 64).inputs["x"].max() > 100


def test_inputs_are_the_same_each_time() -> None:
    keras = require("keras", "export", "a test")
    source = from_object(keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2)]))
    first, second = seeded(source, 8), seeded(source, 8)
    for name, x in first.inputs.items():
        assert np.array_equal(x, second.inputs[name])
