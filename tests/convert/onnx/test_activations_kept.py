"""An activation that the quantiser leaves to the rounding stays where nothing is rounded any more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgekit
from edgekit.errors import require
from edgekit.metrics.distances import sqnr_db
from edgekit.samples import Samples


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("activation", "highest"), [("relu", np.inf), ("relu6", 6.0)])
def test_behind_a_last_dense_layer(
    tmp_path: Path, activation: str, highest: float, bias: bool
) -> None:
    keras: Any = require("keras", "export", "a test")
    keras.utils.set_random_seed(0)
    wide = keras.initializers.RandomNormal(stddev=1.0)
    given = keras.layers.Input((12,), name="x")
    dense = keras.layers.Dense(
        8, activation=activation, use_bias=bias, kernel_initializer=wide, name="y"
    )
    model = keras.Model(given, dense(given))
    x = np.random.default_rng(0).standard_normal((300, 12)).astype(np.float32)
    (file,) = edgekit.export(
        model, out=tmp_path, files=["int8.onnx"], calibration=Samples({"x": x})
    )
    with edgekit.load(file) as runner:
        answers = runner.infer_batch({"x": x})["y"]
    assert answers.min() == 0
    assert answers.max() <= highest + 1e-6
    assert sqnr_db(model(x).numpy(), answers) > 30
