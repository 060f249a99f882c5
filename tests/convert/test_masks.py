"""A mask value other than zero: what is compared with it is not rounded first."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import edgekit
from edgekit.errors import require
from edgekit.samples import Samples


@pytest.mark.slow
def test_int8_files_of_a_model_whose_padding_is_minus_one(tmp_path: Path) -> None:
    keras = require("keras", "export", "a test")
    keras.utils.set_random_seed(0)
    layers, wide = keras.layers, keras.initializers.RandomNormal(stddev=1.0)
    given = layers.Input((6, 3), name="x")
    y = layers.SimpleRNN(6)(layers.Masking(mask_value=-1.0)(given))
    model = keras.Model(given, layers.Dense(3, kernel_initializer=wide, name="y")(y))
    rng = np.random.default_rng(0)
    x = rng.normal(size=(260, 6, 3)).astype(np.float32)
    x[np.arange(6) >= rng.integers(2, 7, (260, 1))] = -1
    result = edgekit.export(
        model,
        out=tmp_path,
        files=["int8.tflite", "int8.onnx"],
        calibration=Samples({"x": x[:200]}),
    )
    expected = np.asarray(model(x[200:]), np.float64)
    assert [file.format for file in result] == ["tflite", "onnx"]
    for file in result:
        with edgekit.load(file.path) as runner:
            (found,) = runner.infer_batch({"x": x[200:]}).values()
        noise = np.square(found - expected).mean(0) / expected.var(0)
        # With the padding taken for values 2 dB were left.
        assert -10 * np.log10(noise.max()) > 15, file.name
