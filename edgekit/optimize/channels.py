"""Channel pruning: whole channels removed, so that what is left is a smaller and faster network.

After Li et al., "Pruning Filters for Efficient ConvNets", 2017 (norms of filters), and Liu et al.,
"Learning Efficient Convolutional Networks through Network Slimming", 2017 (BatchNorm's scales).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import UsageError
from edgekit.models.source import SourceModel
from edgekit.optimize.costs import costs_of
from edgekit.optimize.coupling import Coupling, couple
from edgekit.optimize.effects import Effect, of_structure
from edgekit.optimize.finetune import fine_tune, keras_of
from edgekit.optimize.graph import Graph, graph_of
from edgekit.optimize.names import check_layers
from edgekit.optimize.objective import Teacher, trainable
from edgekit.optimize.rebuild import rebuild
from edgekit.optimize.shrink import windows
from edgekit.optimize.stride import strided
from edgekit.recipe import PruneRecipe
from edgekit.samples import Samples


@dataclass(frozen=True)
class Slimmed:
    """A model with fewer channels, or fewer places to look at.

    Attributes:
        source: of the flavour that went in.
        channels: how many each layer had and has, by layer name.
        kernels: the size that kernels had and have, by layer name.
        strides: the strides that convolutions had and have, by layer name.
        effect: what an inference saves.
        blocking: layers that take and give all their channels, with their kind.
    """

    source: SourceModel
    channels: dict[str, tuple[int, int]]
    kernels: dict[str, tuple[list[int], list[int]]]
    strides: dict[str, tuple[list[int], list[int]]]
    effect: Effect
    blocking: dict[str, str]


def prune_channels(
    source: SourceModel,
    recipe: PruneRecipe,
    data: Samples | None,
    progress: Callable[[str], None] | None = None,
    *,
    teacher: Teacher | None = None,
) -> Slimmed:
    """Remove the weakest channels of each group of layers, places of kernels and poolings; fine-tune.

    Channels that are added to each other, as in a residual network, stand or fall together
    (`edgekit.optimize.coupling`). The fine-tuning runs in the model's own Keras: no layer has to
    have a counterpart in the other. The model in `source` is left as it is.

    Args:
        source: a Sequential or Functional model, channels last.
        recipe: `channels`, `criterion`, `multiple`, `exclude`, `kernels`, `pooling_to_stride` and the
            fine-tuning.
        data: samples as `fine_tune` takes them.
        progress: called with a line of text for what it will bring, and for each epoch.
        teacher: a model to distil from as well; `source` itself will do.

    Raises:
        UsageError: no graph to follow, no channel that can go, an unknown layer's name, kernels
            that cannot be cut so, or poolings that no stride can stand for.
        TrainingError: the loss became NaN or infinite.
    """
    data = trainable("pruning", source, data, teacher)
    # Layers made anew draw seeds of their own (Dropout).
    keras_of(source.model).utils.set_random_seed(recipe.seed)
    small = slim(source, recipe)
    if progress:
        progress(small.effect.text)
    fine_tune(small.source.model, source, data, recipe, teacher=teacher, progress=progress)
    return small


def slim(source: SourceModel, recipe: PruneRecipe) -> Slimmed:
    """`source` without what `recipe` takes from it, not yet fine-tuned. Raises as `prune_channels`."""
    graph = graph_of(source)
    coupling = couple(graph)
    check_layers("prune.exclude", recipe.exclude, [call.layer.name for call in graph.calls])
    for name in recipe.exclude:
        if name in coupling.made:
            coupling.lock(coupling.made[name])
    steps = strided(graph, recipe.pooling_to_stride)
    strides = {name: each.strides for name, each in steps.items()}
    stays = windows(graph, recipe.kernels, strides)
    gone = _weakest(graph, coupling, recipe) if recipe.channels else set()
    if not gone and recipe.channels:
        raise UsageError(_nothing_to_remove(source, coupling, recipe))
    after = rebuild(source, graph, coupling, gone, stays, steps)
    layers = {layer.name: layer for layer in after.model.layers}
    channels = {name: (len(atoms), _width(layers[name])) for name, atoms in coupling.made.items()}
    effect = of_structure(costs_of(graph), costs_of(graph_of(after)))
    old = {layer.name: layer for layer in source.model.layers}
    kernels = {
        name: (list(old[name].kernel_size), list(layers[name].kernel_size)) for name in stays
    }
    steps_taken = {name: (list(old[name].strides), list(each)) for name, each in strides.items()}
    return Slimmed(after, channels, kernels, steps_taken, effect, dict(coupling.blocking))


def _width(layer: Any) -> int:
    return int(layer.units if hasattr(layer, "units") else layer.filters)


def _weakest(graph: Graph, coupling: Coupling, recipe: PruneRecipe) -> set[int]:
    """The atoms that go, each the one that stands for all it was joined to."""
    makers: dict[int, list[str]] = defaultdict(list)
    for name, atoms in coupling.made.items():
        for root in coupling.roots(atoms):
            makers[int(root)].append(name)
    groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for root, names in makers.items():
        # One that is made twice by the same layers would be counted twice.
        groups[tuple(dict.fromkeys(names))].append(root)
    strength = _strength(graph, coupling, recipe.criterion)
    gone: set[int] = set()
    for roots in groups.values():
        free = [root for root in roots if not coupling.locked(root)]
        stay = _how_many(len(roots), recipe)
        weakest = sorted(free, key=lambda root: (strength[root], root))
        gone.update(weakest[: max(0, len(roots) - stay)])
    return gone


def _how_many(channels: int, recipe: PruneRecipe) -> int:
    """How many of `channels` stay: the share, in whole multiples, and one at the least."""
    share = channels * (1 - (recipe.channels or 0.0))
    stay = round(share / recipe.multiple) * recipe.multiple
    if recipe.multiple > channels or stay == 0:
        stay = round(share)
    return min(channels, max(1, stay))


def _strength(graph: Graph, coupling: Coupling, criterion: str) -> dict[int, float]:
    """How much each atom matters: the mean over its layers, each layer's own mean being 1."""
    found: dict[int, list[float]] = defaultdict(list)
    layers = {call.layer.name: call.layer for call in graph.calls}
    if criterion == "batchnorm":
        for name, atoms in coupling.scaled.items():
            if getattr(layers[name], "gamma", None) is not None:
                _note(found, coupling.roots(atoms), np.abs(np.asarray(layers[name].gamma)))
    for name, atoms in coupling.made.items():
        roots = coupling.roots(atoms)
        # Channels without a scale are told by their filters.
        if criterion != "batchnorm" or not any(int(root) in found for root in roots):
            _note(found, roots, _norms(layers[name], 1 if criterion == "l1" else 2))
    return {root: float(np.mean(values)) for root, values in found.items()}


def _note(found: dict[int, list[float]], roots: NDArray[np.intp], values: NDArray[Any]) -> None:
    values = values / (float(values.mean()) or 1.0)
    for root, value in zip(roots.tolist(), values.tolist(), strict=True):
        found[root].append(value)


def _norms(layer: Any, order: int) -> NDArray[Any]:
    """The norm of each channel's filter."""
    kind = type(layer).__name__
    kernel = np.asarray(layer.pointwise_kernel if kind.startswith("Separable") else layer.kernel)
    channels = -2 if kind.endswith("Transpose") else -1
    rows = np.moveaxis(kernel, channels, 0).reshape(kernel.shape[channels], -1)
    norms: NDArray[Any] = np.linalg.norm(rows.astype(np.float64), order, axis=1)
    return norms


def _nothing_to_remove(source: SourceModel, coupling: Coupling, recipe: PruneRecipe) -> str:
    made = list(coupling.made.values())
    free = made and any(
        not coupling.locked(int(root)) for root in coupling.roots(np.concatenate(made))
    )
    if free:
        return (
            f"pruning channels: the share {recipe.channels:g} removes none, since what stays is a "
            f"multiple of {recipe.multiple}. Give a larger share, or a smaller prune.multiple."
        )
    reason = "all channels go to its output"
    if coupling.blocking:
        name, kind = coupling.blocking[0]
        reason = f"layer {name!r} ({kind}) takes all channels as they are"
    return f"pruning channels: {source.model.name!r} has none that can be removed: {reason}."
