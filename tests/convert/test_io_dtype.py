"""What the manifest says of a file's inputs and outputs is what the file has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import edgekit
from edgekit.convert.io_dtype import io_dtype, left_float
from edgekit.errors import require
from edgekit.formats.model_file import ModelFile
from edgekit.recipe import ExportRecipe


@pytest.mark.parametrize(
    ("name", "expected", "float_ends"),
    [
        ("classifier.int8.tflite", "int8", ""),
        ("camera.int8.tflite", "uint8", ""),
        ("classifier.int16x8.tflite", "int16", ""),
        ("classifier.dynamic.tflite", "float32", "'image', 'digit'"),
        # Numbers that are whole in the model stand for themselves.
        ("lookup.float32.tflite", "float32", ""),
        ("classifier.int8.onnx", "float32", "'image', 'digit'"),
    ],
)
def test_it_is_told_by_the_file(models: Path, name: str, expected: str, float_ends: str) -> None:
    model = ModelFile.read((models / name).read_bytes(), name.rpartition(".")[2]).model
    assert io_dtype(model) == expected
    line = left_float(model, "int8")
    assert (f"input or output {float_ends} stays float32, not int8: " in line) == bool(float_ends)
    assert bool(line) == bool(float_ends)
    assert left_float(model, "float32") == ""


@pytest.mark.parametrize("asked", ["int8", "float32"])
def test_a_loop_keeps_them_float_and_that_is_said(tmp_path: Path, asked: str) -> None:
    keras = require("keras", "export", "a test")
    keras.utils.set_random_seed(0)
    series = keras.Input((40, 3), name="series")
    model = keras.Model(series, keras.layers.Dense(2, name="y")(keras.layers.LSTM(4)(series)))
    x = np.random.default_rng(0).standard_normal((40, 40, 3)).astype(np.float32)
    result = edgekit.export(
        model,
        out=tmp_path,
        files=["int8.tflite"],
        calibration=x,
        recipe=ExportRecipe(io_dtype=asked),
    )
    (file,) = result
    with edgekit.load(file.path) as runner:
        assert {spec.dtype for spec in (*runner.inputs, *runner.outputs)} == {"float32"}
    (entry,) = result.manifest.files
    assert entry.recipe["io_dtype"] == "float32"
    lines = [line for line in entry.recipe.get("fallbacks", ()) if "stays float32" in line]
    expected = [
        "input or output 'series', 'y' stays float32, not int8: the file holds a loop, whose own inputs "
        "and outputs are float"
    ]
    assert lines == (expected if asked == "int8" else [])
