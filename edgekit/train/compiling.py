"""What `compile` is given, by name: optimiser, learning rate, loss and metrics.

Each function takes the flavour of Keras as its first argument: ``keras`` or ``tf_keras``.
"""

from __future__ import annotations

import inspect
from typing import Any

from edgekit.errors import RecipeError, nearest, one_line
from edgekit.recipe.training import ONE_HOT_LOSSES, SHARE_METRICS, TrainingRecipe
from edgekit.train.schedules import learning_rate
from edgekit.train.targets import Targets

_CLASSES = {
    "adam": "Adam",
    "adamw": "AdamW",
    "sgd": "SGD",
    "rmsprop": "RMSprop",
    "adadelta": "Adadelta",
    "adafactor": "Adafactor",
    "adagrad": "Adagrad",
    "adamax": "Adamax",
    "ftrl": "Ftrl",
    "lion": "Lion",
    "nadam": "Nadam",
}
# What the recipe sets elsewhere, or what changes how steps are counted.
_NOT_OPTIONS = {
    "self",
    "learning_rate",
    "name",
    "kwargs",
    "loss_scale_factor",
    "gradient_accumulation_steps",
    "jit_compile",
}


def optimizer(keras: Any, settings: TrainingRecipe, steps_per_epoch: int) -> Any:
    """The optimiser with its options and the learning rate over all steps.

    Raises:
        RecipeError: an option that it does not have (the nearest is named) or cannot use.
    """
    made = getattr(keras.optimizers, _CLASSES[settings.optimizer])
    known = [name for name in inspect.signature(made).parameters if name not in _NOT_OPTIONS]
    for name in settings.optimizer_options:
        if name not in known:
            raise RecipeError(
                f"training.optimizer_options: unknown key {name!r}, expected for "
                f"{settings.optimizer!r} one of {', '.join(known)}.{nearest(name, known)}"
            )
    rate = learning_rate(keras, settings, steps_per_epoch)
    try:
        built = made(learning_rate=rate, **settings.optimizer_options)
    except (TypeError, ValueError) as error:
        raise RecipeError(f"training.optimizer_options: {one_line(error)}") from error
    if settings.precision == "mixed_float16":
        # Gradients below 6e-8 would be zero: Micikevicius et al., "Mixed Precision Training", 2018.
        return keras.optimizers.LossScaleOptimizer(built)
    return built


def loss(keras: Any, targets: Targets, logits: bool) -> Any:
    """The loss; `logits` says that the model's output is not yet a share for each class."""
    if not logits:
        return targets.loss
    name = "SparseCategoricalCrossentropy"
    if targets.loss in ONE_HOT_LOSSES:
        name = "CategoricalCrossentropy"
    return getattr(keras.losses, name)(from_logits=True)


def metrics(keras: Any, targets: Targets) -> list[Any]:
    """Objects for those that need arguments, names for the others."""
    made: list[Any] = []
    for name in targets.metrics:
        if name == "f1_score":
            made.append(keras.metrics.F1Score(average="macro", name=name))
        elif name in SHARE_METRICS:
            kind = {"auc": "AUC", "precision": "Precision", "recall": "Recall"}[name]
            made.append(getattr(keras.metrics, kind)(name=name))
        elif name == "root_mean_squared_error":
            made.append(keras.metrics.RootMeanSquaredError(name=name))
        elif name == "r2_score":
            made.append(keras.metrics.R2Score(name=name))
        else:
            made.append(name)
    return made
