"""Keras 3 to tf_keras and back, layer by layer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.errors import BridgeError
from edgekit.models import load
from edgekit.models.bridge import TOLERANCE, copy_back, to_tf_keras
from edgekit.models.source import from_keras

Reloaded = Callable[..., Any]
IMAGE, SERIES, VECTOR = (8, 8, 3), (5, 3), (6,)

# Layer, arguments, shape of a sample.
LAYERS: list[tuple[str, dict[str, Any], tuple[int, ...]]] = [
    ("Conv2D", {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same"}, IMAGE),
    ("Conv2D", {"filters": 4, "kernel_size": 3, "dilation_rate": 2, "activation": "relu"}, IMAGE),
    ("Conv1D", {"filters": 4, "kernel_size": 3, "padding": "causal"}, SERIES),
    ("Conv2DTranspose", {"filters": 4, "kernel_size": 3, "strides": 2}, IMAGE),
    ("DepthwiseConv2D", {"kernel_size": 3, "depth_multiplier": 2}, IMAGE),
    ("SeparableConv2D", {"filters": 4, "kernel_size": 3}, IMAGE),
    ("Dense", {"units": 4, "activation": "gelu", "kernel_regularizer": "l2"}, VECTOR),
    ("Dense", {"units": 4, "use_bias": False, "kernel_constraint": "max_norm"}, VECTOR),
    ("BatchNormalization", {}, IMAGE),
    ("BatchNormalization", {"center": False, "scale": False}, IMAGE),
    ("LayerNormalization", {"axis": [1, 2]}, SERIES),
    ("GroupNormalization", {"groups": 3}, IMAGE),
    ("Normalization", {"mean": 2.0, "variance": 9.0}, VECTOR),
    ("ReLU", {"max_value": 6.0, "negative_slope": 0.1}, VECTOR),
    ("LeakyReLU", {"negative_slope": 0.2}, VECTOR),
    ("PReLU", {}, VECTOR),
    ("Softmax", {}, VECTOR),
    *[
        ("Activation", {"activation": name}, VECTOR)
        for name in ("tanh", "silu", "relu6", "hard_sigmoid", "hard_silu", "elu", "softplus")
    ],
    ("MaxPooling2D", {"pool_size": 2}, IMAGE),
    ("AveragePooling2D", {"pool_size": 3, "strides": 2, "padding": "same"}, IMAGE),
    ("GlobalAveragePooling2D", {"keepdims": True}, IMAGE),
    ("GlobalMaxPooling2D", {}, IMAGE),
    ("GlobalAveragePooling1D", {}, SERIES),
    ("Reshape", {"target_shape": (2, 3)}, VECTOR),
    ("Flatten", {}, IMAGE),
    ("Permute", {"dims": (2, 1, 3)}, IMAGE),
    ("RepeatVector", {"n": 3}, VECTOR),
    ("ZeroPadding2D", {"padding": ((0, 1), (2, 0))}, IMAGE),
    ("Cropping2D", {"cropping": 1}, IMAGE),
    ("UpSampling2D", {"size": 2, "interpolation": "bilinear"}, IMAGE),
    ("Resizing", {"height": 4, "width": 4}, IMAGE),
    ("Rescaling", {"scale": 1 / 127.5, "offset": -1.0}, IMAGE),
    ("LSTM", {"units": 4, "return_sequences": True}, SERIES),
    ("GRU", {"units": 4}, SERIES),
    ("GRU", {"units": 4, "reset_after": False}, SERIES),
    ("SimpleRNN", {"units": 4}, SERIES),
    ("Dropout", {"rate": 0.5}, VECTOR),
    ("SpatialDropout1D", {"rate": 0.5}, SERIES),
    ("GaussianNoise", {"stddev": 1.0}, VECTOR),
]


def randomised(model: Any) -> Any:
    """With weights that no two roles share, so that a swapped order shows."""
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.1, 1, w.shape).astype(w.dtype) for w in model.get_weights()])
    return model


def sequential(shape: tuple[int, ...], *layers: Any, dtype: str = "float32") -> Any:
    import keras

    return randomised(keras.Sequential([keras.Input(shape, dtype=dtype, name="given"), *layers]))


def assert_twin(source: Any) -> Any:
    """The twin answers alike on inputs that the bridge itself did not try."""
    import tensorflow as tf

    twin = to_tf_keras(source)
    assert twin.source.flavour == "tf_keras"
    assert twin.source.inputs == source.inputs
    assert twin.source.outputs == source.outputs
    rng = np.random.default_rng(7)
    tensors = {}
    for spec in source.inputs:
        values = rng.uniform(-3, 3, spec.concrete_shape(3))
        tensors[spec.name] = tf.constant(
            np.abs(values) if "int" in spec.dtype else values, spec.dtype
        )
    expected, received = source.call(tensors), twin.source.call(tensors)
    assert set(expected) == set(received)
    for name in expected:
        a, b = np.asarray(expected[name]), np.asarray(received[name])
        assert np.abs(a - b).max() <= TOLERANCE * (np.ptp(a) or 1.0)
    return twin


@pytest.mark.parametrize(
    ("kind", "arguments", "shape"),
    LAYERS,
    ids=[f"{kind}-{number}" for number, (kind, _, _) in enumerate(LAYERS)],
)
def test_each_layer(
    reloaded: Reloaded, kind: str, arguments: dict[str, Any], shape: tuple[int, ...]
) -> None:
    import keras

    assert_twin(reloaded(sequential(shape, getattr(keras.layers, kind)(**arguments))))


def test_embedding(reloaded: Reloaded) -> None:
    import keras

    assert_twin(reloaded(sequential((5,), keras.layers.Embedding(12, 4), dtype="int32")))


@pytest.mark.parametrize("wrapper", ["Bidirectional", "TimeDistributed"])
def test_wrapped_layers(reloaded: Reloaded, wrapper: str) -> None:
    import keras

    layers = keras.layers
    inner = layers.LSTM(4) if wrapper == "Bidirectional" else layers.Dense(4)
    assert_twin(reloaded(sequential(SERIES, getattr(layers, wrapper)(inner))))


@pytest.mark.parametrize(
    "kind", ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate"]
)
def test_each_merging_layer(reloaded: Reloaded, kind: str) -> None:
    import keras

    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    assert_twin(reloaded(keras.Model([a, b], getattr(keras.layers, kind)()([a, b]))))


def test_a_shared_layer_stays_one(reloaded: Reloaded) -> None:
    import keras

    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    shared = keras.layers.Dense(3, name="shared")
    model = keras.Model([a, b], keras.layers.Subtract()([shared(a), shared(b)]))
    twin = assert_twin(reloaded(randomised(model)))
    assert len(twin.source.model.trainable_weights) == 2


def test_branches_and_outputs_by_name(reloaded: Reloaded) -> None:
    import keras

    layers = keras.layers
    a, b = keras.Input((4,), name="zebra"), keras.Input((4,), name="ape")
    x = layers.Dense(4)(a)
    outputs = {"z": layers.Dense(2)(layers.Add()([x, a])), "a": layers.Dense(2)(b)}
    assert_twin(reloaded(randomised(keras.Model({"zebra": a, "ape": b}, outputs))))


@pytest.mark.parametrize("name", ["MobileNet", "MobileNetV2", "EfficientNetB0"])
def test_whole_networks(reloaded: Reloaded, name: str) -> None:
    import keras

    build = getattr(keras.applications, name)
    assert_twin(reloaded(build(input_shape=(32, 32, 3), weights=None, classes=5)))


def test_weights_go_back(reloaded: Reloaded) -> None:
    import keras

    source = reloaded(sequential(VECTOR, keras.layers.Dense(4, name="one")))
    twin = to_tf_keras(source)
    doubled = [2 * w for w in twin.source.model.get_weights()]
    twin.source.model.set_weights(doubled)
    copy_back(twin)
    for received, expected in zip(source.model.get_weights(), doubled, strict=True):
        np.testing.assert_array_equal(received, expected)


def test_a_model_of_tf_keras_is_its_own_twin(tmp_path: Path) -> None:
    import tf_keras

    model = tf_keras.Sequential(
        [tf_keras.Input((4, 4, 1), name="in"), tf_keras.layers.DepthwiseConv2D(3, name="a")]
    )
    model.save(tmp_path / "m.h5")
    source = load(tmp_path / "m.h5")
    assert source.flavour == "tf_keras"
    assert to_tf_keras(source).source is source


def test_a_layer_that_cannot_be_made_anew_is_named() -> None:
    import keras

    class Scaled(keras.layers.Layer):
        def __init__(self, by: Any) -> None:
            super().__init__(name="mine")
            self.by = by

        def call(self, x: Any) -> Any:
            return x * self.by

    a = keras.Input((4,), name="a")
    model = keras.Model(a, Scaled(keras.ops.ones(4))(a))
    with pytest.raises(BridgeError, match=r"m\.keras: layer 'mine' \(Scaled\) cannot be carried"):
        to_tf_keras(from_keras(Path("m.keras"), "keras", model))


def test_a_stateful_layer_is_refused() -> None:
    import keras

    a = keras.Input(batch_shape=(2, 5, 3), name="a")
    model = keras.Model(a, keras.layers.LSTM(4, stateful=True, name="keeps")(a))
    with pytest.raises(BridgeError, match=r"layer 'keeps' \(LSTM\) is stateful"):
        to_tf_keras(from_keras(Path("m.keras"), "keras", model))


def test_the_first_layer_that_answers_differently_is_named(
    reloaded: Reloaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras

    from edgekit.models.bridge import activations

    layers = keras.layers
    source = reloaded(
        sequential(
            VECTOR,
            layers.Dense(4, name="fine"),
            layers.Activation("hard_sigmoid", name="odd"),
            layers.Dense(2, name="after"),
        )
    )
    # tf_keras' function of that name is another.
    monkeypatch.setattr(activations, "_SAME", "linear hard_sigmoid")
    with pytest.raises(BridgeError, match=r"layer 'odd' \(Activation\) answers differently"):
        to_tf_keras(source)


def test_a_saved_model_cannot_cross(tmp_path: Path) -> None:
    import keras

    sequential(VECTOR, keras.layers.Dense(2)).export(tmp_path / "exported", verbose=False)
    with pytest.raises(BridgeError, match=r"no Keras layers\. Save the model as \.keras"):
        to_tf_keras(load(tmp_path / "exported"))
