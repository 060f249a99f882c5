"""Smooth activations in integers: unbounded inner values of theirs leave no steps to the others."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import edgekit
from edgekit.samples import Samples

_ACTIVATIONS = ("log_sigmoid", "mish", "selu", "softplus")


def test_integers_follow_smooth_activations(tmp_path: Path) -> None:
    import keras

    keras.utils.set_random_seed(0)
    wide = keras.initializers.RandomNormal(0, 0.5)
    x = keras.Input((8, 8, 2), name="x")
    y = keras.layers.Conv2D(4, 3, activation="mish", kernel_initializer=wide)(x)
    model = keras.Model(
        x, {name: keras.layers.Conv2D(3, 3, activation=name)(y) for name in _ACTIVATIONS}
    )
    samples = {"x": np.random.default_rng(0).normal(0, 2, (64, 8, 8, 2)).astype(np.float32)}
    files = edgekit.export(
        model,
        out=tmp_path,
        formats=["tflite"],
        schemes=["int8", "int16x8"],
        calibration=Samples(samples),
    )
    wanted = model.predict(samples["x"], verbose=0)
    for file, least in zip(files, (22, 35), strict=True):
        with edgekit.load(file.path) as runner:
            answers = runner.infer_batch(samples)
        for name in _ACTIVATIONS:
            error = answers[name] - wanted[name]
            sqnr = 20 * np.log10(wanted[name].std() / error.std())
            assert sqnr > least, (file.scheme, name, sqnr)
