"""Inputs generated from batch normalisations: they have its statistics, and stand in for samples."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgekit
from edgekit.calibration.generated import can_generate, enough, generated
from edgekit.calibration.seeded import seeded
from edgekit.errors import UsageError
from edgekit.models import load
from edgekit.models.source import SourceModel
from edgekit.samples import Samples

pytestmark = pytest.mark.tensorflow


def blurred(count: int, seed: int) -> Any:
    """Images that hang together, far from noise around zero."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, 12, 12, 3))
    for axis in (1, 2):
        x = (x + np.roll(x, 1, axis) + np.roll(x, 2, axis)) / 2
    return (x + np.array([3.0, -2.0, 8.0])).astype(np.float32)


def net(flavour: str = "keras") -> Any:
    """A network with a model in the model, whose normalisations have learned `blurred`'s statistics."""
    if flavour == "keras":
        import keras
    else:
        import tf_keras as keras
    keras.utils.set_random_seed(3)
    inner = keras.Sequential(
        [
            keras.layers.Input((12, 12, 8)),
            keras.layers.DepthwiseConv2D(3),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
        ]
    )
    inputs = keras.Input((12, 12, 3), name="image")
    x = keras.layers.Conv2D(8, 3, padding="same")(inputs)
    x = keras.layers.BatchNormalization(momentum=0.5)(x)
    x = inner(keras.layers.ReLU()(x))
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(5, name="scores")(x))
    for layer in model._flatten_layers():
        if type(layer).__name__ == "BatchNormalization":
            layer.momentum = 0.5
    for seed in range(12):
        model(blurred(64, seed), training=True)
    return model


@pytest.fixture(scope="module", params=["keras", "tf_keras"])
def source(request: pytest.FixtureRequest, tmp_path_factory: Any) -> SourceModel:
    path = tmp_path_factory.mktemp("generated") / "net.keras"
    net(request.param).save(path)
    return load(path)


def listening(seen: list[Any], own: Any, x: Any, **given: Any) -> Any:
    seen.append(x)
    return own(x, **given)


def reached(source: SourceModel, samples: Samples) -> list[float]:
    """Of each normalisation, how far means are off in units of the learned deviations (root mean square)."""
    import tensorflow as tf

    found = []
    for layer in source.model._flatten_layers():
        if type(layer).__name__ != "BatchNormalization":
            continue
        seen: list[Any] = []
        own = layer.call
        layer.call = partial(listening, seen, own)
        try:
            source.call({n: tf.constant(x) for n, x in samples.inputs.items()})
        finally:
            layer.call = own
        values = np.asarray(seen[0]).reshape(-1, seen[0].shape[-1])
        off = (values.mean(0) - np.asarray(layer.moving_mean)) / np.sqrt(layer.moving_variance)
        found.append(float(np.sqrt(np.mean(off**2))))
    return found


def test_what_reaches_each_normalisation_has_its_statistics(source: SourceModel) -> None:
    made = generated(source, 20)
    assert made is not None
    assert {n: x.shape for n, x in made.inputs.items()} == {"image": (20, 12, 12, 3)}
    assert made.inputs["image"].dtype == np.float32
    before, after = reached(source, seeded(source, 20)), reached(source, made)
    assert len(after) == 2
    assert max(before) > 1
    assert max(after) < 0.5
    again = generated(source, 20)
    assert again is not None
    np.testing.assert_allclose(again.inputs["image"], made.inputs["image"], atol=1e-3)


def test_layers_call_what_they_called_before(source: SourceModel) -> None:
    x = blurred(4, 1)
    before = source.model(x)
    generated(source, 4)
    assert all("call" not in vars(layer) for layer in source.model._flatten_layers())
    np.testing.assert_array_equal(source.model(x), before)


def test_few_samples_are_completed_and_enough_ones_left(source: SourceModel) -> None:
    told: list[str] = []
    few = Samples({"image": blurred(10, 5)})
    completed, warnings = enough(source, few, told.append)
    assert completed is not None
    assert len(completed) == 64
    np.testing.assert_array_equal(completed.inputs["image"][:10], few.inputs["image"])
    assert told == ["generate 54 inputs from the model's batch normalisations, to calibrate on"]
    (warning,) = warnings
    assert warning.startswith("10 samples were given: calibrated on 54 generated inputs")
    many = Samples({"image": blurred(64, 5)})
    assert enough(source, many, told.append) == (many, ())
    assert len(told) == 1


def test_an_untrained_normalisation_tells_nothing(tmp_path: Path) -> None:
    import keras

    model = keras.Sequential(
        [keras.layers.Input((4, 4, 1)), keras.layers.BatchNormalization(), keras.layers.Flatten()]
    )
    model.save(tmp_path / "m.keras")
    source = load(tmp_path / "m.keras")
    assert not can_generate(source)
    assert generated(source, 4) is None
    few = Samples({source.inputs[0].name: np.zeros((2, 4, 4, 1), np.float32)})
    assert enough(source, few, print) == (few, ())
    with pytest.raises(UsageError, match="no trained batch normalisation"):
        enough(source, None, print)


def test_a_file_made_without_samples_says_so_and_answers(tmp_path: Path) -> None:
    model, x = net(), blurred(100, 77)
    made = edgekit.export(model, out=tmp_path / "out", files=["int8.tflite"], cache=False)
    (warning,) = [w for w in made.warnings if "generated" in w]
    assert "no samples were given: calibrated on 64 generated inputs" in warning
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["files"][0]["check"]["origin"] == "generated"
    want = np.asarray(model(x))
    with edgekit.load(made[0].path) as runner:
        found = runner.infer_batch({"image": x})["scores"]
    error = np.square(found - want).mean() / want.var(0).mean()
    assert error < 0.05
