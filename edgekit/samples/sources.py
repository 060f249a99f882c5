"""Sources: samples from whatever people have, each file read once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import RecipeError, UsageError, check_type, placed
from edgekit.samples.lazy import LazyArray
from edgekit.samples.reading import from_arrays, read_samples
from edgekit.samples.samples import Samples
from edgekit.samples.splits import Splits, load_splits
from edgekit.tensor import ANY_INPUT

if TYPE_CHECKING:
    # A board that reads samples needs no recipes, and importing them takes a third of numpy's time.
    from edgekit.recipe import DataRecipe, ExportRecipe, Recipe

    # Whatever a recipe may be given as, and whatever data that is divided for a training.
    RecipeLike: TypeAlias = Recipe | ExportRecipe | str | os.PathLike[str]
    SplitsLike: TypeAlias = Splits | DataRecipe | str | os.PathLike[str]


class Dataset(Protocol):
    """What a `tf.data.Dataset` has, and tells it by."""

    def as_numpy_iterator(self) -> Iterator[Any]: ...


# Whatever samples may be given as.
SamplesLike: TypeAlias = (
    Samples | str | os.PathLike[str] | NDArray[Any] | LazyArray | Mapping[str, Any] | Dataset
)

# What messages say of them.
_SAMPLES = "edgekit.Samples, a path, an array, arrays by input name, or a tf.data.Dataset"
_ARRAY = "an array: numpy.asarray(...)"


class Sources:
    """What one piece of work reads. A recipe file, a data set and its division are read when they are
    first asked for, and kept for as long as this is."""

    def __init__(self) -> None:
        self._recipes: dict[Path, Recipe] = {}
        self._splits: dict[DataRecipe, Splits] = {}
        self._files: dict[Path, Samples] = {}

    def recipe(self, given: RecipeLike | None) -> Recipe:
        """A recipe from any of `RecipeLike`; the defaults for None.

        Raises:
            UsageError: something else, or nothing is at the path.
            RecipeError: unknown key (the nearest known one is named) or unusable value.
        """
        from edgekit.recipe import ExportRecipe, Recipe

        if given is None:
            return Recipe()
        if isinstance(given, (str, os.PathLike)):
            return self._recipe_in(Path(given))
        if isinstance(given, ExportRecipe):
            return Recipe(export=given)
        expected = "edgekit.Recipe, edgekit.ExportRecipe or the path of a TOML file"
        check_type("recipe", given, Recipe, expected)
        return given

    def splits(self, given: SplitsLike) -> Splits:
        """The parts of a data set, from any of `SplitsLike`; as `load_splits` divides them.

        Raises:
            UsageError: something else, or nothing is at the path.
            RecipeError: the recipe names no data, or data that cannot be divided so.
            SamplesError: the data cannot be used.
        """
        from edgekit.recipe import DataRecipe

        if isinstance(given, Splits):
            return given
        if isinstance(given, (str, os.PathLike)):
            given = self._data_in(Path(given)) if _is_recipe(given) else DataRecipe(str(given))
        expected = "edgekit.samples.Splits, a DataRecipe, or the path of samples or of a recipe"
        check_type("data", given, DataRecipe, expected)
        if given not in self._splits:
            self._splits[given] = load_splits(given)
        return self._splits[given]

    def samples(self, given: SamplesLike, name: str = "samples", part: str = "test") -> Samples:
        """Samples from any of `SamplesLike`.

        Args:
            given: `Samples`; a path that `load_samples` takes; an array of a single input, samples
                first; arrays by input name, with labels as ``y``; or a `tf.data.Dataset` of batches.
            name: what messages call it.
            part: of a recipe's data; see `load_samples`.

        Raises:
            UsageError: something else, or nothing is at the path.
            RecipeError: the recipe has no such part.
            SamplesError: the data cannot be used.
        """
        if isinstance(given, Samples):
            return given
        if isinstance(given, (str, os.PathLike)):
            return self._of_path(given, part)
        if hasattr(given, "as_numpy_iterator"):
            return Samples.from_dataset(given)
        if isinstance(given, Mapping):
            return from_arrays(
                {key: _array(f"{name}: {key!r}", x, _ARRAY) for key, x in given.items()}
            )
        return from_arrays({ANY_INPUT: _array(name, given, _SAMPLES)})

    def _of_path(self, path: str | os.PathLike[str], part: str) -> Samples:
        if not _is_recipe(path):
            place = Path(path).absolute()
            if place not in self._files:
                self._files[place] = read_samples(path)
            return self._files[place]
        splits = self.splits(path)
        try:
            return splits.part(part)
        except RecipeError as error:
            raise RecipeError(placed(path, error)) from error

    def _recipe_in(self, path: Path) -> Recipe:
        from edgekit.recipe import read_recipe

        place = path.absolute()
        if place not in self._recipes:
            self._recipes[place] = read_recipe(path)
        return self._recipes[place]

    def _data_in(self, path: Path) -> DataRecipe:
        data = self._recipe_in(path).data
        if data is None:
            raise RecipeError(f"{path}: has no table [data], expected one that names the samples.")
        return data


def load_samples(
    path: SamplesLike,
    *,
    target: str | None = None,
    label_pattern: str | None = None,
    part: str = "test",
) -> Samples:
    """Read samples from a file, by its ending, or from a folder.

    ``.npz``: one array per input name (``x`` will do for a single input), optional labels ``y`` and
    their ``class_names``. ``.npy``: the only input. ``.csv``: a header line, numbers, and a column of
    labels, which may be texts. IDX images (``*images*ubyte`` or ``.gz``): labels are taken from the
    file beside it that has ``labels`` and ``idx1`` where this one has ``images`` and ``idx3``; grey
    images become (samples, height, width, 1). ``.ts``: the UEA and UCR archives' series, as (samples,
    time, channels). A folder of class folders with PNG or JPEG images or WAV files, or of such files
    alone; also one such file. Images are uint8 (samples, height, width, 1 or 3); audio is float32 in
    [-1, 1), (samples, time), filled up with zeros to the longest. Their files are read when their
    values are requested, so a folder may be larger than the memory. ``.toml``: a part of the data that
    a recipe's ``[data]`` table names, divided as for a training.

    Labels that are texts, one-hot rows or names of folders become class numbers; names are sorted.

    Args:
        path: the file or folder. Samples in another form, as everywhere, are taken as they are: an array,
            arrays by input name, a `tf.data.Dataset`, or `Samples`.
        target: the column of a ``.csv`` file that holds the labels; ``y`` if None.
        label_pattern: a regular expression for the names of a folder's files, whose first group is
            the class: ``r"^(\\d)_"`` for ``7_george_12.wav``.
        part: of a recipe's data: ``"test"``, ``"train"``, ``"validation"`` or ``"calibration"``, which
            is the training samples where the recipe keeps none. Other files have no parts.

    Raises:
        UsageError: nothing is there, `target` or `label_pattern` do not go with it, or a recipe without
            that part.
        SamplesError: the file is not what its ending says, is empty, holds pickled objects
            or values that are not finite.
        MissingDependencyError: images without Pillow.
    """
    if target is None and label_pattern is None:
        return Sources().samples(path, part=part)
    if not isinstance(path, (str, os.PathLike)):
        named = "target" if target is not None else "label_pattern"
        raise UsageError(
            f"{named}: received with {type(path).__name__}, expected with the path of a file or folder."
        )
    return read_samples(path, target=target, label_pattern=label_pattern)


def _is_recipe(path: str | os.PathLike[str]) -> bool:
    return os.fspath(path).lower().endswith(".toml")


def _array(name: str, x: Any, expected: str) -> NDArray[Any] | LazyArray:
    """An array of whatever knows how to become one."""
    if isinstance(x, (np.ndarray, LazyArray)):
        return x
    if not hasattr(x, "__array__"):
        raise UsageError(f"{name}: received {type(x).__name__}, expected {expected}.")
    return np.asarray(x)
