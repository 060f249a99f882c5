"""TFLite files fitted to samples follow the float file better, on samples that nothing was fitted to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.calibration.fitting import decibels
from edgekit.calibration.probes import TfliteProbe, batches
from edgekit.calibration.sequence import Targets
from edgekit.convert.tflite.convert import find_ranges, float_tflite, quantize_tflite
from edgekit.convert.tflite.fit import _Fitting, fitted_tflite
from edgekit.convert.trace.freeze import freeze
from edgekit.formats.model_file import ModelFile
from edgekit.formats.tflite import model_of
from edgekit.formats.tflite_check import read_file
from edgekit.formats.tflite_file import TfliteFile
from edgekit.models import load
from edgekit.samples import Samples


def images(count: int, seed: int) -> Samples:
    """Smooth ones, whose neighbouring values are alike; none reaches farther than others."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(-1, 1, (count, 4, 4, 4))
    x = coarse.repeat(3, 1).repeat(3, 2) + rng.uniform(-0.2, 0.2, (count, 12, 12, 4))
    return Samples({"x": x.astype(np.float32)})


CALIBRATION, OTHERS = images(200, 1), images(100, 2)


def separable(layers: Any, h: Any) -> Any:
    """Depthwise pairs whose channels differ in size, as after folded batch normalisation."""
    for strides in (1, 2):
        h = layers.Conv2D(16, 1, activation="relu")(h)
        h = layers.DepthwiseConv2D(3, strides, padding="same", activation="relu")(h)
    return h


def windows(layers: Any, h: Any) -> Any:
    h = layers.Conv2D(8, (3, 2), (2, 1), padding="same", activation="relu6")(h)
    h = layers.DepthwiseConv2D(2, depth_multiplier=3, activation="relu")(h)
    h = layers.Conv2D(12, 2, dilation_rate=2)(h)
    return layers.Conv2D(12, 2, groups=3, padding="same", activation="relu", use_bias=False)(h)


def transposed(layers: Any, h: Any) -> Any:
    h = layers.Conv2DTranspose(8, (3, 2), (2, 3), padding="same", activation="relu")(h)
    h = layers.Conv2DTranspose(6, 2, 3, padding="valid")(layers.MaxPooling2D(3)(h))
    return layers.Conv2DTranspose(6, 4, padding="same", use_bias=False)(layers.MaxPooling2D(3)(h))


def dense(layers: Any, h: Any) -> Any:
    return layers.Dense(20, activation="relu")(layers.Dense(16, activation="relu")(h))


@pytest.fixture(scope="module", params=[separable, windows, transposed, dense])
def files(request: Any, tmp_path_factory: Any) -> tuple[TfliteFile, ModelFile]:
    """A float file and the int16x8 file that was made of it, from x (1, 12, 12, 4) to 5 classes.

    With 16 bits for activations, what is lost is lost by weights.
    """
    import keras

    build: Callable[[Any, Any], Any] = request.param
    keras.utils.set_random_seed(0)
    x = keras.Input((12, 12, 4), name="x")
    h = keras.layers.Flatten()(build(keras.layers, x))
    model = keras.Model(x, keras.layers.Dense(5, activation="softmax", name="y")(h))
    rng = np.random.default_rng(3)
    for layer in model.layers:
        if layer.weights:
            sizes = np.exp(rng.uniform(-1, 1, layer.weights[0].shape[-1]))
            kernel, *bias = layer.get_weights()
            layer.set_weights([kernel * sizes, *(rng.normal(size=b.shape) / 5 for b in bias)])
    path: Path = tmp_path_factory.mktemp("fit") / "m.keras"
    model.save(path)
    with freeze(load(path), 1) as frozen:
        float_file = read_file(float_tflite(frozen))
    # Of all that is looked at: what ranges cut off is not to be judged.
    both = np.concatenate([each.inputs["x"] for each in (CALIBRATION, OTHERS)])
    ranges = find_ranges(float_file, Samples({"x": both}))
    made = quantize_tflite(float_file, "int16x8", ranges, "float32", samples=CALIBRATION)
    return float_file, made


def sqnr(float_file: TfliteFile, made: ModelFile) -> float:
    """Of the logits, on other samples."""
    (name,) = (o.inputs[0] for o in float_file.graphs[0].operators if o.op == "SOFTMAX")
    logits = {float_file.graphs[0].tensors[name].name}
    rows: list[list[Any]] = []
    for file in (float_file, read_file(made.content)):
        probe, found = TfliteProbe(file, logits), []
        for inputs in batches(OTHERS, 1):
            probe.run(inputs, lambda _, values, found=found: found.append(values.copy()))
        rows.append(found)
    wanted, given = (np.concatenate(found).astype(np.float64) for found in rows)
    return decibels(np.array([((wanted - given) ** 2).mean() / wanted.var(0).mean()])[None])


def test_outputs_follow_better(files: tuple[TfliteFile, ModelFile]) -> None:
    float_file, made = files
    fitted, about = fitted_tflite(made, float_file, CALIBRATION, 0)
    assert len(fitted.content) == len(made.content)
    assert about["sqnr_db"] > about["sqnr_db_before"]
    assert about["kept"]["rounding"] >= 0.5 * about["layers"]
    assert sqnr(float_file, fitted) > sqnr(float_file, made) + 0.3
    again, _ = fitted_tflite(made, float_file, CALIBRATION, 0)
    assert again.content == fitted.content


def test_weights_of_four_bits_are_fitted(files: tuple[TfliteFile, ModelFile]) -> None:
    float_file, _ = files
    made = quantize_tflite(float_file, "int4-weights", None, "float32")
    fitted, about = fitted_tflite(made, float_file, CALIBRATION, 0)
    assert len(fitted.content) == len(made.content)
    assert about["kept"]["rounding"] >= 1
    assert sqnr(float_file, fitted) > sqnr(float_file, made) + 1.5


def test_targets_are_the_float_file_s_sums(files: tuple[TfliteFile, ModelFile]) -> None:
    float_file, made = files
    model = model_of(float_file)
    graph = model.graphs[model.main]
    fitting = _Fitting(read_file(bytearray(made.content)), float_file, graph, CALIBRATION, 0)
    assert len(fitting.layers) == sum(
        o.op in ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED")
        for o in float_file.graphs[0].operators
    )
    few = images(3, 4)
    plain = TfliteProbe(float_file)
    targets = Targets(plain, fitting.layers, few, 0, 8000)
    shown: dict[str, list[Any]] = {}
    for inputs in batches(few, 1):
        plain.run(inputs, lambda name, x: shown.setdefault(name, []).append(x.copy()))
    for number, layer in enumerate(fitting.layers):
        sums = targets.sums(number).transpose(1, 0, 2).reshape(-1, layer.outputs)
        want = np.concatenate(shown[layer.name]).reshape(-1, layer.outputs)
        cut = np.clip(sums, *layer.sums().clip)
        # Places come in any order.
        np.testing.assert_allclose(
            np.sort(cut, 0), np.sort(want, 0), atol=1e-4 * np.abs(want).max()
        )


def test_few_samples(files: tuple[TfliteFile, ModelFile]) -> None:
    float_file, made = files
    same, about = fitted_tflite(made, float_file, images(4, 0), 0)
    assert same is made
    assert about["reason"] == "4 calibration samples are too few to fit to, expected 64"
    _, about = fitted_tflite(made, float_file, images(30, 0), 0)
    assert about["held_out"] == 0
    assert "compensation" not in about.get("kept", {})
