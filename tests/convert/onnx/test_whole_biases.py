"""Whole biases: a number for all outputs becomes a number for each."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import edgekit
from edgekit.samples import Samples


def test_int8_of_dense_layers_that_one_number_is_added_to(tmp_path: Path) -> None:
    import keras

    x = keras.Input((6,), name="x")
    dense = keras.layers.Dense(5, use_bias=False)
    y = dense(x) + 2.0
    model = keras.Model(x, keras.layers.Dense(3, use_bias=False, name="y")(y) - 1.0)
    samples = {"x": np.random.default_rng(0).normal(0, 1, (64, 6)).astype(np.float32)}
    (file,) = edgekit.export(
        model,
        out=tmp_path,
        formats=["onnx"],
        schemes=["int8"],
        calibration=Samples(samples),
    )
    wanted = model.predict(samples["x"], verbose=0)
    with edgekit.load(file.path) as runner:
        (answers,) = runner.infer_batch(samples).values()
    assert 20 * np.log10(wanted.std() / (answers - wanted).std()) > 25
