"""A small trained network and its data: quick enough to be changed many times."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.models import load
from edgekit.models.source import SourceModel
from edgekit.samples import Samples


@pytest.fixture(scope="session")
def halves() -> Samples:
    """256 images of which one half is brighter than the other: which one is the class."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 256)
    images = rng.random((256, 8, 8, 2), np.float32)
    images[labels == 0, :4] += 0.4
    images[labels == 1, 4:] += 0.4
    return Samples({"image": images}, labels)


@pytest.fixture(scope="session")
def small_model(once: Callable[..., Path], halves: Samples) -> Path:
    """``small.keras``: convolutions with BatchNormalization, one of them depthwise. Read only."""

    def make(folder: Path) -> None:
        import keras

        keras.utils.set_random_seed(0)
        layers = keras.layers
        image = keras.Input((8, 8, 2), name="image")
        x = layers.Conv2D(16, 3, padding="same", use_bias=False, name="first")(image)
        x = layers.ReLU(name="relu1")(layers.BatchNormalization(momentum=0.9, name="norm1")(x))
        x = layers.DepthwiseConv2D(3, padding="same", name="each")(x)
        x = layers.ReLU(name="relu2")(layers.BatchNormalization(momentum=0.9, name="norm2")(x))
        x = layers.Conv2D(16, 1, activation="relu", name="mix")(x)
        x = layers.Flatten(name="flatten")(layers.AveragePooling2D(4, name="pool")(x))
        x = layers.Dense(2, activation="softmax", name="scores")(x)
        model = keras.Model(image, x, name="small")
        model.compile(keras.optimizers.Adam(0.005), "sparse_categorical_crossentropy")
        model.fit(halves.inputs["image"], halves.labels, epochs=4, verbose=0)
        model.save(folder / "small.keras")

    return once("small-model", make) / "small.keras"


@pytest.fixture
def small(small_model: Path) -> SourceModel:
    return load(small_model)


@pytest.fixture(scope="session")
def right(halves: Samples) -> Callable[[SourceModel], float]:
    """The share of `halves` that a model tells right."""

    def of(source: SourceModel) -> float:
        (answers,) = source.call({"image": halves.inputs["image"]}).values()
        return float(np.mean(np.asarray(answers).argmax(-1) == halves.labels))

    return of


def kernels(model: Any) -> dict[str, np.ndarray]:
    names = ("kernel", "depthwise_kernel")
    return {
        layer.name: np.asarray(kernel)
        for layer in model.layers
        for name in names
        if (kernel := getattr(layer, name, None)) is not None
    }
