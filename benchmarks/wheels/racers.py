"""The files that `race.py` lets run: ResNet-8 in float32 and int8, as edgekit exports it."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

NAME = "resnet8"


def write(folder: Path) -> None:
    """``resnet8.<scheme>.<format>`` for both schemes and formats, with random weights."""
    import keras
    import numpy as np

    import edgekit
    from edgekit.models.architectures import Task, build
    from edgekit.recipe import ModelRecipe
    from edgekit.samples import Samples

    keras.utils.set_random_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    model = build(Task((32, 32, 3), 10, 1.0), ModelRecipe(NAME))
    model.save(folder / f"{NAME}.keras")
    x = np.random.default_rng(0).random((64, 32, 32, 3), np.float32)
    edgekit.export(
        folder / f"{NAME}.keras",
        out=folder,
        schemes=["float32", "int8"],
        formats=["tflite", "onnx"],
        calibration=Samples({"x": x}),
        overwrite=True,
    )
