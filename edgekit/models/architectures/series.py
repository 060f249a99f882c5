"""Networks for series of sensor values: convolutional and recurrent."""

from __future__ import annotations

from typing import Any

from edgekit.errors import require
from edgekit.models.architectures.task import (
    PURPOSE,
    Task,
    begin,
    expect_series,
    finish,
    normalised,
    scaled,
)
from edgekit.recipe import ModelRecipe


def conv1d(task: Task, recipe: ModelRecipe) -> Any:
    """Convolutions over 8, 5 and 3 steps with 32, 64 and 32 channels, averaged over time.

    The fully convolutional network of Wang, Yan and Oates, "Time Series Classification from
    Scratch with Deep Neural Networks: A Strong Baseline", 2017, with a quarter of its channels.
    18,564 parameters on six channels and four classes, however long the series.

    Args:
        task: series of shape (steps, channels), at least 8 steps.
        recipe: `width` multiplies the channels; 4 gives the paper's.

    Returns:
        A Keras 3 model from ``signal`` (batch, steps, channels) to what the task asks for
        (batch, classes).

    Raises:
        RecipeError: samples are not series of at least 8 steps.
    """
    keras = require("keras", "export", PURPOSE)
    layers = keras.layers
    expect_series(task, "conv1d", 8)
    inputs, x = begin(task, "signal")
    for stage, (channels, steps) in enumerate(((32, 8), (64, 5), (32, 3)), start=1):
        conv = layers.Conv1D(
            scaled(channels, recipe), steps, padding="same", use_bias=False, name=f"conv{stage}"
        )
        x = normalised(conv(x), f"conv{stage}")
    x = layers.GlobalAveragePooling1D(name="average")(x)
    return keras.Model(inputs, finish(x, task, recipe), name="conv1d")


def lstm(task: Task, recipe: ModelRecipe) -> Any:
    """One LSTM of 64 units, its last state read by a dense layer.

    Hochreiter and Schmidhuber, "Long Short-Term Memory", 1997, with the forget gate of Gers et al.,
    2000. 18,436 parameters on six channels and four classes. Up to 32 steps the exporter writes
    the steps out; longer series stay a loop, in whose int8 TFLite file the matrix products are integers.

    Args:
        task: series of shape (steps, channels).
        recipe: `width` multiplies the units.

    Returns:
        A Keras 3 model from ``signal`` (batch, steps, channels) to what the task asks for
        (batch, classes).

    Raises:
        RecipeError: samples are not series.
    """
    return _recurrent(task, recipe, "lstm", "LSTM")


def gru(task: Task, recipe: ModelRecipe) -> Any:
    """One GRU of 64 units, its last state read by a dense layer.

    Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine
    Translation", 2014, in Keras' variant with the reset gate behind the matrix product. 14,084
    parameters on six channels and four classes. Exports as `lstm` does.

    Args:
        task: series of shape (steps, channels).
        recipe: `width` multiplies the units.

    Returns:
        A Keras 3 model from ``signal`` (batch, steps, channels) to what the task asks for
        (batch, classes).

    Raises:
        RecipeError: samples are not series.
    """
    return _recurrent(task, recipe, "gru", "GRU")


def _recurrent(task: Task, recipe: ModelRecipe, name: str, layer: str) -> Any:
    keras = require("keras", "export", PURPOSE)
    expect_series(task, name, 1)
    inputs, x = begin(task, "signal")
    x = getattr(keras.layers, layer)(scaled(64, recipe), name=name)(x)
    # The model must not be called like its layer: that would be one name for two things.
    return keras.Model(inputs, finish(x, task, recipe), name=f"{name}_network")
