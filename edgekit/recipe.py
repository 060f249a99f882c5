"""Recipe: what is done to a model, from its data to its files, as frozen dataclasses read from TOML."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edgekit.artifact import FORMATS, SCHEMES
from edgekit.config import read_toml
from edgekit.errors import RecipeError, nearest
from edgekit.preprocess import Preprocessing

# Keras' own, in its names; those that wrap another optimiser need more than a name.
OPTIMIZERS = (
    "adam",
    "adamw",
    "sgd",
    "rmsprop",
    "adadelta",
    "adafactor",
    "adagrad",
    "adamax",
    "ftrl",
    "lion",
    "nadam",
)

# The others of Keras' losses take one-hot labels; with class numbers they fail, or worse, broadcast.
LOSSES = ("sparse_categorical_crossentropy",)

# How the range of an activation follows from the values seen of it.
CALIBRATION_METHODS = ("min-max", "percentile", "entropy", "mse")


def _check(key: str, value: Any, holds: Callable[[Any], bool], expected: str) -> None:
    if not holds(value):
        raise RecipeError(f"{key}: received {value!r}, expected {expected}.")


def _check_name(key: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise RecipeError(
            f"{key}: received {value!r}, expected one of {', '.join(known)}.{nearest(value, known)}"
        )


@dataclass(frozen=True)
class ModelRecipe:
    """Which network is trained.

    Attributes:
        name: a reference architecture (`edgekit.models.architectures`).
        width: multiplies the channels of every layer.
        dropout: share of activations dropped before the last layer while training.
    """

    name: str = "cnn"
    width: float = 1.0
    dropout: float = 0.25

    def __post_init__(self) -> None:
        _check("width", self.width, lambda v: 0 < v <= 16, "a number above 0, up to 16")
        _check("dropout", self.dropout, lambda v: 0 <= v < 1, "a share in [0, 1)")


@dataclass(frozen=True)
class DataRecipe:
    """Where samples come from. Paths are relative to the recipe and may name ``${VARIABLES}``.

    Attributes:
        train: samples with labels.
        test: samples kept apart to the end; without them a share of `train` is.
        validation: share of `train` that guides the training.
        seed: of the splits.
    """

    train: str
    test: str | None = None
    validation: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        _check("validation", self.validation, lambda v: 0 < v <= 0.4, "a share above 0, up to 0.4")


@dataclass(frozen=True)
class TrainingRecipe:
    """How the network is trained.

    Attributes:
        epochs: passes over the training samples at the most.
        batch_size: samples a step.
        learning_rate: at the start; falls to zero along half a cosine.
        optimizer: one of `OPTIMIZERS`.
        loss: one of `LOSSES`.
        patience: epochs without a better validation accuracy before it stops; 0 for never.
        seed: of weights, shuffling and dropout.
    """

    epochs: int = 20
    batch_size: int = 64
    learning_rate: float = 0.002
    optimizer: str = "adam"
    loss: str = "sparse_categorical_crossentropy"
    patience: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        _check("epochs", self.epochs, lambda v: v >= 1, "at least 1")
        _check("batch_size", self.batch_size, lambda v: v >= 1, "at least 1")
        _check("learning_rate", self.learning_rate, lambda v: 0 < v < 10, "a number in (0, 10)")
        _check_name("optimizer", self.optimizer, OPTIMIZERS)
        _check_name("loss", self.loss, LOSSES)
        _check("patience", self.patience, lambda v: v >= 0, "at least 0")


@dataclass(frozen=True)
class PruneRecipe:
    """Magnitude pruning with fine-tuning.

    Attributes:
        sparsity: share of each kernel's weights set to zero, in [0, 1).
        epochs: passes of fine-tuning; sparsity is reached after two thirds of them.
        learning_rate: of the fine-tuning.
    """

    sparsity: float
    epochs: int = 4
    batch_size: int = 64
    learning_rate: float = 0.0005
    seed: int = 0

    def __post_init__(self) -> None:
        _check("sparsity", self.sparsity, lambda v: 0 <= v < 1, "a share in [0, 1)")
        _check("epochs", self.epochs, lambda v: v >= 1, "at least 1")
        _check("batch_size", self.batch_size, lambda v: v >= 1, "at least 1")
        _check("learning_rate", self.learning_rate, lambda v: 0 < v < 10, "a number in (0, 10)")


@dataclass(frozen=True)
class ExportRecipe:
    """Which files are made.

    Attributes:
        formats: ``"tflite"``, ``"onnx"``.
        schemes: see `edgekit.artifact.SCHEMES`.
        io_dtype: what int8 TFLite files take and give: ``"int8"`` or ``"float32"``.
        batch: samples an inference; ``"dynamic"`` leaves it open.
        calibration: samples drawn, of those given, to find the activations' ranges.
        seed: of that draw.
        calibration_method: how ranges follow from them, of `CALIBRATION_METHODS`.
        percentile: for the method of that name, how many values a range keeps, in percent.
        device: the board that the files are for, as `edgekit.device.load_device` knows it.
        targets: interpreters that must run the files, such as ``"tflite-runtime==2.14"``.
        allow_flex: let TensorFlow's own operators into TFLite files where TFLite has none.
        class_names: stored in the files, for `Runner.classify`; one for each class, or none.
        preprocessing: stored in the files, for `Runner.preprocess`: for inputs by name, the steps
            that turn raw data into what the model takes. In TOML, a list of tables each:
            ``[[export.preprocessing.image]]`` with a key ``step`` and the step's own.
        prune: how the model is pruned before; None for not.
    """

    formats: tuple[str, ...] = ("tflite",)
    schemes: tuple[str, ...] = ("float32", "int8")
    io_dtype: str = "int8"
    batch: str = "1"
    calibration: int = 1000
    seed: int = 0
    calibration_method: str = "mse"
    percentile: float = 99.999
    device: str | None = None
    targets: tuple[str, ...] = ()
    allow_flex: bool = False
    class_names: tuple[str, ...] = ()
    preprocessing: Mapping[str, Preprocessing] = field(default_factory=dict)
    prune: PruneRecipe | None = None

    def __post_init__(self) -> None:
        for key, values, known in (
            ("formats", self.formats, tuple(FORMATS)),
            ("schemes", self.schemes, SCHEMES),
            ("io_dtype", (self.io_dtype,), ("int8", "float32")),
            ("calibration_method", (self.calibration_method,), CALIBRATION_METHODS),
        ):
            if not values:
                raise RecipeError(f"{key}: received none, expected at least one of {known}.")
            for value in values:
                _check_name(key, value, known)
        valid_batch = self.batch == "dynamic" or (self.batch.isdecimal() and int(self.batch) > 0)
        _check("batch", self.batch, lambda _: valid_batch, "a positive number or 'dynamic'")
        _check("calibration", self.calibration, lambda v: v >= 1, "at least 1")
        _check("percentile", self.percentile, lambda v: 50 < v <= 100, "above 50, up to 100")

    @property
    def batch_size(self) -> int | None:
        """Samples an inference; None for dynamic."""
        return None if self.batch == "dynamic" else int(self.batch)


@dataclass(frozen=True)
class Recipe:
    """All of it, a TOML table each; ``edgekit train`` and ``edgekit export --recipe`` read their parts."""

    data: DataRecipe | None = None
    model: ModelRecipe = field(default_factory=ModelRecipe)
    training: TrainingRecipe = field(default_factory=TrainingRecipe)
    export: ExportRecipe = field(default_factory=ExportRecipe)


def read_recipe(path: str | os.PathLike[str]) -> Recipe:
    """Read a recipe; data paths come back resolved against its folder.

    Raises:
        UsageError: nothing is there.
        RecipeError: unknown key (the nearest known one is named) or unusable value.
    """
    recipe = read_toml(path, Recipe)
    if recipe.data is None:
        return recipe
    folder = Path(path).parent

    def resolve(name: str) -> str:
        expanded = os.path.expandvars(name)
        if "$" in expanded:
            raise RecipeError(f"{path}: {name!r} names an environment variable that is not set.")
        return str(folder / expanded)

    test = recipe.data.test
    data = replace(
        recipe.data,
        train=resolve(recipe.data.train),
        test=None if test is None else resolve(test),
    )
    return replace(recipe, data=data)
