"""The image classifier of MLPerf Tiny."""

from __future__ import annotations

from typing import Any

from edgekit.errors import require
from edgekit.models.architectures.task import (
    PURPOSE,
    Task,
    begin,
    expect_images,
    finish,
    scaled,
)
from edgekit.recipe import ModelRecipe


def resnet8(task: Task, recipe: ModelRecipe) -> Any:
    """Three residual stacks of two 3x3 convolutions with 16, 32 and 64 channels.

    The image classifier of MLPerf Tiny (Banbury et al., "MLPerf Tiny Benchmark", 2021), a ResNet v1
    (He et al., "Deep Residual Learning for Image Recognition", 2016) cut to eight layers. 78,714
    parameters on the benchmark's 32x32x3 images of 10 classes.

    Args:
        task: images of shape (height, width, channels), at least 8x8.
        recipe: `width` multiplies the channels.

    Returns:
        A Keras 3 model from ``image`` (batch, height, width, channels) to what the task asks for
        (batch, classes).

    Raises:
        RecipeError: samples are not images of at least 8x8.
    """
    keras = require("keras", "export", PURPOSE)
    layers = keras.layers
    expect_images(task, "resnet8", 8)

    def conv(x: Any, filters: int, size: int, stride: int, name: str, relu: bool) -> Any:
        x = layers.Conv2D(
            filters, size, stride, padding="same", use_bias=False, name=f"{name}_conv"
        )(x)
        x = layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)
        return layers.ReLU(name=f"{name}_relu")(x) if relu else x

    inputs, x = begin(task, "image")
    x = conv(x, scaled(16, recipe), 3, 1, "stem", relu=True)
    for stack, channels in enumerate((16, 32, 64), start=1):
        filters, stride = scaled(channels, recipe), 1 if stack == 1 else 2
        shortcut = x
        x = conv(x, filters, 3, stride, f"stack{stack}a", relu=True)
        x = conv(x, filters, 3, 1, f"stack{stack}b", relu=False)
        if stride > 1:
            shortcut = conv(shortcut, filters, 1, stride, f"stack{stack}s", relu=False)
        x = layers.Add(name=f"stack{stack}_add")([x, shortcut])
        x = layers.ReLU(name=f"stack{stack}_relu")(x)
    x = layers.GlobalAveragePooling2D(name="average")(x)
    return keras.Model(inputs, finish(x, task, recipe), name="resnet8")
