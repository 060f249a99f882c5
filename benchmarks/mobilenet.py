"""A MobileNetV2 to export: seeded, untrained, its batch normalisation adapted to the images.

Without that the activations fade to 1e-5, and the converter's int16x8 file does not load.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

NAME = "mobilenetv2.keras"


def make(folder: Path, images: int) -> Any:
    """Save the model, 160x160 and alpha 1, as `NAME` in `folder`.

    Returns:
        Smooth colours with noise, float32 (images, 160, 160, 3) in [-1, 1]; at least 32 of them.
    """
    import keras

    keras.utils.set_random_seed(0)
    x = colours(max(images, 32), 160)
    model = keras.applications.MobileNetV2((160, 160, 3), alpha=1.0, weights=None)
    adapt(model, x)
    model.save(folder / NAME)
    return x


def colours(count: int, size: int) -> Any:
    """Smooth colours with noise, float32 (count, size, size, 3) in [-1, 1]; `size` is a multiple of 32."""
    rng = np.random.default_rng(0)
    coarse = rng.uniform(-1, 1, (count, size // 32, size // 32, 3)).repeat(32, 1).repeat(32, 2)
    return (0.8 * coarse + rng.uniform(-0.2, 0.2, coarse.shape)).astype(np.float32)


def adapt(model: Any, x: Any) -> None:
    """Give batch normalisations the statistics of what they are given for 32 images."""
    import keras

    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for norm in norms:
        norm.momentum = 0.0
    model(x[:32], training=True)
