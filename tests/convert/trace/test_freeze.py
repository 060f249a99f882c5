"""What a trace becomes: constants where it can, the functions and states that TFLite understands else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgekit
from edgekit.errors import ExportError


def counter(path: Path) -> Path:
    """A SavedModel that adds up what it was given."""
    import tensorflow as tf

    class Counter(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.total = tf.Variable(np.zeros((1, 2), np.float32))

        @tf.function(input_signature=[tf.TensorSpec((1, 2), tf.float32, "x")])
        def serve(self, x: Any) -> dict[str, Any]:
            return {"sum": self.total.assign_add(x)}

    module = Counter()
    tf.saved_model.save(module, path, signatures={"serving_default": module.serve})
    return path


def test_a_state_stays_in_a_tflite_file(tmp_path: Path) -> None:
    (file,) = edgekit.export(counter(tmp_path / "m"), out=tmp_path / "out", schemes=["float32"])
    x = {"x": np.ones((1, 2), np.float32)}
    with edgekit.load(file.path) as runner:
        assert [float(runner.infer(x)["sum"][0, 0]) for _ in range(3)] == [1, 2, 3]


def test_onnx_refuses_a_state(tmp_path: Path) -> None:
    path = counter(tmp_path / "m")
    with pytest.raises(ExportError, match="it changes a state of its own"):
        edgekit.export(path, out=tmp_path / "out", schemes=["float32"], formats=["onnx"])


def test_an_input_that_is_a_single_number_is_refused(tmp_path: Path) -> None:
    import tensorflow as tf

    class Scaled(tf.Module):
        @tf.function(
            input_signature=[
                tf.TensorSpec((None, 4), tf.float32, "x"),
                tf.TensorSpec((), tf.float32, "gain"),
            ]
        )
        def serve(self, x: Any, gain: Any) -> dict[str, Any]:
            return {"y": x * gain}

    module = Scaled()
    tf.saved_model.save(module, tmp_path / "m", signatures={"serving_default": module.serve})
    with pytest.raises(ExportError, match="'gain': is a single number, expected an axis"):
        edgekit.export(tmp_path / "m", out=tmp_path / "out", schemes=["float32"])


def test_inputs_that_nothing_reads_are_kept(tmp_path: Path) -> None:
    import keras

    used, idle = keras.Input((3,), name="used"), keras.Input((2,), name="idle")
    model = keras.Model([idle, used], keras.layers.Dense(2, name="y")(used))
    model.save(tmp_path / "m.keras")
    files = edgekit.export(
        tmp_path / "m.keras", out=tmp_path / "out", schemes=["float32"], formats=["tflite", "onnx"]
    )
    for file in files:
        with edgekit.load(file.path) as runner:
            assert {spec.name for spec in runner.inputs} == {"used", "idle"}
