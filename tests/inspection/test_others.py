"""Files of other people's, as `inspect` describes them."""

from __future__ import annotations

from pathlib import Path

import pytest

import edgekit
from edgekit.report.inspections import inspection_lines

MODELS = Path(__file__).parents[1] / "models"


def test_signatures_and_what_is_unmeasured_are_shown() -> None:
    found = edgekit.inspect(MODELS / "ledger.float32.tflite")
    ways = {way.name: (way.inputs, way.outputs) for way in found.signatures}
    assert ways == {
        "add": (("amount",), ("total",)),
        "read": ((), ("total",)),
        "double": (("x",), ("twice",)),
    }
    assert (found.ir_version, found.opsets) == (None, {})
    assert found.unmeasured_by["ai-edge-litert"]
    assert all(not obstacle.measured for obstacle in found.obstacles)
    lines = [f"{about} {text}" for about, text in inspection_lines(found)]
    assert "signature read: none to total" in lines
    assert "runs on ai-edge-litert none measured" in lines
    assert any(line.startswith("unmeasured") and "READ_VARIABLE" in line for line in lines)


@pytest.mark.tensorflow
def test_the_converters_own_file_with_uint8_ends() -> None:
    import keras
    import numpy as np
    import tensorflow as tf

    x = np.random.default_rng(0).random((20, 6, 6, 2)).astype(np.float32)
    layers = keras.layers
    image = keras.Input((6, 6, 2), name="image")
    y = layers.Dense(3)(layers.Flatten()(layers.Conv2D(2, 3)(image)))
    converter = tf.lite.TFLiteConverter.from_keras_model(keras.Model(image, y))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([row[None]] for row in x)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.uint8
    from edgekit.formats.model_file import read_model
    from edgekit.inspection.compatibility import obstacles_by_version

    model = read_model(converter.convert(), "tflite")
    assert {t.dtype for t in (*model.inputs.values(), *model.outputs.values())} == {"uint8"}
    # It runs on all of them; nothing that nobody tried may be called a failure.
    for row in obstacles_by_version(model).values():
        for obstacles in row.values():
            assert not any(each.measured for each in obstacles)
