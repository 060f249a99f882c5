"""Task: what a network is built for, and the ends that every architecture shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edgekit.errors import RecipeError, require
from edgekit.recipe import ModelRecipe
from edgekit.recipe.checks import check, check_name

PURPOSE = "Building a model"

# What a network answers: a probability a class, numbers, or its input once more.
KINDS = ("classification", "regression", "reconstruction")


@dataclass(frozen=True)
class Task:
    """What a network is built for.

    Attributes:
        input_shape: of one sample, images as (height, width, channels), series and spectrograms
            as (steps, channels).
        classes: how many there are; in a regression, how many numbers are predicted. A
            reconstruction has as many as its input and leaves it 0.
        scale: brings raw values to about [-1, 1]; the network's first layer applies it, so
            that every exported file takes the data as it is.
        kind: one of `KINDS`.

    Raises:
        RecipeError: a value that cannot be one.
    """

    input_shape: tuple[int, ...]
    classes: int
    scale: float = 1.0
    kind: str = "classification"

    def __post_init__(self) -> None:
        check_name("kind", self.kind, KINDS)
        sizes = bool(self.input_shape) and all(n is not None and n > 0 for n in self.input_shape)
        check("input_shape", self.input_shape, lambda _: sizes, "a size for each axis of a sample")
        if self.kind != "reconstruction":
            check("classes", self.classes, lambda v: v >= 1, "at least 1")

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Of the answer to one sample."""
        return self.input_shape if self.kind == "reconstruction" else (self.classes,)


def expect_shape(task: Task, name: str, fits: bool, expected: str) -> None:
    """Raises RecipeError, naming the architecture, unless its samples' shape fits."""
    if not fits:
        raise RecipeError(
            f"model {name!r}: received samples of shape {list(task.input_shape)}, expected {expected}."
        )


def expect_images(task: Task, name: str, least: int) -> None:
    """Raises RecipeError unless samples are images of at least `least` pixels each way."""
    fits = len(task.input_shape) == 3 and min(task.input_shape[:2]) >= least
    expect_shape(task, name, fits, f"images (height, width, channels) of at least {least}x{least}")


def expect_series(task: Task, name: str, least: int) -> None:
    """Raises RecipeError unless samples are series of at least `least` steps."""
    fits = len(task.input_shape) == 2 and task.input_shape[0] >= least
    expect_shape(task, name, fits, f"series (steps, channels) of at least {least} steps")


def scaled(count: int, recipe: ModelRecipe) -> int:
    """`count` channels or units, multiplied by the recipe's `width`; one at least."""
    return max(1, round(count * recipe.width))


def begin(task: Task, name: str) -> tuple[Any, Any]:
    """The input, called `name`, and what comes of it when the task's `scale` is applied."""
    keras = require("keras", "export", PURPOSE)
    inputs = keras.Input(task.input_shape, name=name)
    return inputs, keras.layers.Rescaling(task.scale, name="rescale")(inputs)


def finish(x: Any, task: Task, recipe: ModelRecipe) -> Any:
    """The last layers on features (batch, features), with the recipe's dropout before them.

    Returns:
        ``probabilities`` (batch, classes), or in a regression ``values``, unbounded.

    Raises:
        RecipeError: the task is a reconstruction, which an autoencoder alone gives.
    """
    layers = require("keras", "export", PURPOSE).layers
    if task.kind == "reconstruction":
        raise RecipeError(
            f"model {recipe.name!r}: received a reconstruction to learn, which is what samples without "
            "labels ask for, expected class labels (whole numbers, array 'y') or values to predict. The "
            "architecture 'autoencoder' reconstructs."
        )
    x = layers.Dropout(recipe.dropout, name="dropout")(x)
    if task.kind == "regression":
        return layers.Dense(task.classes, name="values")(x)
    x = layers.Dense(task.classes, name="logits")(x)
    return layers.Softmax(name="probabilities")(x)


def normalised(x: Any, name: str) -> Any:
    """Batch normalisation and ReLU, called ``<name>_norm`` and ``<name>_relu``."""
    layers = require("keras", "export", PURPOSE).layers
    # Keras' own momentum of 0.99 wants hundreds of steps before validation means anything.
    x = layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)
    return layers.ReLU(name=f"{name}_relu")(x)
