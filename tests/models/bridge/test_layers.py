"""Layer by layer: Keras 3 to tf_keras, and back."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgekit.errors import ArtifactError
from edgekit.models.bridge import to_keras, to_tf_keras
from edgekit.models.source import from_keras

Bridged = Callable[[Any], Any]
IMAGE, SERIES, VECTOR, SPACE = (8, 8, 3), (5, 3), (6,), (4, 4, 4, 2)

ACTIVATIONS: str = (
    "tanh silu relu6 hard_sigmoid hard_silu selu exponential softplus softsign mish gelu log_softmax "
    "leaky_relu celu hard_tanh squareplus"
)

# Layer, arguments, shape of a sample; the model holds tf_keras' layer of the same name.
NATIVE: list[tuple[str, dict[str, Any], tuple[int, ...]]] = [
    ("Conv1D", {"filters": 4, "kernel_size": 3, "padding": "causal"}, SERIES),
    ("Conv1DTranspose", {"filters": 4, "kernel_size": 3, "strides": 2}, SERIES),
    ("Conv2D", {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same"}, IMAGE),
    ("Conv2D", {"filters": 4, "kernel_size": 3, "dilation_rate": 2, "activation": "relu"}, IMAGE),
    ("Conv2D", {"filters": 6, "kernel_size": 3, "groups": 3}, IMAGE),
    (
        "Conv2DTranspose",
        {"filters": 4, "kernel_size": 3, "strides": 2, "output_padding": 1},
        IMAGE,
    ),
    ("Conv3D", {"filters": 3, "kernel_size": 2}, SPACE),
    ("Conv3DTranspose", {"filters": 3, "kernel_size": 2, "strides": 2}, SPACE),
    ("DepthwiseConv1D", {"kernel_size": 3}, SERIES),
    ("DepthwiseConv2D", {"kernel_size": 3, "depth_multiplier": 2}, IMAGE),
    ("SeparableConv1D", {"filters": 4, "kernel_size": 3}, SERIES),
    ("SeparableConv2D", {"filters": 4, "kernel_size": 3}, IMAGE),
    ("Dense", {"units": 4, "activation": "gelu", "kernel_regularizer": "l2"}, VECTOR),
    ("Dense", {"units": 4, "use_bias": False, "kernel_constraint": "max_norm"}, VECTOR),
    ("Dense", {"units": 4, "activation": "hard_sigmoid"}, VECTOR),
    (
        "EinsumDense",
        {"equation": "abc,cd->abd", "output_shape": (None, 4), "bias_axes": "d"},
        SERIES,
    ),
    ("BatchNormalization", {"momentum": 0.9, "epsilon": 0.01}, IMAGE),
    ("BatchNormalization", {"axis": 1, "center": False}, IMAGE),
    ("LayerNormalization", {"axis": [1, 2], "epsilon": 0.1}, SERIES),
    ("GroupNormalization", {"groups": 3}, IMAGE),
    ("UnitNormalization", {}, SERIES),
    ("Normalization", {"mean": 2.0, "variance": 9.0}, VECTOR),
    ("ReLU", {"max_value": 6.0, "negative_slope": 0.1, "threshold": 0.5}, VECTOR),
    ("LeakyReLU", {"negative_slope": 0.2}, VECTOR),
    ("ELU", {"alpha": 0.7}, VECTOR),
    ("PReLU", {"shared_axes": [1, 2]}, IMAGE),
    ("Softmax", {"axis": [1, 2]}, IMAGE),
    *[("Activation", {"activation": name}, VECTOR) for name in ACTIVATIONS.split()],
    ("MaxPooling1D", {"pool_size": 2}, SERIES),
    ("MaxPooling2D", {"pool_size": 2}, IMAGE),
    ("AveragePooling2D", {"pool_size": 3, "strides": 2, "padding": "same"}, IMAGE),
    ("AveragePooling3D", {"pool_size": 2}, SPACE),
    ("GlobalAveragePooling1D", {"keepdims": True}, SERIES),
    ("GlobalAveragePooling2D", {"keepdims": True}, IMAGE),
    ("GlobalMaxPooling2D", {}, IMAGE),
    ("GlobalMaxPooling3D", {}, SPACE),
    ("Reshape", {"target_shape": (2, -1)}, VECTOR),
    ("Flatten", {"data_format": "channels_first"}, IMAGE),
    ("Permute", {"dims": (2, 1, 3)}, IMAGE),
    ("RepeatVector", {"n": 3}, VECTOR),
    ("ZeroPadding1D", {"padding": 2}, SERIES),
    ("ZeroPadding2D", {"padding": ((0, 1), (2, 0))}, IMAGE),
    ("Cropping2D", {"cropping": 1}, IMAGE),
    ("UpSampling1D", {"size": 2}, SERIES),
    ("UpSampling2D", {"size": 2, "interpolation": "bilinear"}, IMAGE),
    ("Resizing", {"height": 4, "width": 5, "crop_to_aspect_ratio": True}, IMAGE),
    ("CenterCrop", {"height": 4, "width": 4}, IMAGE),
    ("Rescaling", {"scale": 1 / 127.5, "offset": -1.0}, IMAGE),
    ("LSTM", {"units": 4, "return_sequences": True, "use_cudnn": False}, SERIES),
    ("LSTM", {"units": 4, "go_backwards": True, "recurrent_activation": "hard_sigmoid"}, SERIES),
    ("GRU", {"units": 4}, SERIES),
    ("GRU", {"units": 4, "reset_after": False, "unroll": True}, SERIES),
    ("SimpleRNN", {"units": 4}, SERIES),
    ("ConvLSTM1D", {"filters": 2, "kernel_size": 2}, (3, 5, 2)),
    ("ConvLSTM2D", {"filters": 2, "kernel_size": 2}, (3, 5, 5, 2)),
    ("Discretization", {"bin_boundaries": [-0.5, 0.5]}, VECTOR),
    ("Dropout", {"rate": 0.5}, VECTOR),
    ("SpatialDropout1D", {"rate": 0.5}, SERIES),
    ("GaussianNoise", {"stddev": 1.0}, VECTOR),
    ("RandomFlip", {}, IMAGE),
    ("Identity", {}, VECTOR),
]
# Those that tf_keras has not, or not so: carried as they are.
CARRIED: list[tuple[str, dict[str, Any], tuple[int, ...]]] = [
    ("RMSNormalization", {}, SERIES),
    ("AdaptiveAveragePooling2D", {"output_size": 3}, IMAGE),
    ("Resizing", {"height": 4, "width": 6, "pad_to_aspect_ratio": True}, IMAGE),
]


def ids(rows: list[tuple[str, dict[str, Any], tuple[int, ...]]]) -> list[str]:
    return [f"{kind}-{number}" for number, (kind, _, _) in enumerate(rows)]


def sequential(shaken: Any, shape: tuple[int, ...], *layers: Any, dtype: str = "float32") -> Any:
    import keras

    return shaken(keras.Sequential([keras.Input(shape, dtype=dtype, name="given"), *layers]))


def kinds(twin: Any) -> list[str]:
    return [type(layer).__name__ for layer in twin.source.model.layers]


@pytest.mark.parametrize(("kind", "arguments", "shape"), NATIVE, ids=ids(NATIVE))
def test_each_layer(
    bridged: Bridged, shaken: Any, kind: str, arguments: dict[str, Any], shape: tuple[int, ...]
) -> None:
    import keras

    model = sequential(shaken, shape, getattr(keras.layers, kind)(**arguments))
    assert kinds(bridged(model)) == ["InputLayer", kind]


@pytest.mark.parametrize(("kind", "arguments", "shape"), CARRIED, ids=ids(CARRIED))
def test_layers_that_tf_keras_has_not(
    bridged: Bridged, shaken: Any, kind: str, arguments: dict[str, Any], shape: tuple[int, ...]
) -> None:
    import keras

    model = sequential(shaken, shape, getattr(keras.layers, kind)(**arguments))
    assert kinds(bridged(model)) == ["InputLayer", "Carried"]


def test_a_channels_first_convolution(bridged: Bridged, shaken: Any) -> None:
    """Carried; or, where TensorFlow came without the kernels for it, the error says how to get them."""
    import keras

    layer = keras.layers.Conv2D(4, 3, data_format="channels_first")
    model = sequential(shaken, IMAGE, layer)
    if os.environ["TF_ENABLE_ONEDNN_OPTS"] == "0":
        with pytest.raises(ArtifactError, match="expected '1' when TensorFlow is first imported"):
            bridged(model)
    else:
        assert kinds(bridged(model)) == ["InputLayer", "Carried"]


@pytest.mark.slow
def test_layers_around_layers(bridged: Bridged, shaken: Any) -> None:
    import keras

    L = keras.layers
    model = sequential(
        shaken,
        SERIES,
        L.TimeDistributed(L.Dense(4)),
        L.Bidirectional(L.GRU(2, return_sequences=True), merge_mode="sum"),
        L.RNN([L.LSTMCell(3), L.GRUCell(2)], return_sequences=True),
        L.Bidirectional(L.LSTM(2), backward_layer=L.LSTM(2, go_backwards=True, activation="relu")),
    )
    assert kinds(bridged(model))[1:] == ["TimeDistributed", "Bidirectional", "RNN", "Bidirectional"]


def test_a_carried_layer_inside_a_wrapper(bridged: Bridged, shaken: Any) -> None:
    import keras

    inner = keras.Sequential([keras.layers.Dense(4), keras.layers.RMSNormalization()])
    model = sequential(shaken, SERIES, keras.layers.TimeDistributed(inner))
    assert kinds(bridged(model)) == ["InputLayer", "Carried"]


def test_what_was_adapted_becomes_constant(bridged: Bridged) -> None:
    import keras
    import numpy as np

    layer = keras.layers.Normalization()
    layer.adapt(np.random.default_rng(0).normal(3.0, 2.0, (50, 6)))
    twin = bridged(keras.Sequential([keras.Input(VECTOR, name="given"), layer]))
    assert not twin.source.model.weights


@pytest.mark.slow
def test_masks_travel(bridged: Bridged, shaken: Any) -> None:
    """Through layers that hand them on, away at those that drop them."""
    import keras

    L = keras.layers
    ids, x = keras.Input((6,), dtype="int32", name="ids"), keras.Input((6, 3), name="x")
    seen = L.Embedding(3, 3, mask_zero=True)(ids)
    both = L.Concatenate()([seen, L.Masking(0.0)(x)])
    outputs = {
        "last": L.LSTM(3)(both),
        "mean": L.GlobalAveragePooling1D()(L.Dropout(0.1)(both)),
        "attended": L.MultiHeadAttention(2, 3)(seen, seen),
        "dropped": L.GlobalMaxPooling1D()(L.Conv1D(2, 2)(seen)),
        "operated": L.GlobalAveragePooling1D()(keras.ops.relu(seen * 2.0)),
        "given": L.GRU(2)(x, mask=keras.ops.greater(ids, 1)),
    }
    bridged(shaken(keras.Model({"ids": ids, "x": x}, outputs)))


def test_attention(bridged: Bridged, shaken: Any) -> None:
    import keras

    L = keras.layers
    a, b = keras.Input((5, 4), name="a"), keras.Input((3, 4), name="b")
    may = keras.Input((5, 3), dtype="bool", name="may")
    scores, weights = L.MultiHeadAttention(
        2, 3, value_dim=5, output_shape=6, flash_attention=False
    )(a, b, return_attention_scores=True)
    outputs = [
        scores,
        weights,
        L.MultiHeadAttention(2, 3)(a, a, use_causal_mask=True),
        L.MultiHeadAttention(2, 3)(query=a, value=b, attention_mask=may),
        L.Attention(use_scale=True)([a, b]),
        L.Attention(score_mode="concat")([a, a], use_causal_mask=True),
        L.AdditiveAttention()([a, b]),
        L.GroupQueryAttention(3, 4, 2)(a, b),
    ]
    twin = bridged(shaken(keras.Model([a, b, may], outputs)))
    # tf_keras has no grouped queries, and attends to something where Keras 3 masks everything.
    assert kinds(twin).count("Carried") == 2


def test_states_are_given_and_taken(bridged: Bridged, shaken: Any) -> None:
    import keras

    L = keras.layers
    x, h = keras.Input((5, 3), name="x"), keras.Input((4,), name="h")
    sequence, hidden, cell = L.LSTM(4, return_sequences=True, return_state=True)(x)
    after = L.LSTM(4)(x, initial_state=[hidden, cell])
    outputs = {"all": sequence, "after": after, "gru": L.GRU(4)(x, initial_state=h)}
    bridged(shaken(keras.Model({"x": x, "h": h}, outputs)))


@pytest.mark.parametrize(
    "kind", ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate", "Dot"]
)
def test_each_merging_layer(bridged: Bridged, kind: str) -> None:
    import keras

    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    layer = getattr(keras.layers, kind)(**({"axes": 1} if kind == "Dot" else {}))
    assert kinds(bridged(keras.Model([a, b], layer([a, b]))))[-1] == kind


def test_16_bit_models_get_a_float32_twin(shaken: Any) -> None:
    import keras

    layers = [
        keras.layers.Dense(4, activation="relu", dtype="mixed_float16"),
        keras.layers.Dense(3, dtype="bfloat16"),
    ]
    model = sequential(shaken, VECTOR, *layers)
    twin = to_tf_keras(from_keras(Path("m.keras"), "keras", model))
    assert twin.source.outputs[0].dtype == "float32"
    assert {layer.dtype_policy.name for layer in layers} == {"mixed_float16", "bfloat16"}
    back = to_keras(twin.source)
    assert back.source.outputs[0].dtype == "float32"
