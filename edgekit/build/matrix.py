"""Matrix: the combinations of a pipeline, each an order with a folder of its own."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from edgekit.artifact import SCHEMES
from edgekit.build.order import Order, Training
from edgekit.build.pipeline import AXES, ModelTable, Pipeline
from edgekit.errors import RecipeError
from edgekit.recipe import ExportRecipe, Recipe, read_recipe

# In the folder of a matrix, what several cells have in common.
SHARED = "shared"


def orders_of(
    pipeline: Pipeline, out: Path, *, key: Path | None = None, trust_code: bool = False
) -> list[Order]:
    """An order for each combination that a pipeline asks for.

    Args:
        pipeline: with paths resolved.
        out: the folder to build in.
        key: that signs the bundles, in place of the pipeline's.
        trust_code: let code that model files hold run.

    Raises:
        RecipeError: all combinations are left out, or one asks for what does not go together.
        UsageError: a recipe for a training is not there.
    """
    cells = [
        cell for cell in _cells(pipeline) if not any(e.fits(cell) for e in pipeline.matrix.exclude)
    ]
    if not cells:
        raise RecipeError("matrix.exclude: received what leaves no combination, expected some.")
    names = [_name(cell) for cell in cells]
    if names != [""] and any(name.split("/")[0] == SHARED for name in names):
        raise RecipeError(
            f"matrix: received {SHARED!r} as a name, which the build's own folder has."
        )
    models = {
        name: _model(name, model, pipeline, out, key, trust_code)
        for name, model in (pipeline.models or {"": pipeline.model}).items()
    }
    return [
        _order(pipeline, models[cell.get("model", "")], cell, name, out)
        for cell, name in zip(cells, names, strict=True)
    ]


def _cells(pipeline: Pipeline) -> Iterator[dict[str, str]]:
    """Each combination, by axis; axes of which the matrix says nothing are left out."""
    matrix = pipeline.matrix
    values = {
        "model": matrix.models or tuple(pipeline.models),
        "recipe": matrix.recipes or (),
        "scheme": matrix.schemes or (),
        "device": matrix.devices or (),
    }
    used = [axis for axis in AXES if values[axis]]
    for combination in itertools.product(*(values[axis] for axis in used)):
        yield dict(zip(used, combination, strict=True))


def _name(cell: dict[str, str]) -> str:
    return "/".join(cell[axis] for axis in AXES if axis in cell)


def _order(pipeline: Pipeline, model: Order, cell: dict[str, str], name: str, out: Path) -> Order:
    recipes = pipeline.recipes or {"": pipeline.export}
    chosen = {cell["recipe"]: recipes[cell["recipe"]]} if "recipe" in cell else dict(recipes)
    own = model.training.recipe if model.training else Recipe()
    try:
        exports = {key: _export(recipe, cell) for key, recipe in chosen.items()}
    except RecipeError as error:
        raise RecipeError(f"{name}: {error}") from error
    return replace(
        model,
        out=out / name,
        cell=name,
        recipes={key: Recipe(data=own.data, export=export) for key, export in exports.items()},
    )


def _export(recipe: ExportRecipe, cell: dict[str, str]) -> ExportRecipe:
    """A recipe for one scheme or one board."""
    scheme = cell.get("scheme")
    if scheme in SCHEMES:
        recipe = recipe.choose(schemes=[scheme])
    elif scheme is not None:
        recipe = recipe.choose(files=[scheme])
    return replace(recipe, device=cell["device"]) if "device" in cell else recipe


def _model(
    name: str,
    table: ModelTable,
    pipeline: Pipeline,
    out: Path,
    key: Path | None,
    trust_code: bool,
) -> Order:
    """What all orders of one model say alike."""
    alone = all(axis not in cell for cell in _cells(pipeline) for axis in AXES)
    shared = None if alone else out / SHARED / (name or "model")
    training = None
    if table.recipe is not None:
        training = Training(Path(table.recipe), _trainable(table.recipe))
        model = (shared or out) / f"{name or Path(table.recipe).stem}.keras"
    else:
        model = Path(table.file or "")
    bundle = pipeline.bundle
    samples = table.samples or table.recipe
    assert samples is not None, "a pipeline sees to it"
    return Order(
        model=model,
        out=out,
        samples=Path(samples),
        shared=shared,
        training=training,
        # What is not said is of the recipe's own data.
        calibration=_path(table.calibration),
        data=_path(table.data),
        validation=_path(table.validation),
        budget=pipeline.limits,
        seconds=pipeline.bench.seconds,
        reference=pipeline.bench.reference,
        archive=not bundle.folder,
        key=key or _path(bundle.key),
        licence=_path(bundle.licence),
        licence_id=bundle.licence_id,
        allow_inconclusive=bundle.allow_inconclusive,
        trust_code=trust_code,
    )


def _trainable(path: str) -> Recipe:
    recipe = read_recipe(path)
    if recipe.data is None:
        raise RecipeError(f"{path}: has no table [data], expected one that names the samples.")
    return recipe


def _path(given: str | None) -> Path | None:
    return None if given is None else Path(given)
