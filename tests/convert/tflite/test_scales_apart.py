"""Tables whose columns have units of their own, behind a batch normalisation that the first layer takes in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from support.refusal_kinds import kind_of

import edgekit
from edgekit.convert.refusals import load_reason
from edgekit.errors import ArtifactError
from edgekit.samples import Samples


def test_int8_that_xnnpack_takes_no_scales_of_leaves_the_layer_in_float(tmp_path: Path) -> None:
    import keras

    layers = keras.layers
    sizes = np.array([1, 300, 1e-3, 0.01, 1e4, 1, 1, 5])
    x = keras.Input((8,), name="x")
    normal = layers.BatchNormalization()
    y = layers.Dense(16, activation="relu", bias_initializer="ones")(normal(x))
    model = keras.Model(x, layers.Dense(3, name="y")(y))
    normal.moving_variance.assign(np.square(sizes))
    given = np.random.default_rng(0).normal(0, sizes, (128, 8)).astype(np.float32)
    (file,) = edgekit.export(
        model,
        out=tmp_path,
        files=["int8.tflite"],
        calibration=Samples({"x": given}),
        cache=False,
    )
    expected = model.predict(given, verbose=0)
    with edgekit.load(file.path) as runner:
        (answers,) = runner.infer_batch({"x": given}).values()
    noise = np.square(answers - expected).mean(0) / expected.var(0)
    assert -10 * np.log10(noise.max()) > 20


def test_what_xnnpack_says_is_no_operator() -> None:
    said = "Node number 3 (TfLiteXNNPackDelegate) failed to prepare."
    reason = load_reason(ArtifactError(said), "int8", ["a", "b", "c", "d"])
    assert kind_of(reason) == "scales too far apart"
