"""Recurrent networks as people bring them: stacked, of other gates, in SavedModels, of cells in a row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import edgekit
from edgekit.models.source import UNROLLED_STEPS
from edgekit.samples import Samples

LONG = UNROLLED_STEPS + 2


def signal(samples: int, steps: int, features: int) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=(samples, steps, features)).astype(np.float32)


def decibels(model: Any, file: Path, x: NDArray[np.float32]) -> float:
    """How well a file follows its model, which says itself what is right."""
    expected = model.predict(x, verbose=0)
    with edgekit.load(file) as runner:
        (name,) = (spec.name for spec in runner.inputs)
        answers = np.concatenate([*runner.infer_batch({name: x}).values()])
    noise = np.square(answers - expected).mean()
    return float(10 * np.log10(expected.var() / max(noise, 1e-20)))


def exported(model: Any, out: Path, file: str, x: NDArray[np.float32]) -> Path:
    name = model if isinstance(model, Path) else None
    calibration = Samples({"x": x}) if "int8" in file else None
    (made,) = edgekit.export(
        name or model, out=out, files=[file], calibration=calibration, cache=False
    )
    return made.path


@pytest.mark.slow
def test_loops_whose_outputs_another_loop_reads_are_calibrated(tmp_path: Path) -> None:
    """What a loop has given so far is empty before its first step, and grows."""
    import keras

    layers = keras.layers
    x = keras.Input((LONG, 3), name="x")
    y = layers.LSTM(4)(layers.LSTM(4, return_sequences=True)(x))
    model = keras.Model(x, layers.Dense(2, name="y")(y))
    given = signal(24, LONG, 3)
    assert decibels(model, exported(model, tmp_path, "int8.tflite", given), given) > 20


def test_the_first_step_of_any_gates_is_calibrated(tmp_path: Path) -> None:
    """A gate that meets a state of zeros computes nothing, whatever it is made of."""
    import keras

    x = keras.Input((3, 4), name="x")
    gates = {"activation": "softsign", "recurrent_activation": "hard_sigmoid"}
    model = keras.Model(x, keras.layers.LSTM(5, use_bias=False, name="y", **gates)(x))
    given = signal(64, 3, 4)
    assert decibels(model, exported(model, tmp_path, "int8.tflite", given), given) > 20


def test_int8_onnx_of_cells_whose_bias_a_sum_reads_too(tmp_path: Path) -> None:
    import tf_keras

    layers = tf_keras.layers
    x = tf_keras.Input((3, 4), name="x")
    y = layers.RNN([layers.LSTMCell(5), layers.GRUCell(4)], name="y")(x)
    model = tf_keras.Model(x, y)
    given = signal(64, 3, 4)
    model.set_weights([w + 0.2 for w in model.get_weights()])
    assert decibels(model, exported(model, tmp_path, "int8.onnx", given), given) > 20


@pytest.mark.parametrize("ending", ["tflite", "onnx"])
def test_loops_of_a_saved_model_of_any_batch(ending: str, tmp_path: Path) -> None:
    import keras

    layers = keras.layers
    x = keras.Input((4, 3), name="x")
    y = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(x)
    model = keras.Model(x, layers.GRU(2, name="y")(y))
    model.export(tmp_path / "m", verbose=False)
    given = signal(8, 4, 3)
    file = exported(tmp_path / "m", tmp_path / "out", f"float32.{ending}", given)
    assert decibels(model, file, given) > 90


def test_loops_too_long_to_write_out(tmp_path: Path) -> None:
    """TFLite keeps the loop, whose list of inputs has no length of its own; ONNX says what is in the way."""
    import tensorflow as tf

    class Running(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((1, LONG, 3), tf.float32, "x")])
        def serve(self, x: Any) -> dict[str, Any]:
            y = tf.scan(lambda mean, step: mean * 0.5 + tf.tanh(step), tf.map_fn(tf.sin, x[0]))
            return {"y": y[None]}

    module = Running()
    tf.saved_model.save(module, tmp_path / "m", signatures={"serving_default": module.serve})
    given = signal(24, LONG, 3)
    result = edgekit.export(
        tmp_path / "m",
        out=tmp_path / "out",
        files=["int8.tflite", "float32.onnx"],
        calibration={"x": given},
        cache=False,
    )
    (skipped,) = result.skipped
    assert f"too long to be written out: more than {UNROLLED_STEPS} steps" in skipped.reason
    with edgekit.load(result.path("int8", "tflite")) as runner:
        answers = np.stack([runner.infer({"x": row[None]})["y"][0] for row in given])
    expected = np.stack([module.serve(row[None])["y"][0] for row in given])
    noise = np.square(answers - expected).mean()
    assert 10 * np.log10(expected.var() / noise) > 25


def test_masked_steps_of_which_xnnpack_would_die(tmp_path: Path) -> None:
    """Its abort took the export along, without a word: the steps are cut in float."""
    import keras

    keras.utils.set_random_seed(1)
    x = keras.Input((4, 4), name="x")
    y = keras.layers.GRU(3, return_sequences=True)
    y = keras.layers.Bidirectional(y, merge_mode="sum", name="y")(keras.layers.Masking()(x))
    given = signal(60, 4, 4)
    for row, length in enumerate(np.random.default_rng(1).integers(2, 4, 60)):
        given[row, length:] = 0
    model = keras.Model(x, y)
    assert decibels(model, exported(model, tmp_path, "int8.tflite", given), given) > 20
