"""What brings an output to the user's unit is computed in float32, in a float16 file too."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import edgekit
from edgekit.errors import require
from edgekit.samples import Samples


def test_degrees_keep_their_digits(tmp_path: Path) -> None:
    keras = require("keras", "export", "a test")
    keras.utils.set_random_seed(0)
    given = keras.Input((12,), name="x")
    y = keras.layers.Dense(2)(keras.layers.Dense(16, activation="relu")(given))
    y = keras.layers.Rescaling([0.01, 0.02], [52.3, 4.9], name="position")(y)
    model = keras.Model(given, y)
    x = np.random.default_rng(0).normal(size=(80, 12)).astype(np.float32)
    result = edgekit.export(
        model, out=tmp_path, files=["float16.onnx"], calibration=Samples({"x": x[:64]})
    )
    assert not result.warnings
    expected = np.asarray(model(x[64:]))
    with edgekit.load(tmp_path / result[0].path) as runner:
        (found,) = runner.infer_batch({"x": x[64:]}).values()
    # Half precision of all of it would be off by up to 0.016.
    assert np.abs(found - expected).max() < 1e-4
