"""Recipe: what is done to a model, from its data to its files, as frozen dataclasses read from TOML."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from edgekit.config import check_types, read_toml
from edgekit.document.tuning import OBJECTIVES
from edgekit.errors import RecipeError
from edgekit.preprocess import Preprocessing
from edgekit.recipe.augmentation import AUGMENTATIONS, AugmentationRecipe
from edgekit.recipe.budget import BudgetRecipe
from edgekit.recipe.class_weights import ClassWeights
from edgekit.recipe.data import DataRecipe
from edgekit.recipe.export import CALIBRATION_METHODS, MINIMISED, QUALITIES, ExportRecipe
from edgekit.recipe.model import ModelRecipe
from edgekit.recipe.optimize import ClusterRecipe, PruneRecipe
from edgekit.recipe.qat import DistillRecipe, QatRecipe
from edgekit.recipe.schedule import SCHEDULES, ScheduleRecipe
from edgekit.recipe.training import LOSSES, METRICS, OPTIMIZERS, TrainingRecipe
from edgekit.recipe.tune import Dimension, TuneRecipe, check_search

__all__ = [
    "AUGMENTATIONS",
    "CALIBRATION_METHODS",
    "LOSSES",
    "METRICS",
    "MINIMISED",
    "OBJECTIVES",
    "OPTIMIZERS",
    "QUALITIES",
    "SCHEDULES",
    "AugmentationRecipe",
    "BudgetRecipe",
    "ClassWeights",
    "ClusterRecipe",
    "DataRecipe",
    "Dimension",
    "DistillRecipe",
    "ExportRecipe",
    "ModelRecipe",
    "PruneRecipe",
    "QatRecipe",
    "Recipe",
    "ScheduleRecipe",
    "TrainingRecipe",
    "TuneRecipe",
    "read_recipe",
]


@dataclass(frozen=True)
class Recipe:
    """All of it, a TOML table each; ``train``, ``tune`` and ``export --recipe`` read their parts.

    Attributes:
        preprocessing: for inputs by name (``x`` stands for the only one), the steps that turn raw
            samples into what the model takes; they travel with it. In TOML, a list of tables each:
            ``[[preprocessing.audio]]`` with a key ``step`` and the step's own. A ``standardize``
            without mean and variance finds them in the training samples.
        budget: what the file has to meet that `export.minimise` asks for; ``edgekit compare --budget`` reads it too.
    """

    data: DataRecipe | None = None
    preprocessing: Mapping[str, Preprocessing] = field(default_factory=dict)
    model: ModelRecipe = field(default_factory=ModelRecipe)
    training: TrainingRecipe = field(default_factory=TrainingRecipe)
    augmentation: tuple[AugmentationRecipe, ...] = ()
    export: ExportRecipe = field(default_factory=ExportRecipe)
    tune: TuneRecipe | None = None
    budget: BudgetRecipe | None = None

    def __post_init__(self) -> None:
        check_types(self)
        if self.tune is not None:
            check_search(self)


def read_recipe(path: str | os.PathLike[str]) -> Recipe:
    """Read a recipe; the paths in it come back resolved against its folder.

    Raises:
        UsageError: nothing is there.
        RecipeError: unknown key (the nearest known one is named) or unusable value.
    """
    recipe = read_toml(path, Recipe)
    folder = Path(path).parent

    def resolve(name: str) -> str:
        expanded = os.path.expandvars(name)
        if "$" in expanded:
            raise RecipeError(f"{path}: {name!r} names an environment variable that is not set.")
        return str(folder / expanded)

    model = recipe.model
    if model.function is not None:
        recipe = replace(recipe, model=replace(model, folder=resolve(model.folder or "")))
    elif model.file is not None:
        recipe = replace(recipe, model=replace(model, file=resolve(model.file)))
    if recipe.data is None:
        return recipe
    test = recipe.data.test
    data = replace(
        recipe.data,
        train=resolve(recipe.data.train),
        test=None if test is None else resolve(test),
    )
    return replace(recipe, data=data)
