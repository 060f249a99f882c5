"""Trainings of every kind of network, to every kind of file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.errors import OutputExistsError, RecipeError, UsageError
from edgekit.models import load
from edgekit.recipe import ModelRecipe, Recipe, TrainingRecipe
from edgekit.samples import Samples, Splits
from edgekit.train.trainer import train

RECIPE = Recipe(
    model=ModelRecipe("mlp"),
    training=TrainingRecipe(epochs=2, batch_size=16, learning_rate=0.01),
)

MODULE = """
import keras

class Mine(keras.Model):
    def __init__(self, classes):
        super().__init__()
        self.dense = keras.layers.Dense(classes, "softmax")

    def call(self, x):
        return self.dense(x)

def subclassed(task):
    return Mine(task.classes)

def autoencoder(task):
    inputs = keras.Input(task.input_shape, name="values")
    return keras.Model(inputs, keras.layers.Dense(task.input_shape[0])(inputs))
"""


@pytest.fixture
def own(tmp_path: Path) -> Iterator[ModelRecipe]:
    (tmp_path / "trained_networks.py").write_text(MODULE)
    yield ModelRecipe(function="trained_networks:subclassed", folder=str(tmp_path))
    sys.modules.pop("trained_networks", None)


def splits(labels: str = "classes") -> Splits:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((150, 6)).astype(np.float32)
    y: Any = {
        "classes": np.argmax(x[:, :3], axis=1),
        "values": x[:, :2].sum(axis=1),
        "pairs": x[:, :2],
        "none": None,
    }[labels]
    return Splits(*Samples({"x": x}, y).split([0.6, 0.2, 0.2]))


@pytest.mark.parametrize("name", ["m.h5", "folder"])
def test_the_ending_says_what_is_written(tmp_path: Path, name: str) -> None:
    output = tmp_path / "out" / name
    training = train(splits(), RECIPE, output)
    assert {path.name for path in output.parent.iterdir()} == {name, f"{output.stem}.log.csv"}
    source = load(output)
    assert source.flavour == {"m.h5": "keras", "folder": "savedmodel"}[name]
    assert [spec.name for spec in source.inputs] == ["features"]
    assert training.to_json()["model"]["path"] == name
    with pytest.raises(OutputExistsError):
        train(splits(), RECIPE, output)
    train(splits(), RECIPE, output, overwrite=True)


def test_an_ending_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"ends in \.tflite, expected \.keras"):
        train(splits(), RECIPE, tmp_path / "m.tflite")
    assert not list(tmp_path.iterdir())


def test_a_function_of_ones_own(tmp_path: Path, own: ModelRecipe) -> None:
    recipe, lines = replace(RECIPE, model=own), list[str]()
    with pytest.raises(UsageError, match=r"Mine\) is code of your own, which a \.keras file"):
        train(splits(), recipe, tmp_path / "m.keras", progress=lines.append)
    assert lines == []
    train(splits(), recipe, tmp_path / "folder")
    # It is loaded where nobody knows the class.
    assert load(tmp_path / "folder").classes == 3


def test_a_model_object_may_be_subclassed(tmp_path: Path) -> None:
    import keras

    class Mine(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(3, activation="softmax")

        def call(self, x: Any) -> Any:
            return self.dense(x)

    train(splits(), RECIPE, tmp_path / "folder", model=Mine())
    assert load(tmp_path / "folder").classes == 3


def test_a_file_is_gone_on_from(tmp_path: Path) -> None:
    first = train(splits(), RECIPE, tmp_path / "first.keras")
    recipe = replace(RECIPE, model=ModelRecipe(file=str(tmp_path / "first.keras")))
    second = train(splits(), recipe, tmp_path / "second.keras")
    assert second.history[0]["loss"] < first.history[0]["loss"]
    assert second.model.parameters == first.model.parameters


@pytest.mark.parametrize(("labels", "outputs"), [("values", 1), ("pairs", 2)])
def test_values_are_predicted(tmp_path: Path, labels: str, outputs: int) -> None:
    training = train(splits(labels), RECIPE, tmp_path / "m.keras")
    (spec,) = load(tmp_path / "m.keras").outputs
    assert (spec.name, spec.shape) == ("values", (None, outputs))
    assert training.loss == "mean_squared_error"


@pytest.mark.slow
@pytest.mark.parametrize("labels", ["classes", "none"])
def test_an_autoencoder_needs_no_labels(tmp_path: Path, labels: str) -> None:
    recipe = replace(RECIPE, model=ModelRecipe("autoencoder", width=0.25))
    training = train(splits(labels), recipe, tmp_path / "m.keras")
    (spec,) = load(tmp_path / "m.keras").outputs
    assert (spec.name, spec.shape) == ("reconstruction", (None, 6))
    assert training.loss == "mean_squared_error"


def test_an_autoencoder_of_ones_own(tmp_path: Path, own: ModelRecipe) -> None:
    recipe = replace(RECIPE, model=replace(own, function="trained_networks:autoencoder"))
    train(splits("none"), recipe, tmp_path / "m.keras")
    settings = replace(RECIPE.training, loss="mean_absolute_error")
    train(splits(), replace(recipe, training=settings), tmp_path / "labelled.keras")
    assert load(tmp_path / "labelled.keras").outputs[0].shape == (None, 6)


def test_no_labels_and_nothing_to_reconstruct(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"'mlp'.*samples without labels.*'autoencoder'"):
        train(splits("none"), RECIPE, tmp_path / "m.keras")
