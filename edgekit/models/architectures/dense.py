"""Networks of dense layers: a classifier of feature vectors and an autoencoder."""

from __future__ import annotations

import math
from typing import Any

from edgekit.errors import RecipeError, require
from edgekit.models.architectures.task import (
    PURPOSE,
    Task,
    begin,
    finish,
    normalised,
    scaled,
)
from edgekit.recipe import ModelRecipe


def mlp(task: Task, recipe: ModelRecipe) -> Any:
    """Two dense layers of 64 and 32 units, for feature vectors.

    6,570 parameters on 64 values and 10 classes.

    Args:
        task: samples of any shape; they are flattened.
        recipe: `width` multiplies the units.

    Returns:
        A Keras 3 model from ``features`` (batch, ...) to what the task asks for (batch, classes).
    """
    keras = require("keras", "export", PURPOSE)
    layers = keras.layers
    inputs, x = begin(task, "features")
    if len(task.input_shape) > 1:
        x = layers.Flatten(name="flatten")(x)
    for stage, units in enumerate((64, 32), start=1):
        x = layers.Dense(scaled(units, recipe), "relu", name=f"dense{stage}")(x)
    return keras.Model(inputs, finish(x, task, recipe), name="mlp")


def autoencoder(task: Task, recipe: ModelRecipe) -> Any:
    """Four dense layers of 128 units, a bottleneck of 8, four more of 128, the input again.

    The anomaly detector of MLPerf Tiny (Banbury et al., "MLPerf Tiny Benchmark", 2021), which is the
    baseline of DCASE 2020 task 2 (Koizumi et al., 2020): it learns to reconstruct what is normal,
    and what it reconstructs badly is not. 269,992 parameters on the benchmark's vectors of 640
    values.

    Args:
        task: a reconstruction; samples of any shape, which are flattened on the way.
        recipe: `width` multiplies 128 units and the bottleneck; `dropout` is not used.

    Returns:
        A Keras 3 model from ``features`` (batch, ...) to ``reconstruction`` of the same shape and
        in the same unit.

    Raises:
        RecipeError: the task is no reconstruction.
    """
    if task.kind != "reconstruction":
        raise RecipeError(
            f"model 'autoencoder': received a {task.kind} to learn, expected a reconstruction, "
            "whose answers are its inputs. The architecture 'mlp' takes samples of any shape."
        )
    keras = require("keras", "export", PURPOSE)
    layers = keras.layers
    inputs, x = begin(task, "features")
    if len(task.input_shape) > 1:
        x = layers.Flatten(name="flatten")(x)
    stages = (*(f"encoder{i}" for i in range(1, 5)), "code", *(f"decoder{i}" for i in range(1, 5)))
    for name in stages:
        units = scaled(8 if name == "code" else 128, recipe)
        x = normalised(layers.Dense(units, name=name)(x), name)
    x = layers.Dense(math.prod(task.input_shape), name="values")(x)
    if len(task.input_shape) > 1:
        x = layers.Reshape(task.input_shape, name="shape")(x)
    # Back to the unit of the input, so that both can be compared.
    outputs = layers.Rescaling(1 / task.scale, name="reconstruction")(x)
    return keras.Model(inputs, outputs, name="autoencoder")
