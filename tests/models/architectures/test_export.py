"""Every architecture in every scheme and both formats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgekit
from edgekit import document
from edgekit.artifact import FORMATS, SCHEMES
from edgekit.models.architectures import ARCHITECTURES, Task, build
from edgekit.recipe import ExportRecipe, ModelRecipe
from edgekit.samples import Samples

IMAGE, SERIES = (16, 16, 3), (8, 6)
TASKS = {
    **{name: Task(IMAGE, 5) for name in ("cnn", "resnet8", "mlp")},
    **{name: Task(SERIES, 5) for name in ("ds_cnn", "conv1d", "lstm", "gru")},
    # Smaller images are single pixels before its end.
    "mobilenet_v1": Task((48, 48, 3), 5),
    "autoencoder": Task((40,), 0, kind="reconstruction"),
}
# At this width, layers have fewer channels than a block of int4 weights.
WANTED = [scheme for scheme in SCHEMES if scheme != "int4-blocks"]
NOT_IN_ONNX = {"int16x8", "int8-weights", "int4-weights"}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_each_exports_to_every_scheme(tmp_path: Path, name: str) -> None:
    import keras

    keras.utils.set_random_seed(0)
    model = build(TASKS[name], ModelRecipe(name, 0.25))
    x = np.random.default_rng(0).uniform(-1, 1, (64, *TASKS[name].input_shape)).astype(np.float32)
    normalise(model, x)
    model.save(tmp_path / "m.keras")
    files = edgekit.export(
        tmp_path / "m.keras",
        out=tmp_path / "out",
        schemes=WANTED,
        formats=tuple(FORMATS),
        calibration=Samples({model.inputs[0].name: x}),
        # Of random weights, four bits keep next to nothing.
        recipe=ExportRecipe(allow_inaccurate=True),
        cache=False,
    )
    made = {(file.format, file.scheme) for file in files}
    wanted = {(format, scheme) for format in FORMATS for scheme in WANTED}
    manifest = document.load(tmp_path / "out" / "manifest.json").to_json()
    assert made == wanted - {("onnx", scheme) for scheme in NOT_IN_ONNX}, manifest["skipped"]
    expected = np.asarray(model(x))
    span = expected.max() - expected.min()
    for file in files:
        errors = np.abs(answer(file.path, x) - expected) / span
        if file.scheme == "float32":
            # What the check promises; kernels of 27 layers add up differently on each processor.
            assert errors.max() < 1e-4, file.name
        else:
            # Random weights like to be quantised less than trained ones, most of all in a deep network.
            assert np.median(errors) < 0.15, file.name


def normalise(model: Any, x: np.ndarray) -> None:
    """As after training: without it, what a deep network is given fades out on its way."""
    for layer in model.layers:
        if hasattr(layer, "momentum"):
            layer.momentum = 0.0
    model(x, training=True)


def answer(path: Path, x: np.ndarray) -> Any:
    with edgekit.load(path) as runner:
        (result,) = runner.infer_batch({runner.inputs[0].name: x}).values()
    return result
