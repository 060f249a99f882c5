"""Reference architectures of the size that edge boards run, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edgekit.errors import RecipeError, nearest, require
from edgekit.recipe import ModelRecipe


@dataclass(frozen=True)
class Task:
    """What a network is built for.

    Attributes:
        input_shape: of one sample, images as (height, width, channels).
        classes: how many there are.
        scale: brings raw values to about [-1, 1]; the network's first layer applies it, so
            that every exported file takes the data as it is.
    """

    input_shape: tuple[int, ...]
    classes: int
    scale: float


def cnn(task: Task, recipe: ModelRecipe) -> Any:
    """Three 3x3 convolutions with batch normalisation, halved twice, averaged, one dense layer.

    The plain pattern of VGG (Simonyan and Zisserman, 2015) with batch normalisation (Ioffe and
    Szegedy, 2015) and global average pooling (Lin et al., "Network in Network", 2014).

    Args:
        task: images of shape (height, width, channels), at least 4x4.
        recipe: `width` multiplies 32, 64 and 96 channels.

    Returns:
        A Keras 3 model from ``image`` (batch, height, width, channels) to ``probabilities``
        (batch, classes).

    Raises:
        RecipeError: samples are not images of at least 4x4.
    """
    keras = require("keras", "export", "Building a model")
    layers = keras.layers
    if len(task.input_shape) != 3 or min(task.input_shape[:2]) < 4:
        raise RecipeError(
            f"model 'cnn': received samples of shape {list(task.input_shape)}, expected images "
            "(height, width, channels) of at least 4x4."
        )
    inputs = keras.Input(task.input_shape, name="image")
    x = layers.Rescaling(task.scale, name="rescale")(inputs)
    for stage, channels in enumerate((32, 64, 96), start=1):
        filters = max(1, round(channels * recipe.width))
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"conv{stage}")(x)
        # Keras' own momentum of 0.99 wants hundreds of steps before validation means anything.
        x = layers.BatchNormalization(momentum=0.9, name=f"norm{stage}")(x)
        x = layers.ReLU(name=f"relu{stage}")(x)
        if stage < 3:
            x = layers.MaxPooling2D(name=f"pool{stage}")(x)
    x = layers.GlobalAveragePooling2D(name="average")(x)
    x = layers.Dropout(recipe.dropout, name="dropout")(x)
    x = layers.Dense(task.classes, name="logits")(x)
    outputs = layers.Softmax(name="probabilities")(x)
    return keras.Model(inputs, outputs, name="cnn")


def resnet8(task: Task, recipe: ModelRecipe) -> Any:
    """Three residual stacks of two 3x3 convolutions with 16, 32 and 64 channels.

    The image classifier of MLPerf Tiny (Banbury et al., "MLPerf Tiny Benchmark", 2021), a ResNet v1
    (He et al., "Deep Residual Learning for Image Recognition", 2016) cut to eight layers.

    Args:
        task: images of shape (height, width, channels), at least 8x8.
        recipe: `width` multiplies the channels.

    Returns:
        A Keras 3 model from ``image`` (batch, height, width, channels) to ``probabilities``
        (batch, classes).

    Raises:
        RecipeError: samples are not images of at least 8x8.
    """
    keras = require("keras", "export", "Building a model")
    layers = keras.layers
    if len(task.input_shape) != 3 or min(task.input_shape[:2]) < 8:
        raise RecipeError(
            f"model 'resnet8': received samples of shape {list(task.input_shape)}, expected images "
            "(height, width, channels) of at least 8x8."
        )

    def conv(x: Any, filters: int, size: int, stride: int, name: str, relu: bool) -> Any:
        x = layers.Conv2D(
            filters, size, stride, padding="same", use_bias=False, name=f"{name}_conv"
        )(x)
        x = layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)
        return layers.ReLU(name=f"{name}_relu")(x) if relu else x

    inputs = keras.Input(task.input_shape, name="image")
    x = layers.Rescaling(task.scale, name="rescale")(inputs)
    x = conv(x, max(1, round(16 * recipe.width)), 3, 1, "stem", relu=True)
    for stack, channels in enumerate((16, 32, 64), start=1):
        filters, stride = max(1, round(channels * recipe.width)), 1 if stack == 1 else 2
        shortcut = x
        x = conv(x, filters, 3, stride, f"stack{stack}a", relu=True)
        x = conv(x, filters, 3, 1, f"stack{stack}b", relu=False)
        if stride > 1:
            shortcut = conv(shortcut, filters, 1, stride, f"stack{stack}s", relu=False)
        x = layers.Add(name=f"stack{stack}_add")([x, shortcut])
        x = layers.ReLU(name=f"stack{stack}_relu")(x)
    x = layers.GlobalAveragePooling2D(name="average")(x)
    x = layers.Dropout(recipe.dropout, name="dropout")(x)
    x = layers.Dense(task.classes, name="logits")(x)
    outputs = layers.Softmax(name="probabilities")(x)
    return keras.Model(inputs, outputs, name="resnet8")


def mlp(task: Task, recipe: ModelRecipe) -> Any:
    """Two dense layers of 64 and 32 units, for feature vectors.

    Args:
        task: samples of any shape; they are flattened.
        recipe: `width` multiplies the units.

    Returns:
        A Keras 3 model from ``features`` (batch, ...) to ``probabilities`` (batch, classes).
    """
    keras = require("keras", "export", "Building a model")
    layers = keras.layers
    inputs = keras.Input(task.input_shape, name="features")
    x = layers.Rescaling(task.scale, name="rescale")(inputs)
    if len(task.input_shape) > 1:
        x = layers.Flatten(name="flatten")(x)
    for stage, units in enumerate((64, 32), start=1):
        x = layers.Dense(max(1, round(units * recipe.width)), "relu", name=f"dense{stage}")(x)
    x = layers.Dropout(recipe.dropout, name="dropout")(x)
    x = layers.Dense(task.classes, name="logits")(x)
    outputs = layers.Softmax(name="probabilities")(x)
    return keras.Model(inputs, outputs, name="mlp")


ARCHITECTURES: dict[str, Callable[[Task, ModelRecipe], Any]] = {
    "cnn": cnn,
    "resnet8": resnet8,
    "mlp": mlp,
}


def build(task: Task, recipe: ModelRecipe) -> Any:
    """The architecture that `recipe` names, untrained.

    Raises:
        RecipeError: no such architecture (the nearest is named), or it does not fit the data.
    """
    check_name(recipe.name)
    return ARCHITECTURES[recipe.name](task, recipe)


def check_name(name: str) -> None:
    """Ask this before data is read in vain.

    Raises:
        RecipeError: no architecture is called `name`; the nearest one is named.
    """
    if name not in ARCHITECTURES:
        raise RecipeError(
            f"model {name!r} is unknown, expected one of {', '.join(ARCHITECTURES)}."
            f"{nearest(name, ARCHITECTURES)}"
        )
