"""Poolings whose stride a convolution takes over: the places that stay have the values they had."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edgekit
from edgekit.errors import UsageError
from edgekit.models import load
from edgekit.models.source import SourceModel, from_keras
from edgekit.optimize.chain import optimize
from edgekit.optimize.channels import slim
from edgekit.optimize.graph import graph_of
from edgekit.optimize.shelf import Shelf
from edgekit.optimize.shrink import windows
from edgekit.optimize.steps import suffix
from edgekit.recipe import ExportRecipe, PruneRecipe, QatRecipe
from edgekit.samples import Samples

POOL = PruneRecipe(pooling_to_stride=("pool",))


def answers(source: SourceModel, x: np.ndarray) -> np.ndarray:
    (result,) = source.call({"image": x}).values()
    return np.asarray(result)


def stage(
    flavour: str, kind: str, places: int, pooling: str, pool: dict[str, Any], **conv: Any
) -> Any:
    """A convolution, normalisation, activation and pooling; statistics of training."""
    layers = __import__(flavour).layers
    axes = int(kind[-2])
    image = layers.Input((*[places] * axes, 2), name="image")
    count = {} if kind.startswith("Depthwise") else {"filters": 3}
    x = getattr(layers, kind)(**count, **{"padding": "same", **conv}, name="looks")(image)
    x = layers.ReLU(name="relu")(layers.BatchNormalization(name="norm")(x))
    x = getattr(layers, f"{pooling}Pooling{axes}D")(name="pool", **pool)(x)
    model = __import__(flavour).Model(image, x)
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(0.5, 0.3, w.shape) ** 2 for w in model.get_weights()])
    return model


@settings(max_examples=15)
@given(
    st.sampled_from(["Conv1D", "Conv2D", "DepthwiseConv2D", "Conv3D"]),
    st.sampled_from(["keras", "tf_keras"]),
    st.sampled_from(["Max", "Average"]),
    st.sampled_from(["same", "valid"]),
    st.integers(1, 5),
    st.integers(1, 3),
    st.integers(5, 9),
)
def test_what_stays_is_one_place_of_each_window(
    kind: str, flavour: str, pooling: str, padding: str, size: int, window: int, places: int
) -> None:
    pool = {"pool_size": window, "padding": "same"}
    model = stage(flavour, kind, places, pooling, pool, kernel_size=size, padding=padding)
    source = from_keras(Path("m.keras"), flavour, model)
    small = slim(source, POOL)
    axes = int(kind[-2])
    assert small.strides == {"looks": ([1] * axes, [window] * axes)}
    assert type(small.source.model.get_layer("pool")).__name__ == "Identity"
    x = np.random.default_rng(1).normal(size=(2, *[places] * axes, 2)).astype(np.float32)
    got = answers(small.source, x)
    assert got.shape == answers(source, x).shape
    keras = __import__(flavour)
    inner = keras.Model(model.input, model.get_layer("relu").output)
    before = np.asarray(inner(x))
    # One of the window's places, the same along each axis.
    candidates = [
        before[(slice(None), *[slice(first, None, window)] * axes)]
        for first in range(window if padding == "same" else 1)
    ]
    assert any(each.shape == got.shape and np.allclose(each, got, atol=1e-4) for each in candidates)


@settings(max_examples=10)
@given(st.integers(2, 5), st.integers(1, 4), st.integers(2, 3), st.integers(5, 8))
def test_kernels_are_cut_where_the_new_stride_puts_them(
    size: int, less: int, window: int, places: int
) -> None:
    pool = {"pool_size": window, "padding": "same"}
    model = stage("keras", "Conv2D", places, "Max", pool, kernel_size=size, use_bias=False)
    source = from_keras(Path("m.keras"), "keras", model)
    asked = {"looks": (max(1, size - less),) * 2}
    (stays,) = windows(graph_of(source), asked, {"looks": (window, window)}).values()
    layer = model.get_layer("looks")
    kernel = np.zeros(layer.kernel.shape, np.float32)
    kernel[stays] = np.asarray(layer.kernel)[stays]
    layer.set_weights([kernel])
    both = slim(source, PruneRecipe(kernels=asked, pooling_to_stride=("pool",)))
    x = np.random.default_rng(1).normal(size=(2, places, places, 2)).astype(np.float32)
    np.testing.assert_allclose(
        answers(both.source, x), answers(slim(source, POOL).source, x), atol=1e-4
    )


def test_a_sequential_model_with_fewer_channels_too() -> None:
    import tf_keras

    layers = tf_keras.layers
    model = tf_keras.Sequential(
        [
            layers.Input((8, 8, 1), name="image"),
            layers.Conv2D(8, 3, padding="same", activation="relu", name="looks"),
            layers.MaxPooling2D(name="pool"),
            layers.Flatten(),
            layers.Dense(2, name="scores"),
        ]
    )
    source = from_keras(Path("m.h5"), "tf_keras", model)
    small = slim(source, PruneRecipe(channels=0.5, multiple=1, pooling_to_stride=("pool",)))
    assert small.source.model.get_layer("looks").kernel.shape == (3, 3, 1, 4)
    assert small.source.model.get_layer("scores").kernel.shape == (64, 2)
    # A quarter of the places, half of the channels.
    assert small.effect.figures["macs_before"] == 64 * 72 + 256
    assert small.effect.figures["macs_after"] == 16 * 36 + 128
    alone = slim(source, POOL)
    assert "as many weights (338): files stay as large" in alone.effect.text


@pytest.mark.parametrize("flavour", ["keras", "tf_keras"])
def test_half_precision_stays_half(flavour: str) -> None:
    pool = {"pool_size": 2, "dtype": "mixed_float16"}
    model = stage(flavour, "Conv2D", 6, "Max", pool, kernel_size=3)
    small = slim(from_keras(Path("m.keras"), flavour, model), POOL)
    assert small.source.model.get_layer("pool").compute_dtype == "float16"


def wired(change: str) -> Any:
    import keras

    layers = keras.layers
    image = keras.Input((6, 6, 4), name="image")
    conv = layers.Conv2D(
        4, 3, padding="same", name="looks", dilation_rate=1 + (change == "dilated")
    )
    if change == "depthwise":
        conv = layers.DepthwiseConv2D(3, padding="same", name="looks")
    norm = layers.BatchNormalization(axis=1 if change == "rows" else -1, name="norm")
    sizes = {"overlapping": (3, 2), "uneven": (4, 4), "depthwise": ((2, 1), (2, 1))}
    size, strides = sizes.get(change, (2, 2))
    pool = layers.MaxPooling2D(size, strides, name="pool")
    y = image if change == "bare" else conv(conv(image) if change == "shared" else image)
    x = layers.UpSampling2D(1, name="up")(y) if change == "between" else norm(y)
    x = layers.ReLU(name="relu")(x)
    outputs = [layers.Flatten(name="flatten")(x if change == "unpooled" else pool(x))]
    outputs += [x] if change == "output" else []
    outputs += [layers.Conv2D(1, 1, name="reads")(y)] if change == "read" else []
    return keras.Model(image, outputs)


@pytest.mark.parametrize(
    ("change", "pooling", "says"),
    [
        ("none", "pol", r"pooling_to_stride: the model has no layer 'pol'.*Did you mean 'pool'\?"),
        ("none", "relu", r"no layer 'relu' that this could be done to, expected one of pool\."),
        ("unpooled", "pool", r"no layer 'pool' that this could be done to, nor any other\."),
        ("overlapping", "pool", r"'pool' pools \[3, 3\] places with the stride \[2, 2\]"),
        ("uneven", "pool", r"pools \[4, 4\] of \[6, 6\] places and leaves out what is left"),
        ("bare", "pool", r"gets what layer 'image' \(InputLayer\) makes"),
        ("between", "pool", r"gets what layer 'up' \(UpSampling2D\) makes"),
        ("rows", "pool", r"gets what layer 'norm' \(BatchNormalization\) makes"),
        ("output", "pool", "what layer 'relu' in front of 'pool' makes is used elsewhere too"),
        ("read", "pool", "what layer 'looks' in front of 'pool' makes is used elsewhere too"),
        ("shared", "pool", "layer 'looks' is called 2 times"),
        ("dilated", "pool", r"cannot take the stride \[2, 2\]: its dilation is \[2, 2\]"),
        ("depthwise", "pool", r"'looks' \(DepthwiseConv2D\) .*cannot take the stride \[2, 1\]"),
    ],
)
def test_what_cannot_be_done(change: str, pooling: str, says: str) -> None:
    source = from_keras(Path("m.keras"), "keras", wired(change))
    with pytest.raises(UsageError, match=says):
        slim(source, PruneRecipe(pooling_to_stride=(pooling,)))


def test_the_chain_and_its_files(
    small_model: Path, halves: Samples, right: Callable[[SourceModel], float], tmp_path: Path
) -> None:
    prune = replace(POOL, epochs=2, batch_size=32, learning_rate=0.002)
    recipe = ExportRecipe(prune=prune, qat=QatRecipe(1, batch_size=32))
    assert suffix(recipe) == ".strides.qat"
    lines: list[str] = []
    source = load(small_model)
    shelf = Shelf(tmp_path, "small", "same")
    made = optimize(source, recipe, halves, shelf=shelf, progress=lines.append)
    assert lines[0] == "give convolutions the stride of pool and fine-tune"
    assert made.report["prune"]["strides_by_layer"] == {"mix": [[1, 1], [4, 4]]}
    assert made.report["prune"]["pooling_to_stride"] == ["pool"]
    assert right(made.source) > 0.9
    again = optimize(source, recipe, halves, shelf=shelf)
    assert again.report == made.report
    edgekit.export(tmp_path / "small.strides.qat.keras", out=tmp_path, schemes=["float32"])
    found = edgekit.inspect(tmp_path / "small.strides.qat.float32.tflite")
    assert found.ops["float32"].keys() >= {"CONV_2D", "DEPTHWISE_CONV_2D"}
    assert not any("POOL" in name for name in found.ops["float32"])
