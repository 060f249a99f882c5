"""Networks of depthwise-separable convolutions: a keyword spotter and MobileNetV1."""

from __future__ import annotations

from typing import Any

from edgekit.errors import require
from edgekit.models.architectures.task import (
    PURPOSE,
    Task,
    begin,
    expect_images,
    expect_shape,
    finish,
    normalised,
    scaled,
)
from edgekit.recipe import ModelRecipe

# Channels and stride of each separable block (Howard et al., table 1).
_MOBILENET_BLOCKS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *((512, 1),) * 5,
    (1024, 2),
    (1024, 1),
)


def ds_cnn(task: Task, recipe: ModelRecipe) -> Any:
    """One 10x4 convolution with stride 2, then four depthwise-separable ones of 64 channels.

    The keyword spotter of MLPerf Tiny (Banbury et al., "MLPerf Tiny Benchmark", 2021): the small
    DS-CNN of Zhang et al., "Hello Edge: Keyword Spotting on Microcontrollers", 2017. 24,332
    parameters on the benchmark's 49 frames of 10 coefficients and 12 words.

    Args:
        task: spectrograms of shape (frames, coefficients), or with a last axis for channels, at
            least 8x4.
        recipe: `width` multiplies 64 channels; half of `dropout` is applied behind the first
            convolution as well.

    Returns:
        A Keras 3 model from ``audio`` (batch, frames, coefficients[, channels]) to what the task
        asks for (batch, classes).

    Raises:
        RecipeError: samples are not spectrograms of at least 8x4.
    """
    keras = require("keras", "export", PURPOSE)
    layers = keras.layers
    shape = task.input_shape
    fits = len(shape) in (2, 3) and shape[0] >= 8 and shape[1] >= 4
    expect_shape(
        task, "ds_cnn", fits, "spectrograms (frames, coefficients[, channels]) of at least 8x4"
    )
    inputs, x = begin(task, "audio")
    if len(shape) == 2:
        x = layers.Reshape((*shape, 1), name="channels")(x)
    channels = scaled(64, recipe)
    x = layers.Conv2D(channels, (10, 4), 2, padding="same", use_bias=False, name="stem_conv")(x)
    x = normalised(x, "stem")
    x = layers.Dropout(recipe.dropout / 2, name="stem_dropout")(x)
    for block in range(1, 5):
        x = _separable(x, channels, 1, f"block{block}")
    x = layers.GlobalAveragePooling2D(name="average")(x)
    return keras.Model(inputs, finish(x, task, recipe), name="ds_cnn")


def mobilenet_v1(task: Task, recipe: ModelRecipe) -> Any:
    """A 3x3 convolution and thirteen depthwise-separable ones, halved five times.

    Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision
    Applications", 2017, table 1, with their width multiplier; plain ReLUs. At width 0.25 on 96x96x3
    images of two classes it is the person detector of MLPerf Tiny (Banbury et al., "MLPerf Tiny
    Benchmark", 2021), 219,058 parameters; at width 1 and 1,000 classes 4,253,864.

    Args:
        task: images of shape (height, width, channels), at least 16x16.
        recipe: `width` multiplies 32 to 1,024 channels.

    Returns:
        A Keras 3 model from ``image`` (batch, height, width, channels) to what the task asks for
        (batch, classes).

    Raises:
        RecipeError: samples are not images of at least 16x16.
    """
    keras = require("keras", "export", PURPOSE)
    layers = keras.layers
    expect_images(task, "mobilenet_v1", 16)
    inputs, x = begin(task, "image")
    x = layers.Conv2D(scaled(32, recipe), 3, 2, padding="same", use_bias=False, name="stem_conv")(x)
    x = normalised(x, "stem")
    for block, (channels, stride) in enumerate(_MOBILENET_BLOCKS, start=1):
        x = _separable(x, scaled(channels, recipe), stride, f"block{block}")
    x = layers.GlobalAveragePooling2D(name="average")(x)
    return keras.Model(inputs, finish(x, task, recipe), name="mobilenet_v1")


def _separable(x: Any, channels: int, stride: int, name: str) -> Any:
    layers = require("keras", "export", PURPOSE).layers
    depthwise = layers.DepthwiseConv2D(
        3, stride, padding="same", use_bias=False, name=f"{name}_depthwise_conv"
    )
    x = normalised(depthwise(x), f"{name}_depthwise")
    pointwise = layers.Conv2D(channels, 1, use_bias=False, name=f"{name}_pointwise_conv")
    return normalised(pointwise(x), f"{name}_pointwise")
