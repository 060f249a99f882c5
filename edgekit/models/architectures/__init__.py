"""Reference architectures of the size that edge boards run, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgekit.errors import RecipeError, nearest
from edgekit.files import existing
from edgekit.models.architectures.cnn import cnn
from edgekit.models.architectures.dense import autoencoder, mlp
from edgekit.models.architectures.own import adopt, check_function, from_file, from_function
from edgekit.models.architectures.resnet8 import resnet8
from edgekit.models.architectures.separable import ds_cnn, mobilenet_v1
from edgekit.models.architectures.series import conv1d, gru, lstm
from edgekit.models.architectures.task import KINDS, Task
from edgekit.recipe import ModelRecipe

__all__ = ["ARCHITECTURES", "KINDS", "Task", "adopt", "build", "check_name", "check_recipe"]

ARCHITECTURES: dict[str, Callable[[Task, ModelRecipe], Any]] = {
    "cnn": cnn,
    "resnet8": resnet8,
    "mobilenet_v1": mobilenet_v1,
    "mlp": mlp,
    "autoencoder": autoencoder,
    "ds_cnn": ds_cnn,
    "conv1d": conv1d,
    "lstm": lstm,
    "gru": gru,
}


def build(task: Task, recipe: ModelRecipe, *, trust_code: bool = False) -> Any:
    """The network that `recipe` asks for: a reference architecture or one's own function's,
    untrained, or a file's with its weights.

    Args:
        task: what it is to learn.
        recipe: which network.
        trust_code: let code that the model file holds run.

    Returns:
        A built Keras 3 model with one input and one output.

    Raises:
        RecipeError: no such architecture, module or function (the nearest is named), or it does
            not fit the data.
        UsageError, ArtifactError: the model file cannot be loaded.
    """
    if recipe.function is not None:
        return from_function(task, recipe)
    if recipe.file is not None:
        return from_file(task, recipe, trust_code=trust_code)
    check_name(recipe.name)
    return ARCHITECTURES[recipe.name](task, recipe)


def check_recipe(recipe: ModelRecipe) -> None:
    """Ask this before data is read in vain.

    Raises:
        RecipeError: there is no such architecture, module or function; the nearest is named.
        UsageError: there is no such file.
    """
    if recipe.function is not None:
        check_function(recipe)
    elif recipe.file is not None:
        existing(recipe.file, "model file")
    else:
        check_name(recipe.name)


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
