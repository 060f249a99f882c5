"""Magnitude pruning with tensorflow-model-optimization, for Keras 3 models too."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from edgekit.errors import TrainingError, UsageError, require
from edgekit.models.bridge import copy_back, to_tf_keras
from edgekit.models.source import SourceModel
from edgekit.recipe import PruneRecipe
from edgekit.samples import Samples

# Layers whose kernels are pruned. Depthwise kernels hold few weights and lose much: they stay.
_PRUNED = ("Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose", "Dense")


@dataclass(frozen=True)
class Pruned:
    """A pruned model.

    Attributes:
        source: of the flavour that went in.
        sparsity: share of zeros in each pruned layer's kernel, by layer name.
    """

    source: SourceModel
    sparsity: dict[str, float]


def prune(
    source: SourceModel,
    recipe: PruneRecipe,
    data: Samples | None,
    progress: Callable[[str], None] | None = None,
) -> Pruned:
    """Set the smallest weights of each kernel to zero while fine-tuning the others.

    Sparsity rises from zero along the cubic schedule of Zhu and Gupta, "To prune, or not to
    prune", 2017, and is held for the last third of the training. The model in `source`
    is changed in place.

    Args:
        source: a classifier with class labels, or any model with labels shaped as its output.
        recipe: sparsity in [0, 1) and the fine-tuning.
        data: labelled samples.
        progress: called with a line of text for each epoch.

    Raises:
        UsageError: there are no labels.
        BridgeError: a Keras 3 model that cannot be carried to tf_keras and back.
        TrainingError: the loss is no number any more, or the sparsity was not reached.
    """
    if data is None or data.labels is None:
        raise UsageError("pruning: the samples have no labels to fine-tune with (array 'y').")
    if source.classes is not None:
        # A single score tells two classes apart.
        data.check_labels(max(2, source.classes))
    tf_keras, pruning = _libraries()
    data = data.for_inputs(source.inputs)
    tf_keras.utils.set_random_seed(recipe.seed)
    twin = to_tf_keras(source)
    steps = math.ceil(len(data) / recipe.batch_size) * recipe.epochs
    schedule = pruning.schedule.PolynomialDecay(
        initial_sparsity=0.0,
        final_sparsity=recipe.sparsity,
        begin_step=0,
        end_step=max(1, steps * 2 // 3),
        frequency=max(1, steps // 50),
    )

    def wrap(layer: Any) -> Any:
        if type(layer).__name__ not in _PRUNED:
            return layer
        return pruning.wrapper.PruneLowMagnitude(layer, pruning_schedule=schedule)

    model = tf_keras.models.clone_model(twin.source.model, clone_function=wrap)
    model.compile(
        optimizer=tf_keras.optimizers.Adam(recipe.learning_rate), loss=_loss(tf_keras, source, data)
    )
    callbacks = [
        pruning.callbacks.UpdatePruningStep(),
        tf_keras.callbacks.TerminateOnNaN(),
    ]
    if progress:
        callbacks.append(_tell(tf_keras, recipe.epochs, progress))
    inputs = [data.inputs[spec.name] for spec in source.inputs]
    history = model.fit(
        inputs,
        data.labels,
        batch_size=recipe.batch_size,
        epochs=recipe.epochs,
        callbacks=callbacks,
        verbose=0,
    )
    if not np.isfinite(history.history["loss"][-1]):
        raise TrainingError(
            "pruning: the loss is no number any more. Lower the learning rate of the fine-tuning "
            f"(received {recipe.learning_rate:g})."
        )
    # The wrappers hold the twin's own layers: unwrapping leaves the twin pruned.
    sparsity = {}
    for layer in model.layers:
        if isinstance(layer, pruning.wrapper.PruneLowMagnitude):
            kernel = layer.layer.kernel
            for weights, mask, _ in layer.pruning_vars:
                weights.assign(weights * mask)
            sparsity[layer.layer.name] = float(np.mean(kernel.numpy() == 0))
    _check_reached(sparsity, recipe.sparsity, twin.source.model)
    copy_back(twin)
    return Pruned(source, sparsity)


def _check_reached(sparsity: dict[str, float], wanted: float, model: Any) -> None:
    if not sparsity:
        raise UsageError(
            f"pruning: {model.name!r} has no layer to prune, expected one of {', '.join(_PRUNED)}."
        )
    for name, reached in sparsity.items():
        size = int(np.prod(model.get_layer(name).kernel.shape))
        # A kernel's zeros come in whole weights.
        if reached < wanted - 1 / size - 1e-6:
            raise TrainingError(
                f"pruning: layer {name!r} reached {reached:.3f}, expected {wanted:.3f}. Train for "
                "more epochs."
            )


def _libraries() -> tuple[Any, Any]:
    """tf_keras, and tfmot's pruning modules under one roof."""
    # tfmot switches the whole process to legacy Keras when it is imported. tf_keras is named
    # outright here, and Keras 3 has to stay what it is for everybody else.
    before = os.environ.get("TF_USE_LEGACY_KERAS")
    tf_keras = require("tf_keras", "export", "Pruning")
    base = "tensorflow_model_optimization.python.core.sparsity.keras"
    try:
        modules = {
            part: require(f"{base}.pruning_{part}", "export", "Pruning")
            for part in ("schedule", "wrapper", "callbacks")
        }
    finally:
        if before is None:
            os.environ.pop("TF_USE_LEGACY_KERAS", None)
        else:
            os.environ["TF_USE_LEGACY_KERAS"] = before
    return tf_keras, SimpleNamespace(**modules)


def _loss(tf_keras: Any, source: SourceModel, data: Samples) -> Any:
    if data.class_labels is None:
        return "mean_squared_error"
    first = {s.name: data.inputs[s.name][:64].astype(s.dtype) for s in source.inputs}
    answers = np.asarray(next(iter(source.call(first).values())))
    if source.classes == 1:
        logits = bool(answers.min() < 0 or answers.max() > 1)
        return tf_keras.losses.BinaryCrossentropy(from_logits=logits)
    # A classifier's answers are probabilities, or logits if they do not add up to one.
    logits = bool(np.abs(answers.sum(-1) - 1).max() > 1e-3 or answers.min() < 0)
    return tf_keras.losses.SparseCategoricalCrossentropy(from_logits=logits)


def _tell(tf_keras: Any, epochs: int, progress: Callable[[str], None]) -> Any:
    def line(epoch: int, logs: dict[str, float]) -> None:
        progress(f"fine-tune epoch {epoch + 1}/{epochs}: loss {logs['loss']:.4f}")

    return tf_keras.callbacks.LambdaCallback(on_epoch_end=line)
