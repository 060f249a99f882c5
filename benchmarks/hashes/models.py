"""The models: made once, in a folder that both trees export from, by the tree that comes first."""

from __future__ import annotations

import importlib
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import zoo

CALIBRATION = "calibration.npz"
_EPOCHS, _TRAINED_ON = 2, 6000
_ZOO_CALIBRATION = 200

Maker = Callable[[Path], None]


def made(folder: Path, maker: Maker) -> None:
    """`folder`, filled by `maker` if it is not there; whole or not at all."""
    if folder.exists():
        return
    begun = folder.with_name(f"{folder.name}.{os.getpid()}.part")
    shutil.rmtree(begun, ignore_errors=True)
    begun.mkdir(parents=True)
    maker(begun)
    if not folder.exists():
        begun.rename(folder)


def recipe_path(name: str) -> Path:
    """An example's recipe, in the words of the tree that runs."""
    import edgekit

    return Path(edgekit.__file__).parents[1] / "examples" / f"{name}.toml"


def zoo_maker(entry: zoo.Entry) -> Maker:
    """Of a model of the zoo, and the samples it is calibrated on."""

    def make(folder: Path) -> None:
        import edgekit

        entry.build().save(folder / "model.keras")
        edgekit.Samples(zoo.inputs(entry, _ZOO_CALIBRATION, seed=1)).save(folder / CALIBRATION)

    return make


def example_maker(name: str) -> Maker:
    """Of an example's network after a short training."""

    def make(folder: Path) -> None:
        recipes, trainer = _training()
        recipe = recipes.read_recipe(recipe_path(name))
        short = replace(recipe, training=replace(recipe.training, epochs=_EPOCHS))
        splits = trainer.load_splits(recipe.data)
        few = replace(splits, train=splits.train.subset(_TRAINED_ON), test=None)
        trainer.train(few, short, folder / f"{name}.keras")
        _clean(folder)

    return make


def digits(folder: Path) -> None:
    """The demo's network and samples, and the network in the other two forms that it can have."""
    import keras
    import numpy as np
    from sklearn.datasets import load_digits

    import edgekit

    recipes, trainer = _training()
    bunch = load_digits()
    images = bunch.images[..., None].astype(np.float32)
    samples = edgekit.Samples({"image": images}, bunch.target.astype(np.int64))
    splits = trainer.Splits(*samples.split([0.6, 0.2, 0.2], seed=0))
    recipe = recipes.Recipe(
        model=recipes.ModelRecipe("cnn", width=0.5),
        training=recipes.TrainingRecipe(epochs=20, batch_size=32, learning_rate=0.003),
    )
    trainer.train(splits, recipe, folder / "digits.keras")
    splits.train.save(folder / CALIBRATION)
    model = keras.saving.load_model(folder / "digits.keras", compile=False)
    model.save(folder / "digits.h5")
    model.export(folder / "digits_saved", verbose=False)
    _clean(folder)


def _training() -> tuple[Any, Any]:
    return importlib.import_module("edgekit.recipe"), importlib.import_module(
        "edgekit.train.trainer"
    )


def _clean(folder: Path) -> None:
    for path in folder.glob("*.csv"):
        path.unlink()
