"""Pipeline: the whole way from data or models to bundles in one TOML file, read strictly."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edgekit.artifact import SCHEMES
from edgekit.config import check_types, from_table, read_table
from edgekit.device import load_device
from edgekit.drift.budget import DriftBudget
from edgekit.drift.budget_table import BudgetTable
from edgekit.errors import RecipeError, UsageError, placed
from edgekit.recipe import BudgetRecipe, ExportRecipe
from edgekit.recipe.checks import check, check_name, check_names
from edgekit.recipe.export import FILES
from edgekit.recipe.writing import merged
from edgekit.runtime.benchmark import SECONDS, check_seconds

AXES = ("model", "recipe", "scheme", "device")


@dataclass(frozen=True)
class ModelTable:
    """A model, and its samples. Paths are relative to the pipeline and may name ``${VARIABLES}``.

    Attributes:
        file: a ``.keras`` or HDF5 file, or a SavedModel folder.
        recipe: in its place, a recipe whose tables ``[data]``, ``[model]`` and ``[training]`` say how it is trained.
        samples: raw samples, with labels if accuracy is to be compared: what the files are judged on; the test
            samples of `recipe` if none.
        calibration: raw samples for integer files; those of `recipe` if none.
        data: labelled raw samples to fine-tune with; the training samples of `recipe` if none.
        validation: raw samples, other than those for calibration, to hold against the ranges found.
    """

    file: str | None = None
    recipe: str | None = None
    samples: str | None = None
    calibration: str | None = None
    data: str | None = None
    validation: str | None = None

    def __post_init__(self) -> None:
        check_types(self)
        if self.file is not None and self.recipe is not None:
            raise RecipeError("file, recipe: received both, expected one of them.")

    def check_complete(self) -> None:
        """Ask this of a model that is to be built.

        Raises:
            RecipeError: nothing says what the model is, or what its files are judged on.
        """
        if self.file is None and self.recipe is None:
            raise RecipeError(
                "key 'file' is missing, or 'recipe': which model is built, or how it is trained."
            )
        if self.samples is None and self.recipe is None:
            raise RecipeError("key 'samples' is missing: what the files are judged on.")


@dataclass(frozen=True)
class BenchTable:
    """How files are timed.

    Attributes:
        seconds: how long each is.
        reference: time the original model too, so that the report says how many times faster each file is.
    """

    seconds: float = SECONDS
    reference: bool = False

    def __post_init__(self) -> None:
        check_types(self)
        try:
            check_seconds(self.seconds)
        except UsageError as error:
            raise RecipeError(str(error)) from error


@dataclass(frozen=True)
class BundleTable:
    """What the bundles are.

    Attributes:
        folder: make folders in place of files that end in ``.tar.xz``.
        key: private key that signs them, in PEM; unsigned if none. ``--key`` replaces it.
        licence: file with the licence of the models.
        licence_id: its SPDX identifier, such as ``"Apache-2.0"``.
        allow_inconclusive: make one where the samples are too few to tell whether the budget is met.
    """

    folder: bool = False
    key: str | None = None
    licence: str | None = None
    licence_id: str | None = None
    allow_inconclusive: bool = False

    def __post_init__(self) -> None:
        check_types(self)


@dataclass(frozen=True)
class ExcludeTable:
    """A combination that is not built; what it does not name may be anything.

    Attributes:
        model: name of a model.
        recipe: name of a recipe.
        scheme: as the matrix names it.
        device: id of a board.
    """

    model: str | None = None
    recipe: str | None = None
    scheme: str | None = None
    device: str | None = None

    def __post_init__(self) -> None:
        check_types(self)
        if not any(getattr(self, axis) for axis in AXES):
            raise RecipeError(f"received nothing, expected one of {', '.join(AXES)}.")

    def fits(self, cell: Mapping[str, str]) -> bool:
        """Whether a combination, by axis, is one of those."""
        named = {axis: value for axis in AXES if (value := getattr(self, axis)) is not None}
        return all(cell.get(axis) == value for axis, value in named.items())


@dataclass(frozen=True)
class MatrixTable:
    """What is combined with what; each combination is built in a folder of its own, with a bundle of its own.

    Attributes:
        models: names of tables ``[models.NAME]``; all of them if none.
        recipes: names of tables ``[recipes.NAME]``. If none, the files of all recipes go into one bundle.
        schemes: such as ``"int8"``, in each format of ``[export]``, or single files, such as ``"int8.onnx"``. If none,
            the files that ``[export]`` or the recipe names go into one bundle.
        devices: ids of boards, as `edgekit devices list` prints them; what ``[export]`` says if none.
        exclude: combinations that are left out, as a list of tables: ``[[matrix.exclude]]``.
    """

    models: tuple[str, ...] | None = None
    recipes: tuple[str, ...] | None = None
    schemes: tuple[str, ...] | None = None
    devices: tuple[str, ...] | None = None
    exclude: tuple[ExcludeTable, ...] = ()

    def __post_init__(self) -> None:
        check_types(self)
        check_names("schemes", self.schemes, (*SCHEMES, *FILES))
        for axis in AXES:
            values = getattr(self, f"{axis}s") or ()
            twice = next((value for value in values if values.count(value) > 1), None)
            check(f"{axis}s", twice, lambda v: v is None, "each once")
        for device in self.devices or ():
            try:
                load_device(device)
            except UsageError as error:
                raise RecipeError(f"devices: {error}") from error


@dataclass(frozen=True)
class Pipeline:
    """From data or models to bundles: ``edgekit build pipeline.toml``.

    Attributes:
        model: the model, or what all of `models` have in common.
        models: several, a table each, ``[models.NAME]``, laid over ``[model]``.
        export: which files are made, and how.
        recipes: several ways to make them, a table each, ``[recipes.NAME]``, laid over ``[export]``: optimised in one
            way or the other.
        budget: what the files have to meet; without, there is a bundle whatever they answer.
        bench: how they are timed.
        bundle: what the bundles are.
        matrix: what is combined with what.
    """

    model: ModelTable = field(default_factory=ModelTable)
    models: Mapping[str, ModelTable] = field(default_factory=dict)
    export: ExportRecipe = field(default_factory=ExportRecipe)
    recipes: Mapping[str, ExportRecipe] = field(default_factory=dict)
    budget: BudgetRecipe = field(default_factory=BudgetRecipe)
    bench: BenchTable = field(default_factory=BenchTable)
    bundle: BundleTable = field(default_factory=BundleTable)
    matrix: MatrixTable = field(default_factory=MatrixTable)

    def __post_init__(self) -> None:
        check_types(self)
        try:
            _ = self.limits
        except UsageError as error:
            raise RecipeError(f"budget: {error}") from error
        for axis, known in (("models", self.models), ("recipes", self.recipes)):
            for name in known:
                check_place(f"{axis}.{name}", name)
            named = getattr(self.matrix, axis)
            if named is not None and not known:
                raise RecipeError(
                    f"matrix.{axis}: received {', '.join(named)}, and there is no table [{axis}.NAME]."
                )
            for name in named or ():
                check_name(f"matrix.{axis}", name, tuple(known))
        for name, model in self.models.items() or [("", self.model)]:
            try:
                model.check_complete()
            except RecipeError as error:
                raise RecipeError(f"{f'models.{name}' if name else 'model'}: {error}") from error
        if self.export.minimise is not None or any(r.minimise for r in self.recipes.values()):
            raise RecipeError(
                "export.minimise: received a search for one file, which a build is none. Name files, and search with "
                "'edgekit export'."
            )
        for name, recipe in self.recipes.items():
            if (recipe.tasks, recipe.decoder) != (self.export.tasks, self.export.decoder):
                raise RecipeError(
                    f"recipes.{name}: received other tasks or another decoder than [export] has, expected them there: "
                    "all files answer the same."
                )

    @property
    def limits(self) -> DriftBudget:
        """The budget, as files are held to it."""
        return BudgetTable(**vars(self.budget)).limits_of()


def check_place(key: str, name: str) -> None:
    """Refuse a name that is no name of a folder.

    Raises:
        RecipeError: it could lead elsewhere, or hide.
    """
    fine = name.isascii() and all(c.isalnum() or c in "-_." for c in name) and name[:1].isalnum()
    check(key, name, lambda _: fine, "letters, digits, '-', '_' and '.', a letter or digit first")


def read_pipeline(path: str | os.PathLike[str]) -> Pipeline:
    """Read a pipeline; the paths in it come back resolved against its folder.

    Raises:
        UsageError: nothing is there.
        RecipeError: unknown key (the nearest known one is named) or unusable value.
    """
    try:
        pipeline = from_table(Pipeline, _laid_over(read_table(path)))
    except RecipeError as error:
        raise RecipeError(placed(path, error)) from error
    except UsageError as error:
        raise RecipeError(placed(path, error)) from error
    folder = Path(path).parent

    def resolve(name: str | None) -> str | None:
        if name is None:
            return None
        expanded = os.path.expandvars(name)
        if "$" in expanded:
            raise RecipeError(f"{path}: {name!r} names an environment variable that is not set.")
        return str(folder / expanded)

    def resolved(model: ModelTable) -> ModelTable:
        return ModelTable(**{key: resolve(value) for key, value in vars(model).items()})

    def imported(recipe: ExportRecipe) -> ExportRecipe:
        return replace(recipe, imports=tuple(str(folder / each) for each in recipe.imports))

    bundle = pipeline.bundle
    return replace(
        pipeline,
        model=resolved(pipeline.model),
        models={name: resolved(model) for name, model in pipeline.models.items()},
        export=imported(pipeline.export),
        recipes={name: imported(recipe) for name, recipe in pipeline.recipes.items()},
        bundle=replace(bundle, key=resolve(bundle.key), licence=resolve(bundle.licence)),
    )


# Of these, what a table names replaces the others in the table that it is laid over.
_INSTEAD = (("file",), ("recipe",)), (("files",), ("schemes", "formats"))


def _laid_over(tables: Mapping[str, Any]) -> dict[str, Any]:
    """The tables of a pipeline, with those of single models and recipes laid over what all have in common."""
    found = dict(tables)
    for many, one in (("models", "model"), ("recipes", "export")):
        base, named = tables.get(one, {}), tables.get(many, {})
        if isinstance(base, Mapping) and isinstance(named, Mapping):
            found[many] = {
                name: merged(_without(base, table), table) if isinstance(table, Mapping) else table
                for name, table in named.items()
            }
    return found


def _without(base: Mapping[str, Any], table: Mapping[str, Any]) -> dict[str, Any]:
    dropped: set[str] = set()
    for one, other in _INSTEAD:
        for mine, theirs in ((one, other), (other, one)):
            if any(key in table for key in mine):
                dropped.update(theirs)
    return {key: value for key, value in base.items() if key not in dropped or key in table}
