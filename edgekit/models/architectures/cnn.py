"""A plain convolutional image classifier."""

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


def cnn(task: Task, recipe: ModelRecipe) -> Any:
    """Three 3x3 convolutions with batch normalisation, halved twice, averaged, one dense layer.

    The plain pattern of VGG (Simonyan and Zisserman, 2015) with batch normalisation (Ioffe and
    Szegedy, 2015) and global average pooling (Lin et al., "Network in Network", 2014). 75,754
    parameters on 28x28x1 images of 10 classes.

    Args:
        task: images of shape (height, width, channels), at least 4x4.
        recipe: `width` multiplies 32, 64 and 96 channels.

    Returns:
        A Keras 3 model from ``image`` (batch, height, width, channels) to what the task asks for
        (batch, classes).

    Raises:
        RecipeError: samples are not images of at least 4x4.
    """
    keras = require("keras", "export", PURPOSE)
    layers = keras.layers
    expect_images(task, "cnn", 4)
    inputs, x = begin(task, "image")
    for stage, channels in enumerate((32, 64, 96), start=1):
        x = layers.Conv2D(
            scaled(channels, recipe), 3, padding="same", use_bias=False, name=f"conv{stage}"
        )(x)
        # Keras' own momentum of 0.99 wants hundreds of steps before validation means anything.
        x = layers.BatchNormalization(momentum=0.9, name=f"norm{stage}")(x)
        x = layers.ReLU(name=f"relu{stage}")(x)
        if stage < 3:
            x = layers.MaxPooling2D(name=f"pool{stage}")(x)
    x = layers.GlobalAveragePooling2D(name="average")(x)
    return keras.Model(inputs, finish(x, task, recipe), name="cnn")
