"""Chain: everything that is done to a model before it is exported, in the order that works.

Channels first, since what is removed needs no other treatment; zeros; shared weights, which keep
the zeros; quantisation-aware training last, which keeps both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from edgekit.models.source import SourceModel, copied
from edgekit.optimize.objective import Teacher
from edgekit.optimize.prune import prune
from edgekit.optimize.qat import quantize_aware
from edgekit.recipe import ExportRecipe, QatRecipe
from edgekit.samples import Samples

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Optimized:
    """A model that went through the chain.

    Attributes:
        source: of the flavour that went in.
        report: what each step was asked for and came to, by its table's name in the recipe.
    """

    source: SourceModel
    report: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """One treatment.

    Attributes:
        name: as it stands in names of files, such as ``prune50``.
        table: the key of its table in the export recipe.
        asked: what was asked for; decides about the result, together with model and data.
        run: does it; gives the model and what it came to.
    """

    name: str
    table: str
    asked: dict[str, Any]
    run: Callable[
        [SourceModel, Samples | None, Teacher | None, Progress],
        tuple[SourceModel, dict[str, Any]],
    ]


def steps(recipe: ExportRecipe) -> list[Step]:
    """The steps that a recipe asks for, in order."""
    asked = []
    if recipe.prune and recipe.prune.sparsity is not None:
        settings = recipe.prune

        def run(
            source: SourceModel, data: Samples | None, teacher: Teacher | None, tell: Progress
        ) -> tuple[SourceModel, dict[str, Any]]:
            tell(f"prune to {settings.sparsity:.0%} and fine-tune")
            pruned = prune(source, settings, data, tell, teacher=teacher)
            return pruned.source, {"sparsity_by_layer": pruned.sparsity}

        name = f"prune{round((settings.sparsity or 0) * 100)}"
        asked.append(Step(name, "prune", asdict(settings), run))
    if recipe.qat:
        asked.append(_qat(recipe, recipe.qat))
    return asked


def _qat(recipe: ExportRecipe, settings: QatRecipe) -> Step:
    def run(
        source: SourceModel, data: Samples | None, teacher: Teacher | None, tell: Progress
    ) -> tuple[SourceModel, dict[str, Any]]:
        tell("train for int8")
        trained = quantize_aware(
            source,
            settings,
            data,
            preserve_sparsity=recipe.prune is not None,
            preserve_clusters=recipe.cluster is not None,
            teacher=teacher,
            progress=tell,
        )
        for line in trained.remarks:
            tell(line)
        return trained.source, trained.to_json()

    return Step("qat", "qat", asdict(settings), run)


def suffix(recipe: ExportRecipe) -> str:
    """What the steps add to a file's stem, such as ``.prune50.cluster16``."""
    return "".join(f".{step.name}" for step in steps(recipe))


def optimize(
    source: SourceModel,
    recipe: ExportRecipe,
    data: Samples | None,
    *,
    progress: Progress | None = None,
) -> Optimized:
    """Do what `recipe` asks for to the model in `source`.

    Args:
        source: the model; changed in place unless channels are removed.
        recipe: its `prune`, `cluster`, `qat` and `distill` are read.
        data: labelled samples to fine-tune with.
        progress: called with a line of text for each step and epoch.

    Raises:
        UsageError: a step has no labels, or speaks of a layer that is not there.
        BridgeError: a Keras 3 model that cannot be carried to tf_keras and back.
        TrainingError: the loss is no number any more, or a step did not reach its aim.
    """
    tell = progress or (lambda _: None)
    report: dict[str, Any] = {}
    teacher = None
    asked = steps(recipe)
    if recipe.distill and asked:
        teacher = Teacher(copied(source), recipe.distill.weight, recipe.distill.temperature)
        report["distill"] = asdict(recipe.distill)
    for step in asked:
        source, reached = step.run(source, data, teacher, tell)
        report[step.table] = {**report.get(step.table, {}), **step.asked, **reached}
    return Optimized(source, report)
