from __future__ import annotations

from pathlib import Path

import numpy as np

from edgekit.convert.tflite.convert import float_tflite, quantize_tflite
from edgekit.convert.tflite.small_kernels import small_kernels
from edgekit.convert.trace.freeze import freeze
from edgekit.formats.tflite_check import read_file
from edgekit.models import load

MODELS = Path(__file__).parents[2] / "models"


def test_small_kernels_of_dynamic_files_are_left_in_float(tmp_path: Path) -> None:
    import keras

    keras.utils.set_random_seed(0)
    x = keras.Input((8, 8, 3), name="x")
    h = keras.layers.Conv2D(8, 3, activation="relu")(x)
    h = keras.layers.DepthwiseConv2D(3, padding="same")(h)
    # 256 weights of 4 bytes beside 18,432 of one.
    h = keras.layers.Dense(64)(keras.layers.Flatten()(h))
    keras.Model(x, h).save(tmp_path / "m.keras")
    with freeze(load(tmp_path / "m.keras"), 1) as frozen:
        float_file = read_file(float_tflite(frozen))
    assert [op for op, _ in small_kernels(float_file)] == ["CONV_2D", "DEPTHWISE_CONV_2D"]

    made = quantize_tflite(float_file, "dynamic", None, "float32").tflite
    graph = made.graphs[0]
    kernels = {o.op: graph.tensors[o.inputs[1]] for o in graph.operators if len(o.inputs) > 2}
    dtypes = {op: kernel.dtype for op, kernel in kernels.items()}
    assert dtypes == {
        "CONV_2D": "float32",
        "DEPTHWISE_CONV_2D": "float32",
        "FULLY_CONNECTED": "int8",
    }
    first = kernels["CONV_2D"].constant("<f4").of(made.content)
    same = float_file.graphs[0].operators[0].inputs[1]
    assert np.array_equal(
        first, float_file.graphs[0].tensors[same].constant("<f4").of(float_file.content)
    )


def test_a_network_of_small_kernels_stays_small() -> None:
    float_file = read_file((MODELS / "classifier.float32.tflite").read_bytes())
    graph = float_file.graphs[0]
    assert any(0 < graph.tensors[o.inputs[1]].constant("<f4").count < 1024 for o in graph.operators)
    assert small_kernels(float_file) == []
