from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgekit.convert.tflite.per_tensor_kernels import _CHANNELS, _on_one_scale, _stays_small

scales = st.floats(1e-6, 1e6)


@given(st.lists(st.integers(-127, 127), min_size=1, max_size=50), scales)
def test_integers_times_a_scale_are_on_one_grid(steps: list[int], scale: float) -> None:
    weights = np.array([*steps, 127], np.float32) * np.float32(scale)
    assert _on_one_scale(weights)


def test_other_weights_are_not() -> None:
    rng = np.random.default_rng(0)
    assert not _on_one_scale(rng.normal(size=64).astype(np.float32))
    assert not _on_one_scale(np.zeros(4, np.float32))
    assert not _on_one_scale(np.array([1.0, np.inf], np.float32))
    assert not _on_one_scale(np.zeros(0, np.float32))


def test_a_pruned_kernel_takes_one_scale_while_each_channel_keeps_four_bits() -> None:
    weights = np.random.default_rng(0).normal(size=(8, 1, 1, 64)).astype(np.float32)
    assert not _stays_small(weights, 0)
    weights[..., :32] = 0
    assert _stays_small(weights, 0)
    # No weights, nothing to lose.
    weights[3] = 0
    assert _stays_small(weights, 0)
    weights[5] /= 100
    assert not _stays_small(weights, 0)
    assert not _stays_small(np.zeros((8, 4), np.float32), 0)


def test_depthwise_kernels_have_their_channels_last() -> None:
    weights = np.random.default_rng(0).normal(size=(1, 3, 3, 64)).astype(np.float32)
    weights[:, ::2] = 0
    assert _stays_small(weights, 3)
    weights[..., 5] /= 100
    assert not _stays_small(weights, 3)


def test_only_what_every_interpreter_was_measured_to_run_takes_one_scale(tmp_path: Path) -> None:
    import keras

    import edgekit
    from edgekit.formats.model_file import read_model
    from edgekit.inspection.compatibility import loadable_by

    image = keras.Input((8, 8, 3), name="image")
    x = keras.layers.Conv2D(16, 3, activation="relu")(image)
    x = keras.layers.DepthwiseConv2D(3, padding="same")(x)
    x = keras.layers.Conv2DTranspose(8, 3, strides=2)(x)
    x = keras.layers.Dense(8, use_bias=False)(keras.layers.Flatten()(x))
    model = keras.Model(image, keras.layers.Dense(4, name="scores")(x), name="sparse")
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if layer.get_weights():
            kernel, *rest = layer.get_weights()
            large = np.sign(kernel) * rng.uniform(0.3, 1, kernel.shape)
            layer.set_weights([np.where(rng.random(kernel.shape) < 0.7, 0, large), *rest])
    samples = edgekit.Samples({"image": rng.random((64, 8, 8, 3), np.float32)})
    (file,) = edgekit.export(model, out=tmp_path, schemes=["int8"], calibration=samples)
    found = read_model(Path(file.path).read_bytes(), "tflite")
    kernels = {
        operator.op: operator.inputs[1].granularity
        for operator in found.graphs[0].operators
        if operator.op in _CHANNELS
    }
    assert kernels == dict.fromkeys(_CHANNELS, "/tensor")
    versions = loadable_by(found)
    assert "2.14.0" in versions["tflite-runtime"]
    assert {"1.0.0", "2.3.0"} <= set(versions["ai-edge-litert"])
