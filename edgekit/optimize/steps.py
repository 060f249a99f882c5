"""Steps: what can be done to a model before it is exported, as an export recipe asks for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from edgekit.models.source import SourceModel
from edgekit.optimize.channels import prune_channels
from edgekit.optimize.cluster import cluster
from edgekit.optimize.objective import Teacher
from edgekit.optimize.prune import prune
from edgekit.optimize.qat import quantize_aware
from edgekit.recipe import ClusterRecipe, ExportRecipe, PruneRecipe, QatRecipe
from edgekit.samples import Samples

Progress = Callable[[str], None]
Run = Callable[
    [SourceModel, Samples | None, Teacher | None, Progress], tuple[SourceModel, dict[str, Any]]
]


@dataclass(frozen=True)
class Step:
    """One treatment.

    Attributes:
        name: as it stands in names of files, such as ``prune50``.
        table: the key of its table in the export recipe.
        asked: what was requested; decides about the result, together with model and data.
        run: does it; gives the model and what it came to.
    """

    name: str
    table: str
    asked: dict[str, Any]
    run: Run


def steps(recipe: ExportRecipe) -> list[Step]:
    """The steps that a recipe asks for, in order.

    Raises:
        RecipeError: it asks for pruning, and does not say how much.
    """
    asked = []
    if recipe.prune:
        recipe.prune.check_complete()
    if recipe.prune and recipe.prune.structured:
        asked.append(_channels(recipe.prune, recipe.prune.channels))
    if recipe.prune and recipe.prune.sparsity is not None:
        asked.append(_zeros(recipe.prune, recipe.prune.sparsity))
    if recipe.cluster:
        asked.append(_clusters(recipe.cluster))
    if recipe.qat:
        sparse = recipe.prune is not None and recipe.prune.sparsity is not None
        asked.append(_qat(recipe.qat, sparse, recipe.cluster is not None))
    return asked


def suffix(recipe: ExportRecipe) -> str:
    """What the steps add to a file's stem, such as ``.prune50.cluster16``."""
    return "".join(f".{step.name}" for step in steps(recipe))


def _channels(settings: PruneRecipe, share: float | None) -> Step:
    def run(
        source: SourceModel, data: Samples | None, teacher: Teacher | None, tell: Progress
    ) -> tuple[SourceModel, dict[str, Any]]:
        what = [] if share is None else [f"remove {share:.0%} of the channels"]
        what += [f"cut the kernels of {', '.join(settings.kernels)}"] if settings.kernels else []
        poolings = settings.pooling_to_stride
        what += [f"give convolutions the stride of {', '.join(poolings)}"] if poolings else []
        tell(f"{', '.join(what)} and fine-tune")
        slimmed = prune_channels(source, settings, data, tell, teacher=teacher)
        channels = {name: list(counts) for name, counts in slimmed.channels.items()}
        return slimmed.source, {
            "channels_by_layer": channels,
            "kernels_by_layer": {name: list(sizes) for name, sizes in slimmed.kernels.items()},
            "strides_by_layer": {name: list(steps) for name, steps in slimmed.strides.items()},
            "channels_expected": slimmed.effect.to_json(),
            "channels_blocked_by": slimmed.blocking,
        }

    # Zeros come later and change nothing here.
    asked = {**asdict(settings), "sparsity": None}
    name = "kernels" if settings.kernels else "strides"
    if share is not None:
        name = f"channels{round(share * 100)}"
    return Step(name, "prune", asked, run)


def _zeros(settings: PruneRecipe, sparsity: float) -> Step:
    def run(
        source: SourceModel, data: Samples | None, teacher: Teacher | None, tell: Progress
    ) -> tuple[SourceModel, dict[str, Any]]:
        tell(f"prune to {sparsity:.0%} and fine-tune")
        pruned = prune(source, settings, data, tell, teacher=teacher)
        for name in pruned.by_weight:
            tell(f"layer {name!r}: its kernel takes no such blocks, weights were chosen one by one")
        return pruned.source, {
            "sparsity_by_layer": pruned.sparsity,
            "sparsity_expected": pruned.effect.to_json(),
            "pruned_without_blocks": list(pruned.by_weight),
        }

    return Step(f"prune{round(sparsity * 100)}", "prune", asdict(settings), run)


def _clusters(settings: ClusterRecipe) -> Step:
    def run(
        source: SourceModel, data: Samples | None, teacher: Teacher | None, tell: Progress
    ) -> tuple[SourceModel, dict[str, Any]]:
        tell(f"share {settings.clusters} weights a kernel and fine-tune")
        clustered = cluster(source, settings, data, tell, teacher=teacher)
        return clustered.source, {
            "distinct_by_layer": clustered.distinct,
            "expected": clustered.effect.to_json(),
        }

    return Step(f"cluster{settings.clusters}", "cluster", asdict(settings), run)


def _qat(settings: QatRecipe, sparse: bool, clustered: bool) -> Step:
    def run(
        source: SourceModel, data: Samples | None, teacher: Teacher | None, tell: Progress
    ) -> tuple[SourceModel, dict[str, Any]]:
        tell("train for int8")
        trained = quantize_aware(
            source,
            settings,
            data,
            preserve_sparsity=sparse,
            preserve_clusters=clustered,
            teacher=teacher,
            progress=tell,
        )
        for line in trained.remarks:
            tell(line)
        return trained.source, trained.to_json()

    return Step("qat", "qat", asdict(settings), run)
