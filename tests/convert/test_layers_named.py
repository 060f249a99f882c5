"""Refusals name the Keras layer that caused the operator, in both formats alike."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgekit
from edgekit.convert.refusals import origin_of, place
from edgekit.errors import ExportError
from edgekit.formats.onnx import read_onnx
from edgekit.recipe import ExportRecipe
from edgekit.samples import Samples


def odd_layer(compute: Any) -> Any:
    """A small convolutional model, in it a layer called ``odd`` that runs `compute`."""
    import keras

    class Odd(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return compute(x)

    image = keras.Input((4, 4, 2), name="image")
    x = keras.layers.Conv2D(3, 3, padding="same", activation="relu", name="before")(image)
    x = keras.layers.BatchNormalization(name="norm")(Odd(name="odd")(x))
    return keras.Model(image, keras.layers.Conv2D(2, 1, name="after")(x), name="m")


def erfinv(x: Any) -> Any:
    import tensorflow as tf

    return tf.math.erfinv(x * 0.1)


def seven_axes(x: Any) -> Any:
    """No file of the measured corpus adds constants with so many axes."""
    import tensorflow as tf

    spread = tf.reshape(x, (-1, 1, 1, 1, 4, 4, 3))
    return tf.reshape(spread + np.ones((1, 1, 1, 1, 1, 4, 3), np.float32), (-1, 4, 4, 3))


@pytest.mark.parametrize(
    ("format", "words"),
    [("tflite", "layer 'odd': TFLite has no Erfinv"), ("onnx", "layer 'odd': ONNX has no Erfinv")],
)
def test_of_an_operator_that_a_format_lacks(tmp_path: Path, format: str, words: str) -> None:
    with pytest.raises(ExportError, match=words):
        edgekit.export(
            odd_layer(erfinv), out=tmp_path / "out", schemes=["float32"], formats=[format]
        )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("scheme", ["float32", "int8"])
@pytest.mark.parametrize(
    ("format", "target"),
    [("tflite", "tflite-runtime==2.14"), ("onnx", "onnxruntime==1.16.3")],
)
def test_of_an_operator_that_nobody_tried_on_a_target(
    tmp_path: Path, format: str, target: str, scheme: str
) -> None:
    x = np.random.default_rng(0).standard_normal((8, 4, 4, 2)).astype(np.float32)
    result = edgekit.export(
        odd_layer(seven_axes),
        out=tmp_path / "out",
        schemes=[scheme],
        formats=[format],
        calibration=Samples({"image": x}),
        recipe=ExportRecipe(targets=(target,)),
    )
    (line,) = (line for line in result.warnings if "was not measured" in line)
    assert target in line
    assert re.search(r"layer 'odd': [A-Za-z]+: 7 axes", line)


def test_tensors_of_an_onnx_file_begin_with_their_layer(tmp_path: Path) -> None:
    files = edgekit.export(
        odd_layer(seven_axes), out=tmp_path, schemes=["float32", "float16"], formats=["onnx"]
    )
    for file in files:
        graph = read_onnx(file.path.read_bytes()).graphs[0]
        names = [t.name for op in graph.operators for t in op.outputs]
        layers = {name.split("/")[0] for name in names}
        assert {"before", "odd", "norm"} <= layers
        # The model's output keeps the name that callers know.
        assert "after" in names


@pytest.mark.parametrize(
    ("tensor", "told"),
    [
        ("conv/t7_", "layer 'conv'"),
        ("Mul/t9_", "operation 'Mul'"),
        ("t9_", "operation 't9_'"),
        ("score", "the layer that gives 'score'"),
        ("head", "layer 'head'"),
        ("block/deep/t3_", "layer 'block/deep'"),
        ("Identity:0", "the layer that gives 'head'"),
        ("Identity_1:0", "the layer that gives 'score'"),
        ("Identity_7", "operation 'Identity_7'"),
    ],
)
def test_names_of_onnx_tensors_tell_their_layer(tensor: str, told: str) -> None:
    assert place(tensor, ("conv", "head", "block/deep"), ["head", "score"]) == told


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("model/conv_1/Relu:0", "conv"),
        ("model/body/head_2/MatMul", "head"),
        ("model_cond_frozen_12_model/conv_1/while/Less:0", "conv"),
        ("block/deep/Relu:0", "block/deep"),
        ("model/Mul_1:0", "Mul_1"),
        ("Transpose__49:0", None),
    ],
)
def test_the_layer_in_a_name_of_the_trace(name: str, layer: str | None) -> None:
    assert origin_of(name, ("conv", "body", "head", "block/deep")) == layer
