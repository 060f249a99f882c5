"""Signatures of SavedModels in other precisions, read in float32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgekit
from edgekit.models import load


class Steps:
    """A loop over steps, a constant, a product and a cast, in a precision that is given."""

    def __init__(self, dtype: Any) -> None:
        import tensorflow as tf

        self.module, module = tf.Module(), tf.Module()
        rng = np.random.default_rng(0)
        self.kernel = rng.uniform(-1, 1, (3, 3)).astype(np.float32)
        self.kernel = tf.cast(tf.cast(self.kernel, dtype), tf.float32).numpy()
        module.kernel = tf.Variable(tf.cast(self.kernel, dtype))

        def serve(x: Any) -> dict[str, Any]:
            state = tf.cast(x, dtype)
            for _ in tf.range(4):
                state = tf.tanh(state @ module.kernel) + tf.constant(0.5, dtype)
            return {"y": tf.cast(state, tf.float32), "raw": state}

        spec = tf.TensorSpec((None, 3), tf.float32, name="x")
        module.serve = tf.function(serve, input_signature=[spec])
        self.module = module

    def expected(self, x: Any) -> Any:
        state = x.astype(np.float64)
        for _ in range(4):
            state = np.tanh(state @ self.kernel) + 0.5
        return state


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float64"])
def test_every_float_has_32_bits(name: str, tmp_path: Path) -> None:
    import tensorflow as tf

    model = Steps(tf.as_dtype(name))
    tf.saved_model.save(model.module, str(tmp_path / "m"), signatures=model.module.serve)
    source = load(tmp_path / "m")
    assert [spec.dtype for spec in (*source.inputs, *source.outputs)] == ["float32"] * 3
    x = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)
    answer = source.call({"x": tf.constant(x)})
    for output in ("y", "raw"):
        np.testing.assert_allclose(answer[output], model.expected(x), atol=1e-5)
    # Twice in one process: functions of loops need names of their own.
    again = load(tmp_path / "m").call({"x": tf.constant(x)})
    np.testing.assert_array_equal(again["y"], answer["y"])


def test_its_files_are_made(tmp_path: Path) -> None:
    import tensorflow as tf

    model = Steps(tf.float16)
    tf.saved_model.save(model.module, str(tmp_path / "m"), signatures=model.module.serve)
    x = np.random.default_rng(1).normal(size=(1, 3)).astype(np.float32)
    result = edgekit.export(
        tmp_path / "m",
        out=tmp_path / "out",
        formats=["tflite", "onnx"],
        schemes=["float32"],
        cache=False,
    )
    assert len(result) == 2, result.skipped
    for file in result:
        with edgekit.load(file.path) as runner:
            assert {spec.dtype for spec in runner.outputs} == {"float32"}
            np.testing.assert_allclose(runner.infer({"x": x})["y"], model.expected(x), atol=1e-5)


@pytest.mark.parametrize("ending", ["tflite", "onnx"])
def test_convolutions_in_groups_that_a_saved_model_compiles_by_xla(
    ending: str, tmp_path: Path
) -> None:
    import tf_keras

    layers = tf_keras.layers
    x = tf_keras.Input((5, 5, 4), name="x")
    model = tf_keras.Model(x, layers.Conv2D(4, 3, groups=2, name="y")(x))
    model.save(tmp_path / "m")
    given = np.random.default_rng(0).normal(size=(1, 5, 5, 4)).astype(np.float32)
    # The object itself is traced, its SavedModel read.
    for number, what in enumerate((model, tmp_path / "m")):
        out = tmp_path / f"out{number}"
        (file,) = edgekit.export(what, out=out, files=[f"float32.{ending}"], cache=False)
        with edgekit.load(file.path) as runner:
            (answer,) = runner.infer({"x": given}).values()
        np.testing.assert_allclose(answer, model(given), atol=1e-5)
