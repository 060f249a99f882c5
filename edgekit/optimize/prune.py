"""Magnitude pruning with tensorflow-model-optimization, for Keras 3 models too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgekit.errors import TrainingError, UsageError, require
from edgekit.models.bridge import copy_back, to_tf_keras
from edgekit.models.source import SourceModel
from edgekit.optimize.effects import Effect, of_zeros
from edgekit.optimize.finetune import fine_tune, steps_of
from edgekit.optimize.fold import kernel_of
from edgekit.optimize.names import check_layers
from edgekit.optimize.objective import Teacher, trainable
from edgekit.optimize.tfmot import tfmot
from edgekit.recipe import PruneRecipe
from edgekit.samples import Samples

_PURPOSE = "Pruning"

# Layers whose kernels are pruned.
PRUNED = ("Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose", "Dense")
# Those that are pruned if `layers` names them: their few weights are a few for each channel.
PRUNED_BY_NAME = ("DepthwiseConv2D",)

_TOO_SHORT = "Train for more epochs, or let the schedule begin and end earlier."


@dataclass(frozen=True)
class Pruned:
    """A pruned model.

    Attributes:
        source: of the flavour that went in.
        sparsity: share of zeros in each pruned layer's kernel, by layer name.
        effect: what that brings, as told before.
        by_weight: layers whose weights were chosen one by one although blocks or a pattern were
            asked for: their kernels cannot hold them.
    """

    source: SourceModel
    sparsity: dict[str, float]
    effect: Effect
    by_weight: tuple[str, ...] = ()


def prune(
    source: SourceModel,
    recipe: PruneRecipe,
    data: Samples | None,
    progress: Callable[[str], None] | None = None,
    *,
    teacher: Teacher | None = None,
) -> Pruned:
    """Set the smallest weights of each kernel to zero while fine-tuning the others.

    A polynomial schedule raises the sparsity from zero along the cubic curve of Zhu and Gupta, "To
    prune, or not to prune", 2017, and holds it for the rest of the training. The model in
    `source` is changed in place.

    Args:
        source: a model of Keras 3, or tf_keras' own.
        recipe: `sparsity` is set; which layers, when, and the fine-tuning.
        data: samples as `fine_tune` takes them.
        progress: called with a line of text for what it will bring, and for each epoch.
        teacher: a model to distil from as well.

    Raises:
        UsageError: there are no labels, no layer to prune or none of a name given, the
            schedule is longer than the training, or a layer's sparsity is not its pattern's.
        BridgeError: a Keras 3 model that cannot be carried to tf_keras and back.
        TrainingError: the loss became NaN or infinite, or the sparsity was not reached.
    """
    data = trainable("pruning", source, data, teacher)
    assert recipe.sparsity is not None
    steps = steps_of(data, recipe)
    end = recipe.end or max(recipe.begin + 1, steps * 2 // 3)
    _check_schedule(recipe, end, steps)
    tf_keras = require("tf_keras", "export", _PURPOSE)
    wrapper = tfmot("sparsity.keras.pruning_wrapper", _PURPOSE)
    callbacks = tfmot("sparsity.keras.pruning_callbacks", _PURPOSE)
    twin = to_tf_keras(source)
    wanted = _wanted(twin.source.model, recipe)
    effect = of_zeros(twin.source, wanted)
    if progress:
        progress(effect.text)
    by_weight = tuple(
        name for name in wanted if not _takes_form(twin.source.model.get_layer(name), recipe)
    )
    _check_pattern(wanted, by_weight, recipe)
    frequency = recipe.frequency or max(1, (end - recipe.begin) // 50)

    def wrap(layer: Any) -> Any:
        if layer.name not in wanted:
            return layer
        if type(layer).__name__ in PRUNED_BY_NAME:
            # tfmot knows the layer and prunes nothing of it unless told what.
            layer.get_prunable_weights = lambda: [kernel_of(layer)]
        return wrapper.PruneLowMagnitude(
            layer,
            pruning_schedule=_schedule(recipe, wanted[layer.name], end, frequency),
            block_size=(1, 1) if layer.name in by_weight else recipe.block,
            block_pooling_type="MAX" if recipe.block_pooling == "max" else "AVG",
            sparsity_m_by_n=(2, 4) if recipe.pattern and layer.name not in by_weight else None,
        )

    model = tf_keras.models.clone_model(twin.source.model, clone_function=wrap)
    fine_tune(
        model,
        twin.source,
        data,
        recipe,
        callbacks=[callbacks.UpdatePruningStep()],
        teacher=teacher,
        progress=progress,
    )
    # The wrappers hold the twin's own layers: unwrapping leaves the twin pruned.
    sparsity = {}
    for layer in model.layers:
        if isinstance(layer, wrapper.PruneLowMagnitude):
            for weights, mask, _ in layer.pruning_vars:
                weights.assign(weights * mask)
            kernel = kernel_of(layer.layer).numpy()
            name = layer.layer.name
            sparsity[name] = float(np.mean(kernel == 0))
            _check_reached(name, kernel, wanted[name], recipe)
    copy_back(twin)
    return Pruned(source, sparsity, effect, by_weight)


def _check_schedule(recipe: PruneRecipe, end: int, steps: int) -> None:
    last = end if recipe.schedule == "polynomial" else recipe.begin + 1
    if last >= steps:
        raise UsageError(
            f"pruning: the schedule reaches its sparsity at step {last}, the training has {steps} steps "
            f"({recipe.epochs} epochs, batches of {recipe.batch_size}). {_TOO_SHORT}"
        )


def _wanted(model: Any, recipe: PruneRecipe) -> dict[str, float]:
    """The sparsity that each layer gets, by name."""
    known = [layer.name for layer in model.layers if type(layer).__name__ in PRUNED]
    if not known:
        raise UsageError(
            f"pruning: {model.name!r} has no layer to prune, expected one of {', '.join(PRUNED)}."
        )
    by_name = [layer.name for layer in model.layers if type(layer).__name__ in PRUNED_BY_NAME]
    check_layers("prune.layers", recipe.layers, known + by_name)
    check_layers("prune.exclude", recipe.exclude, known)
    wanted = {
        name: recipe.layers.get(name, recipe.sparsity or 0.0)
        for name in [*known, *(name for name in by_name if name in recipe.layers)]
        if name not in recipe.exclude
    }
    if not wanted:
        raise UsageError("pruning: prune.exclude leaves no layer to prune.")
    return wanted


def _check_pattern(
    wanted: dict[str, float], by_weight: tuple[str, ...], recipe: PruneRecipe
) -> None:
    """A pattern has a sparsity of its own, which no layer that takes it can differ from."""
    for name, share in wanted.items():
        if recipe.pattern and name not in by_weight and share != recipe.sparsity:
            raise UsageError(
                f"prune.layers: layer {name!r} received {share:g}, expected {recipe.sparsity:g} with the "
                f"pattern {recipe.pattern!r}. Leave it out, or name it in prune.exclude."
            )


def _takes_form(layer: Any, recipe: PruneRecipe) -> bool:
    """Whether a kernel can be pruned in the blocks or the pattern asked for, as tfmot does it."""
    shape = tuple(kernel_of(layer).shape)
    if recipe.pattern and type(layer).__name__ in PRUNED_BY_NAME:
        # No sum runs over its channels.
        return False
    if recipe.pattern:
        # Fours of input channels.
        return len(shape) in (2, 4) and shape[-2] % 4 == 0
    if recipe.block == (1, 1):
        return True
    # tfmot drops axes of one before it looks for blocks, and then finds no matrix.
    fits = not any(size % side for size, side in zip(shape, recipe.block, strict=False))
    return len(shape) == 2 and min(shape) > 1 and fits


def _schedule(recipe: PruneRecipe, sparsity: float, end: int, frequency: int) -> Any:
    schedules = tfmot("sparsity.keras.pruning_schedule", _PURPOSE)
    if recipe.schedule == "constant":
        return schedules.ConstantSparsity(sparsity, recipe.begin, frequency=frequency)
    return schedules.PolynomialDecay(0.0, sparsity, recipe.begin, end, frequency=frequency)


def _check_reached(name: str, kernel: Any, wanted: float, recipe: PruneRecipe) -> None:
    # Zeros come in whole weights, or blocks.
    grain = recipe.block[0] * recipe.block[1] / kernel.size
    reached = float(np.mean(kernel == 0))
    if reached < wanted - grain - 1e-6:
        raise TrainingError(
            f"pruning: layer {name!r} reached {reached:.3f}, expected {wanted:.3f}. {_TOO_SHORT}"
        )
