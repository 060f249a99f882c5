"""Augmentation: training samples varied on their way into `fit`, outside the model.

What is drawn for a batch follows from the seed and the number of its step, so that a resumed
training draws the same, and no state is kept anywhere.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from edgekit.errors import RecipeError, nearest, one_line, require
from edgekit.recipe.augmentation import KERAS_LAYERS, AugmentationRecipe
from edgekit.train.feeding import Vary
from edgekit.train.series import SERIES

_PURPOSE = "Augmentation"
# The recipe's seed decides; shapes stay, or batches would not fit the model.
_NOT_ARGUMENTS = {"self", "seed", "kwargs", "name", "dtype", "data_format"}
_FLIPS = ("horizontal", "vertical", "horizontal_and_vertical")

# Of a batch (batch, ...) and a seed of two whole numbers: the batch, varied.
Layer = Callable[[Any, Any], Any]


def varied(recipes: Sequence[AugmentationRecipe], seed: int) -> Vary | None:
    """All layers, one after the other, on the model's only input; None without any.

    Raises:
        RecipeError: an argument that a layer does not have (the nearest is named) or cannot use.
    """
    if not recipes:
        return None
    tf = require("tensorflow", "export", _PURPOSE)
    layers = [make(recipe) for recipe in recipes]

    def vary(inputs: dict[str, Any], step: Any) -> dict[str, Any]:
        ((name, x),) = inputs.items()
        for number, layer in enumerate(layers):
            drawn = tf.random.experimental.stateless_fold_in(tf.stack([seed, step]), number)
            x = tf.ensure_shape(tf.cast(layer(x, drawn), x.dtype), x.shape)
        return {name: x}

    return vary


def check_fit(recipes: Sequence[AugmentationRecipe], shape: Sequence[int | None]) -> None:
    """Try each layer on a batch of zeros, before the first step.

    Args:
        recipes: the layers.
        shape: of the model's input, first the batch's axis; None for a dynamic one.

    Raises:
        RecipeError: a layer takes no samples of that shape; or as `varied`.
    """
    tf = require("tensorflow", "export", _PURPOSE)
    # Any size does for a dynamic dimension that no layer finds too small.
    batch = tf.zeros([1, *(size or 32 for size in shape[1:])])
    for recipe in recipes:
        layer = make(recipe)
        try:
            layer(batch, tf.zeros(2, tf.int32))
        except (ValueError, tf.errors.OpError) as error:
            raise RecipeError(
                f"augmentation: {recipe.layer}: cannot vary samples of shape {list(shape[1:])}: "
                f"{one_line(error)}"
            ) from error


def make(recipe: AugmentationRecipe) -> Layer:
    """One layer as a function of a batch and a seed.

    Raises:
        RecipeError: as `varied`.
    """
    if recipe.layer not in KERAS_LAYERS:
        made = SERIES[recipe.layer]
        _check_arguments(recipe, inspect.signature(made).parameters)
        layer: Layer = _construct(recipe, made)
        return layer
    keras = require("keras", "export", _PURPOSE)
    made = getattr(keras.layers, recipe.layer)
    _check_arguments(recipe, inspect.signature(made).parameters)
    return _seeded(_construct(recipe, made))


def _check_arguments(recipe: AugmentationRecipe, parameters: Mapping[str, Any]) -> None:
    known = [name for name in parameters if name not in _NOT_ARGUMENTS]
    for name in recipe.arguments:
        if name not in known:
            raise RecipeError(
                f"augmentation: {recipe.layer}: unknown key {name!r}, expected one of "
                f"{', '.join(known)}.{nearest(name, known)}"
            )
    mode = recipe.arguments.get("mode", _FLIPS[0])
    if recipe.layer == "RandomFlip" and mode not in _FLIPS:
        # Keras takes any word, and flips nothing.
        raise RecipeError(
            f"augmentation: RandomFlip: mode: received {mode!r}, expected one of {', '.join(_FLIPS)}."
        )


def _construct(recipe: AugmentationRecipe, made: Callable[..., Any]) -> Any:
    try:
        return made(**recipe.arguments)
    except (TypeError, ValueError) as error:
        raise RecipeError(f"augmentation: {recipe.layer}: {one_line(error)}") from error


def _seeded(layer: Any) -> Layer:
    """A layer of Keras' whose every draw follows from the seed it is called with."""
    tf = require("tensorflow", "export", _PURPOSE)
    seeds = _Seeds(tf)
    # Keras' two names for what a layer draws its seeds from: preprocessing and regularisation.
    for name in ("generator", "seed_generator"):
        if hasattr(layer, name):
            getattr(layer, name).next = seeds.next

    def apply(x: Any, seed: Any) -> Any:
        seeds.begin(tf.cast(seed, tf.int32))
        return layer(tf.cast(x, tf.float32), training=True)

    return apply


class _Seeds:
    """The seeds of one call, in the order in which a layer asks for them."""

    def __init__(self, tf: Any) -> None:
        self._tf = tf

    def begin(self, base: Any) -> None:
        self._base, self._count = base, 0

    def next(self, ordered: bool = True) -> Any:
        del ordered
        self._count += 1
        return self._tf.random.experimental.stateless_fold_in(self._base, self._count)
