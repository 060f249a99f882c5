"""Plan: model, samples and targets brought together, and held against each other before the first step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.errors import ArtifactError, SamplesError, TensorError, TrainingError, require
from edgekit.formats.metadata import Metadata
from edgekit.formats.seen import TRAINING
from edgekit.models.architectures import Task, adopt, build
from edgekit.models.source import SourceModel, from_keras
from edgekit.recipe import Recipe
from edgekit.samples import Samples
from edgekit.samples.prepare import learned, prepared
from edgekit.samples.profile import seen_of
from edgekit.train import compiling
from edgekit.train.augmentation import check_fit, make, varied
from edgekit.train.class_weighting import weights_of
from edgekit.train.feeding import Feed, Vary, kept
from edgekit.train.precision import in_policy
from edgekit.train.targets import BINARY, NUMBERS, ONE_HOT, Targets, class_count, targets_for

_PURPOSE = "Training a model"
_BATCH = 1024


@dataclass(frozen=True)
class Plan:
    """All that a training needs, checked.

    Attributes:
        model: Keras 3, never compiled: what will be saved.
        metadata: what is stored with it: class names, pre-processing as far as it was fitted, and what
            the training samples look like.
        trainee: compiled; shares its weights with `model` unless it computes in 16 bits.
        feeds: of the training samples, the validation samples and, where there are any, the test
            samples.
        vary: the augmentation.
        steps: of an epoch.
    """

    model: Any
    metadata: Metadata
    trainee: Any
    targets: Targets
    feeds: tuple[Feed, ...]
    vary: Vary | None
    steps: int

    def described(self, scores: Sequence[Mapping[str, float]]) -> Metadata:
        """What is stored with the trained model: `metadata`, and the accuracy that was measured last.

        Args:
            scores: of the saved model, for each of `feeds` but the first.
        """
        feed, last = self.feeds[len(scores)], scores[-1]
        if (accuracy := last.get("accuracy")) is None or not 0 <= accuracy <= 1:
            return self.metadata
        seen = (
            replace(each, accuracy=accuracy, accuracy_count=feed.count)
            for each in self.metadata.seen
        )
        return replace(self.metadata, seen=tuple(seen))


def check_recipe(recipe: Recipe) -> None:
    """Ask this before data is read in vain.

    Raises:
        RecipeError: an option of the optimiser, or an argument of an augmentation, is none.
    """
    keras = require("keras", "export", _PURPOSE)
    compiling.optimizer(keras, recipe.training, 1)
    for each in recipe.augmentation:
        make(each)


def plan(
    parts: list[Samples], recipe: Recipe, model: Any = None, *, trust_code: bool = False
) -> Plan:
    """Build the model, unless it is given, and bring it together with its samples.

    Args:
        parts: raw, for training, validation and perhaps test.
        recipe: `preprocessing`, `model`, `training` and `augmentation` are read.
        model: of Keras 3, in place of the recipe's.
        trust_code: let code that the recipe's model file holds run.

    Raises:
        SamplesError: inputs or labels do not fit the model.
        RecipeError: the architecture does not fit the data, or a name not the labels.
    """
    keras = require("keras", "export", _PURPOSE)
    settings = recipe.training
    keras.utils.set_random_seed(settings.seed)
    metadata = learned(recipe.preprocessing, parts[0])
    parts = [_kept(prepared(part, metadata)) for part in parts]
    rebuilds = model is None and _reference(recipe) == "autoencoder"
    if model is None:
        model = build(_task(parts[0], rebuilds), recipe.model, trust_code=trust_code)
    elif not getattr(model, "inputs", None):
        model = adopt(model, _task(parts[0], False), "model")
    source = _source(model)
    parts = [_fitting(part, source) for part in parts]
    targets = targets_for(
        parts[0],
        {spec.name: spec.shape[1:] for spec in source.inputs},
        source.outputs[0].shape[1:],
        settings,
        rebuilds=rebuilds,
    )
    weights = weights_of(settings.class_weight, parts[0], targets.classes, metadata.class_names)
    dtypes = {spec.name: spec.dtype for spec in source.inputs}
    feeds = [
        Feed(part, dtypes, targets, None if number else weights)
        for number, part in enumerate(parts)
    ]
    trainee = compiled(keras, _trainee(keras, model, settings.precision), recipe, targets, feeds[0])
    return Plan(
        model=model,
        metadata=replace(
            metadata.for_inputs([spec.name for spec in source.inputs]),
            seen=(seen_of(parts[0], TRAINING),),
        ),
        trainee=trainee,
        targets=targets,
        feeds=tuple(feeds),
        vary=_vary(recipe, source),
        steps=feeds[0].steps(settings.batch_size),
    )


def compiled(keras: Any, model: Any, recipe: Recipe, targets: Targets, feed: Feed) -> Any:
    """`model` with the recipe's optimiser, loss and metrics; either flavour of Keras.

    Raises:
        SamplesError: the model's answer to a class is no share, where the loss needs one.
        RecipeError: an option of the optimiser is none.
    """
    settings = recipe.training
    logits = targets.form in (NUMBERS, ONE_HOT) and _gives_logits(model)
    if targets.form == BINARY and _gives_logits(model):
        raise SamplesError(
            "training: received a model whose output is linear for labels 0 and 1, expected shares "
            "between 0 and 1. Give its last layer the activation 'sigmoid'."
        )
    model.compile(
        optimizer=compiling.optimizer(keras, settings, feed.steps(settings.batch_size)),
        loss=compiling.loss(keras, targets, logits),
        metrics=compiling.metrics(keras, targets),
    )
    return model


def scorer(planned: Plan, recipe: Recipe) -> Any:
    """What measures the model that is saved: its twin in 32 bits, with the trained weights."""
    if recipe.training.precision == "float32":
        return planned.trainee
    keras = require("keras", "export", _PURPOSE)
    planned.model.set_weights(planned.trainee.get_weights())
    twin = _trainee(keras, planned.model, "float32")
    return compiled(keras, twin, recipe, planned.targets, planned.feeds[0])


def _source(model: Any) -> SourceModel:
    try:
        source = from_keras(Path("model"), "keras", model)
    except ArtifactError as error:
        raise TrainingError(
            "training: the model's inputs are not known. Expected a Sequential or Functional model: "
            "give it a keras.Input."
        ) from error
    if len(source.outputs) != 1:
        raise TrainingError(
            f"training: received a model with outputs "
            f"{', '.join(spec.name for spec in source.outputs)}, expected one output."
        )
    return source


def _trainee(keras: Any, model: Any, precision: str) -> Any:
    """What is fitted. `model` itself is never compiled, so that its file holds no optimiser."""
    if precision != "float32":
        return in_policy(keras, model, precision)
    names = [tensor.name for tensor in model.inputs]
    inputs = dict(zip(names, model.inputs, strict=True)) if len(names) > 1 else model.inputs[0]
    return keras.Model(inputs, model.outputs[0])


def _kept(samples: Samples) -> Samples:
    """The same samples, read from disk once where they are small: all that follows looks at them."""
    return replace(samples, inputs={name: kept(x) for name, x in samples.inputs.items()})


def _reference(recipe: Recipe) -> str | None:
    """The reference architecture that the recipe names."""
    own = recipe.model.function is not None or recipe.model.file is not None
    return None if own else recipe.model.name


def _task(samples: Samples, rebuilds: bool) -> Task:
    if len(samples.inputs) != 1:
        raise SamplesError(
            f"training: received inputs {', '.join(samples.inputs)}, expected one: edgekit's networks "
            "take one, and so does a function's."
        )
    ((name, x),) = samples.inputs.items()
    largest = max(
        float(np.max(np.abs(np.asarray(batch.inputs[name], np.float64))))
        for batch in samples.batches(_BATCH)
    )
    shape, scale = tuple(x.shape[1:]), 1 / largest if largest else 1.0
    if rebuilds or samples.labels is None:
        return Task(shape, 0, scale, "reconstruction")
    classes = class_count(samples)
    if classes:
        return Task(shape, classes, scale)
    return Task(shape, int(np.prod(samples.labels.shape[1:], dtype=int)), scale, "regression")


def _fitting(samples: Samples, source: SourceModel) -> Samples:
    try:
        return samples.for_inputs(source.inputs)
    except TensorError as error:
        raise SamplesError(f"training: {error}") from error


def _gives_logits(model: Any) -> bool:
    """Whether the output comes of a layer with weights and no activation."""
    history = model.outputs[0]._keras_history
    # tf_keras calls it a layer.
    layer = getattr(history, "operation", None) or history.layer
    activation = getattr(layer, "activation", None)
    return bool(getattr(layer, "weights", [])) and getattr(activation, "__name__", "") == "linear"


def _vary(recipe: Recipe, source: SourceModel) -> Vary | None:
    if recipe.augmentation and len(source.inputs) != 1:
        raise TrainingError(
            f"training: augmentation: received a model with inputs "
            f"{', '.join(spec.name for spec in source.inputs)}, expected one input."
        )
    if recipe.augmentation:
        check_fit(recipe.augmentation, source.inputs[0].shape)
    return varied(recipe.augmentation, recipe.training.seed)
