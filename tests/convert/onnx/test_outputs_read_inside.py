"""Outputs that the graph itself goes on with, and outputs that nothing computes, in quantised ONNX files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import edgekit
from edgekit.errors import require
from edgekit.metrics.distances import sqnr_db


@pytest.mark.parametrize("activation", ["relu", "relu6"])
def test_what_goes_into_an_activation_keeps_what_is_below_zero(
    tmp_path: Path, activation: str
) -> None:
    keras = require("keras", "export", "a test")
    keras.utils.set_random_seed(0)
    given = keras.layers.Input((8,), name="x")
    sums = keras.layers.Dense(6, kernel_initializer="random_normal", name="sums")(given)
    model = keras.Model(given, {"sums": sums, "cut": keras.layers.Activation(activation)(sums)})
    x = np.random.default_rng(0).uniform(-1, 1, (200, 8)).astype(np.float32)
    (file,) = edgekit.export(
        model, out=tmp_path, files=["int8.onnx"], calibration={"x": x}, cache=False
    )
    session = onnxruntime.InferenceSession(str(file.path))
    for name, expected in model(x).items():
        found = [session.run([name], {"x": row[None]})[0] for row in x]
        assert sqnr_db(np.asarray(expected), np.concatenate(found)) > 30


def test_an_output_that_is_constant_is_in_every_file(tmp_path: Path) -> None:
    tf = require("tensorflow", "export", "a test")
    kernel = np.random.default_rng(1).normal(0, 0.4, (8, 6)).astype(np.float32)
    anchors = np.random.default_rng(2).random((40, 4)).astype(np.float32)

    class Detector(tf.Module):  # type: ignore[misc]
        @tf.function(input_signature=[tf.TensorSpec((None, 8), name="x")])
        def serve(self, x: object) -> dict[str, object]:
            return {"anchors": tf.constant(anchors), "one": tf.constant([[3.0]]), "y": x @ kernel}

    detector = Detector()
    tf.saved_model.save(detector, tmp_path / "model", {"serving_default": detector.serve})
    x = np.random.default_rng(0).uniform(-1, 1, (100, 8)).astype(np.float32)
    files = ["float32.tflite", "int8.tflite", "int16x8.tflite"]
    files += ["float32.onnx", "float16.onnx", "dynamic.onnx", "int8.onnx"]
    made = edgekit.export(
        tmp_path / "model", out=tmp_path / "out", files=files, calibration={"x": x}, cache=False
    )
    assert [file.name for file in made] == [f"model.{name}" for name in files]
    assert not [line for line in made.warnings if "weights" in line]
    for file in made:
        with edgekit.load(file.path) as runner:
            answers = runner.infer({"x": x[:1]})
        # An int8 TFLite file gives integers of 8 bits, half a step off at most; 11 bits are float16's.
        least = {"int8.tflite": 0.505 / 255, "float32.onnx": 0, "float32.tflite": 0}.get(
            file.name.removeprefix("model."), 0.0005
        )
        np.testing.assert_allclose(answers["anchors"], anchors, atol=least)
        np.testing.assert_allclose(answers["one"], [[3.0]], atol=3 * least)
        assert sqnr_db(x[:1] @ kernel, answers["y"]) > 25
