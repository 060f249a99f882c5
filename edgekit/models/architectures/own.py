"""Networks of one's own: built by a Python function, read from a file, or given as an object.

A function is called with the `Task` and returns a Keras 3 model: Sequential, Functional or
subclassed. Where it has parameters called ``width`` or ``dropout``, it is given the recipe's:

    def keyword_spotter(task, dropout=0.25): ...

It has to apply ``task.scale`` itself, if it wants its inputs scaled. What the recipe names is
imported and runs: a recipe is trusted like a program.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from edgekit.errors import RecipeError, nearest, one_line, require
from edgekit.models.architectures.task import PURPOSE, Task
from edgekit.models.bridge import to_keras
from edgekit.models.loading import load
from edgekit.recipe import ModelRecipe


def from_function(task: Task, recipe: ModelRecipe) -> Any:
    """The network that ``recipe.function`` builds for `task`.

    Raises:
        RecipeError: there is no such module or function (the nearest is named), or what it returns
            is no model or does not fit the task.
    """
    with _importable(recipe):
        function = _found(recipe)
        wanted = {"width": recipe.width, "dropout": recipe.dropout}
        takes = inspect.signature(function).parameters
        model = function(task, **{key: wanted[key] for key in wanted if key in takes})
    where = f"function {recipe.function!r}"
    return adopt(model, task, where)


def check_function(recipe: ModelRecipe) -> None:
    """Ask this before data is read in vain.

    Raises:
        RecipeError: there is no such module or function; the nearest is named.
    """
    with _importable(recipe):
        _found(recipe)


def from_file(task: Task, recipe: ModelRecipe, *, trust_code: bool = False) -> Any:
    """The model in ``recipe.file``, weights and all; one of tf_keras as its twin in Keras 3.

    Raises:
        RecipeError: it is a SavedModel, or does not fit the task.
        UsageError, ArtifactError: as `edgekit.models.load`.
        BridgeError: a model of tf_keras that has no twin.
    """
    assert recipe.file is not None, "build() sees to it"
    source = load(recipe.file, trust_code=trust_code)
    if source.flavour == "savedmodel":
        raise RecipeError(
            f"file {recipe.file!r}: received a SavedModel, expected a .keras or .h5 file: a SavedModel "
            "holds a computation, not layers to train."
        )
    return adopt(to_keras(source).source.model, task, f"file {recipe.file!r}")


def adopt(model: Any, task: Task, where: str) -> Any:
    """A model of the user's, ready to be trained: built, with one input and one output that fit.

    A classifier may know more classes than the task, and two are told apart by one share as well.

    Args:
        model: of Keras 3: Sequential, Functional, or subclassed and callable on one tensor.
        task: what it is to learn.
        where: what to call it in messages.

    Returns:
        `model` itself, or, where its inputs are not known yet, a Functional model around it, which
        shares its weights.

    Raises:
        RecipeError: no Keras 3 model, several inputs or outputs, or a shape that does not fit.
    """
    keras = require("keras", "export", PURPOSE)
    if not isinstance(model, keras.Model):
        kind = type(model)
        raise RecipeError(
            f"{where}: received {kind.__module__}.{kind.__qualname__}, expected a Keras 3 model "
            "(keras.Model)."
        )
    if not getattr(model, "inputs", None):
        model = _with_inputs(keras, model, task, where)
    for side in ("inputs", "outputs"):
        count = len(getattr(model, side))
        if count != 1:
            raise RecipeError(f"{where}: received a model of {count} {side}, expected one.")
    given, wanted = tuple(model.inputs[0].shape[1:]), task.input_shape
    if len(given) != len(wanted) or any(a not in (None, b) for a, b in zip(given, wanted)):  # noqa: B905
        raise RecipeError(
            f"{where}: takes samples of shape {list(given)}, but the data's are {list(wanted)}."
        )
    if not _answers(model, task):
        raise _misfit(where, model, task)
    return model


def _answers(model: Any, task: Task) -> bool:
    """Whether the model's output is what the task asks for."""
    shape = tuple(model.output_shape[1:])
    if task.kind != "classification":
        return shape == task.output_shape
    # One share tells two classes apart.
    least = 1 if task.classes == 2 else task.classes
    return len(shape) == 1 and shape[0] is not None and shape[0] >= least


def _with_inputs(keras: Any, model: Any, task: Task, where: str) -> Any:
    """A Functional model around a subclassed one; a Sequential finds its inputs when it is called."""
    inputs = keras.Input(task.input_shape, name="input")
    try:
        outputs = model(inputs)
        if getattr(model, "inputs", None):
            return model
        return keras.Model(inputs, outputs, name=f"{model.name}_network")
    except (TypeError, ValueError) as error:
        raise RecipeError(
            f"{where}: cannot be called on samples of shape {list(task.input_shape)}: "
            f"{one_line(error)}"
        ) from error


def _misfit(where: str, model: Any, task: Task) -> RecipeError:
    wanted = {
        "classification": f"a probability for each of {task.classes} classes",
        "regression": f"{task.classes} values",
        "reconstruction": f"the input's shape {list(task.input_shape)}",
    }
    return RecipeError(
        f"{where}: answers with shape {list(model.output_shape[1:])}, expected {wanted[task.kind]}."
    )


def _found(recipe: ModelRecipe) -> Callable[..., Any]:
    assert recipe.function is not None, "build() sees to it"
    module_name, _, name = recipe.function.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        # One that the module itself misses is another matter.
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        places = [recipe.folder] if recipe.folder else []
        raise RecipeError(
            f"function {recipe.function!r}: there is no module {error.name!r} in "
            f"{', '.join([*places, 'sys.path'])}.{_near_module(error.name, recipe.folder)}"
        ) from error
    function = getattr(module, name, None)
    if not callable(function):
        known = [key for key, value in vars(module).items() if callable(value)]
        raise RecipeError(
            f"function {recipe.function!r}: {module.__file__} has no function {name!r}."
            f"{nearest(name, known)}"
        )
    found: Callable[..., Any] = function
    return found


def _near_module(name: str, folder: str | None) -> str:
    return nearest(name, (path.stem for path in Path(folder or ".").glob("*.py")))


@contextmanager
def _importable(recipe: ModelRecipe) -> Iterator[None]:
    """The recipe's folder in front of `sys.path`."""
    if recipe.folder is None:
        yield
        return
    assert recipe.function is not None, "build() sees to it"
    sys.path.insert(0, recipe.folder)
    importlib.invalidate_caches()
    try:
        _forget_namesake(recipe.function.partition(":")[0].partition(".")[0], recipe.folder)
        yield
    finally:
        sys.path.remove(recipe.folder)


def _forget_namesake(name: str, folder: str) -> None:
    """Another recipe's module of the same name, imported before, would be found first."""
    spec = PathFinder.find_spec(name, [folder])
    known = sys.modules.get(name)
    if spec is None or known is None:
        return
    if known.__spec__ is None or known.__spec__.origin != spec.origin:
        for key in [key for key in sys.modules if f"{key}.".startswith(f"{name}.")]:
            del sys.modules[key]
