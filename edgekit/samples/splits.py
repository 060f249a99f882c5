"""Splits: the disjoint parts of the data that a recipe names."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from edgekit.errors import RecipeError, SamplesError
from edgekit.samples.lazy import FileArray
from edgekit.samples.reading import load_samples
from edgekit.samples.samples import Samples

if TYPE_CHECKING:
    from edgekit.recipe.data import DataRecipe


@dataclass(frozen=True)
class Splits:
    """Disjoint samples.

    Attributes:
        validation: guides the training; also what golden files and budgets may be made from
            where there is no test set.
        test: None where the recipe names none.
        calibration: kept for finding ranges; None where the recipe keeps none.
    """

    train: Samples
    validation: Samples
    test: Samples | None
    calibration: Samples | None = None


def load_splits(recipe: DataRecipe) -> Splits:
    """Read the data a recipe names and divide it, stratified by class and seeded.

    The test samples are set apart first, so neither validation nor calibration touches them.

    Raises:
        UsageError: a file or folder is not there.
        RecipeError: `test_pattern` fits none of the files, or all.
        SamplesError: unreadable, too few samples, one class only, or a class in the test samples
            that the training samples do not have.
    """
    options = {"target": recipe.target, "label_pattern": recipe.label_pattern}
    samples, test = _named(load_samples(recipe.train, **options), recipe), None
    if recipe.test is not None:
        test = _named(load_samples(recipe.test, **options), recipe).for_classes(samples.class_names)
    elif recipe.test_pattern is not None:
        samples, test = _by_name(samples, recipe.test_pattern)
    elif recipe.test_share:
        samples, test = samples.split([1 - recipe.test_share, recipe.test_share], recipe.seed)
    labels = samples.class_labels
    if labels is not None and (labels == labels[0]).all():
        name = samples.class_names[labels[0]] if samples.class_names else labels[0]
        raise SamplesError(
            f"{recipe.train}: all samples are of one class, {name!r}, expected two classes at least."
        )
    shares = [1 - recipe.validation - recipe.calibration, recipe.validation, recipe.calibration]
    parts = samples.split([share for share in shares if share], recipe.seed)
    return Splits(parts[0], parts[1], test, parts[2] if recipe.calibration else None)


def _by_name(samples: Samples, pattern: str) -> tuple[Samples, Samples]:
    """The samples whose files' names do not fit, and those that do."""
    (files,) = samples.inputs.values()
    if not isinstance(files, FileArray):
        raise RecipeError(
            "test_pattern: received samples without names, expected a folder of files."
        )
    fits = np.array([re.search(pattern, name) is not None for name in files.names])
    if fits.all() or not fits.any():
        raise RecipeError(
            f"test_pattern: {pattern!r} fits {'all' if fits.any() else 'none'} of {len(fits)} files "
            f"such as {files.names[0]!r}, expected some."
        )
    return samples[~fits], samples[fits]


def _named(samples: Samples, recipe: DataRecipe) -> Samples:
    if not recipe.class_names:
        return samples
    if samples.class_names:
        return samples.for_classes(recipe.class_names)
    return replace(samples, class_names=recipe.class_names)
