from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.errors import ArtifactError, RecipeError, UntrustedCodeError, UsageError
from edgekit.models import save
from edgekit.models.architectures import Task, adopt, build, check_recipe
from edgekit.recipe import ModelRecipe, read_recipe

TASK = Task((6,), 3)

MODULE = """
import keras
layers = keras.layers

def functional(task, width=1.0):
    inputs = keras.Input(task.input_shape, name="mine")
    x = layers.Dense(int(8 * width))(inputs)
    return keras.Model(inputs, layers.Dense(task.classes, "softmax")(x))

def sequential(task):
    return keras.Sequential([layers.Dense(task.classes, "softmax")])

class Twice(keras.Model):
    def __init__(self, classes):
        super().__init__()
        self.inner = layers.Dense(4)
        self.outer = layers.Dense(classes, "softmax")

    def call(self, x):
        return self.outer(self.inner(x))

def subclassed(task):
    return Twice(task.classes)

def nothing(task):
    pass

def one_class_less(task):
    return keras.Sequential([layers.Dense(task.classes - 1, "softmax")])

def for_images(task):
    return keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(3, "softmax")])

def wants_images(task):
    return keras.Sequential([layers.Conv2D(3, 3), layers.GlobalAveragePooling2D()])

def two_outputs(task):
    inputs = keras.Input(task.input_shape)
    return keras.Model(inputs, [layers.Dense(3)(inputs), layers.Dense(3)(inputs)])

def of_the_other_flavour(task):
    import tf_keras
    return tf_keras.Sequential([tf_keras.layers.Dense(3)])

number = 3
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "networks_of_mine.py").write_text(MODULE)
    yield tmp_path
    sys.modules.pop("networks_of_mine", None)


def recipe(folder: Path, function: str, **more: Any) -> ModelRecipe:
    return ModelRecipe(function=f"networks_of_mine:{function}", folder=str(folder), **more)


@pytest.mark.parametrize("function", ["functional", "sequential", "subclassed"])
def test_a_function_builds_the_network(folder: Path, function: str) -> None:
    before = list(sys.path)
    model = build(TASK, recipe(folder, function))
    assert [tuple(x.shape) for x in (*model.inputs, *model.outputs)] == [(None, 6), (None, 3)]
    assert len(model.trainable_variables) == {"sequential": 2}.get(function, 4)
    assert sys.path == before
    # Only what has no layers to follow is wrapped.
    assert type(model).__name__ == {"sequential": "Sequential"}.get(function, "Functional")


def test_it_is_given_the_arguments_that_it_takes(folder: Path) -> None:
    model = build(TASK, recipe(folder, "functional", width=2.0))
    assert model.layers[1].units == 16


def test_a_recipe_finds_it_beside_itself(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "recipe.toml").write_text('[model]\nfunction = "networks_of_mine:sequential"\n')
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert build(TASK, read_recipe(folder / "recipe.toml").model).output_shape == (None, 3)
    other = folder / "other"
    other.mkdir()
    (folder / "networks_of_mine.py").rename(other / "networks_of_mine.py")
    (folder / "recipe.toml").write_text(
        '[model]\nfunction = "networks_of_mine:sequential"\nfolder = "other"\n'
    )
    assert build(TASK, read_recipe(folder / "recipe.toml").model).output_shape == (None, 3)


def test_a_namesake_of_another_recipe_is_not_taken_for_it(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    build(TASK, recipe(folder, "sequential"))
    other = tmp_path_factory.mktemp("other")
    (other / "networks_of_mine.py").write_text(MODULE.replace("Dense(4)", "Dense(5)"))
    model = build(TASK, recipe(other, "subclassed"))
    assert model.trainable_variables[0].shape == (6, 5)
    assert build(TASK, recipe(folder, "subclassed")).trainable_variables[0].shape == (6, 4)


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (
            "functionl",
            r"networks_of_mine\.py has no function 'functionl'\. Did you mean 'functional'",
        ),
        ("number", r"has no function 'number'"),
        ("nothing", r"received builtins\.NoneType, expected a Keras 3 model"),
        ("of_the_other_flavour", r"received tf_keras\..*Sequential, expected a Keras 3 model"),
        (
            "one_class_less",
            r"answers with shape \[2\], expected a probability for each of 3 classes",
        ),
        ("for_images", r"takes samples of shape \[8, 8, 1\], but the data's are \[6\]"),
        ("wants_images", r"cannot be called on samples of shape \[6\]: .*ndim"),
        ("two_outputs", r"received a model of 2 outputs, expected one"),
    ],
)
def test_what_does_not_fit(folder: Path, function: str, says: str) -> None:
    with pytest.raises(RecipeError, match=f"function 'networks_of_mine:{function}': .*{says}"):
        build(TASK, recipe(folder, function))


def test_a_module_that_is_not_there(folder: Path) -> None:
    wrong = ModelRecipe(function="network_of_mine:functional", folder=str(folder))
    says = r"no module 'network_of_mine' in .*sys\.path\. Did you mean 'networks_of_mine'"
    with pytest.raises(RecipeError, match=says):
        check_recipe(wrong)
    with pytest.raises(RecipeError, match=r"there is no module 'nowhere'"):
        check_recipe(ModelRecipe(function="nowhere.at.all:build"))


def test_what_the_module_itself_misses_is_another_matter(folder: Path) -> None:
    (folder / "networks_of_mine.py").write_text("import no_such_package\n")
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        check_recipe(recipe(folder, "functional"))


@pytest.mark.parametrize("function", ["build", "a.b", ":build", "a:", "a/b:c", "a:b:c", "a b:c"])
def test_a_name_that_is_none(function: str) -> None:
    with pytest.raises(RecipeError, match=r"function: received .*expected 'module:function'"):
        ModelRecipe(function=function)


def test_function_and_file_exclude_each_other() -> None:
    with pytest.raises(RecipeError, match="received both"):
        ModelRecipe(function="a:b", file="m.keras")
    with pytest.raises(RecipeError, match="folder: received without function"):
        ModelRecipe(folder="here")


def small(classes: int = 3) -> Any:
    import keras

    return keras.Sequential([keras.Input((6,)), keras.layers.Dense(classes, "softmax")])


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
def test_a_file_keeps_its_weights(tmp_path: Path, name: str) -> None:
    model = small(classes=4)
    model.save(tmp_path / name)
    (tmp_path / "recipe.toml").write_text(f'[model]\nfile = "{name}"\n')
    again = build(TASK, read_recipe(tmp_path / "recipe.toml").model)
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_file_of_tf_keras_is_gone_on_from_in_keras_3(tmp_path: Path) -> None:
    import keras
    import tf_keras

    # Keras 3 takes no such name of a layer.
    inputs = tf_keras.Input((6,))
    x = tf_keras.layers.Dense(3, activation="softmax", name="a/b")(inputs)
    model = tf_keras.Model(inputs, x)
    save(model, tmp_path / "m.h5")
    again = build(TASK, ModelRecipe(file=str(tmp_path / "m.h5")))
    assert isinstance(again, keras.Model)
    np.testing.assert_array_equal(again.get_weights()[0], model.get_weights()[0])


def test_a_file_that_cannot_be_trained(tmp_path: Path) -> None:
    import keras

    small().export(tmp_path / "exported", verbose=False)
    with pytest.raises(RecipeError, match=r"received a SavedModel, expected a \.keras or \.h5"):
        build(TASK, ModelRecipe(file=str(tmp_path / "exported")))
    with pytest.raises(UsageError, match="does not exist"):
        check_recipe(ModelRecipe(file=str(tmp_path / "missing.keras")))
    (tmp_path / "broken.keras").write_bytes(b"nonsense")
    with pytest.raises(ArtifactError, match="not a whole"):
        build(TASK, ModelRecipe(file=str(tmp_path / "broken.keras")))
    model = small()
    model.add(keras.layers.Lambda(lambda x: x))
    model.save(tmp_path / "code.keras")
    code = ModelRecipe(file=str(tmp_path / "code.keras"))
    with pytest.raises(UntrustedCodeError):
        build(TASK, code)
    assert build(TASK, code, trust_code=True).output_shape == (None, 3)


def test_an_object_is_taken_as_it_is() -> None:
    model = small()
    assert adopt(model, TASK, "model") is model


def test_one_share_tells_two_classes_apart() -> None:
    model = small(classes=1)
    assert adopt(model, Task((6,), 2), "model") is model
    with pytest.raises(RecipeError, match=r"answers with shape \[1\]"):
        adopt(model, TASK, "model")


@pytest.mark.parametrize(
    ("task", "says"),
    [
        (Task((6,), 2, kind="regression"), r"answers with shape \[3\], expected 2 values"),
        (Task((6,), 0, kind="reconstruction"), r"expected the input's shape \[6\]"),
    ],
)
def test_other_tasks_are_exact(task: Task, says: str) -> None:
    with pytest.raises(RecipeError, match=says):
        adopt(small(), task, "model")
