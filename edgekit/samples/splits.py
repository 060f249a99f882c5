"""Splits: the disjoint parts of the data that a recipe names."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from edgekit.errors import RecipeError, SamplesError, UsageError, nearest
from edgekit.samples.lazy import FileArray
from edgekit.samples.reading import read_samples
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

    def part(self, name: str) -> Samples:
        """The samples for a purpose: ``"test"``, ``"train"``, ``"validation"`` or ``"calibration"``,
        which is the training samples where none are kept.

        Raises:
            UsageError: another name.
            RecipeError: no test samples are kept.
        """
        known = {
            "test": self.test,
            "train": self.train,
            "validation": self.validation,
            "calibration": self.calibration or self.train,
        }
        if name not in known:
            raise UsageError(
                f"part: received {name!r}, expected one of {', '.join(known)}.{nearest(name, known)}"
            )
        found = known[name]
        if found is None:
            raise RecipeError(
                "[data] keeps no test samples apart. Add test, test_pattern or test_share."
            )
        return found


def load_splits(recipe: DataRecipe) -> Splits:
    """Read the data a recipe names and divide it, stratified by class and seeded.

    The test samples are set apart first, so neither validation nor calibration touches them.

    Raises:
        UsageError: a file or folder is not there.
        RecipeError: `test_pattern` fits none of the files, or all.
        SamplesError: unreadable, too few samples, one named class only, or a class in the test
            samples that the training samples do not have.
    """
    samples, test = _read(recipe.train, recipe), None
    if recipe.test is not None:
        test = _read(recipe.test, recipe).for_classes(samples.class_names)
    elif recipe.test_pattern is not None:
        samples, test = _by_name(samples, recipe.test_pattern)
    elif recipe.test_share:
        samples, test = samples.split([1 - recipe.test_share, recipe.test_share], recipe.seed)
    if len(samples.class_names) == 1:
        raise SamplesError(
            f"{recipe.train}: all samples are of one class, {samples.class_names[0]!r}, expected two "
            "classes at least. Where there is nothing to tell apart, leave labels and class folders out."
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


def _read(path: str, recipe: DataRecipe) -> Samples:
    if path.endswith(".toml"):
        raise RecipeError(f"data: received {path!r}, expected samples and no other recipe.")
    samples = read_samples(path, target=recipe.target, label_pattern=recipe.label_pattern)
    if not recipe.class_names:
        return samples
    if samples.class_names:
        return samples.for_classes(recipe.class_names)
    return replace(samples, class_names=recipe.class_names)
