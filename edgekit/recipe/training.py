"""TrainingRecipe: how a network is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edgekit.config import check_types
from edgekit.recipe.checks import check, check_name
from edgekit.recipe.class_weights import ClassWeights
from edgekit.recipe.schedule import ScheduleRecipe

AUTO = "auto"

# Keras' own, in its names; those that wrap another optimiser need more than a name.
OPTIMIZERS = (
    "adam",
    "adamw",
    "sgd",
    "rmsprop",
    "adadelta",
    "adafactor",
    "adagrad",
    "adamax",
    "ftrl",
    "lion",
    "nadam",
)

# Keras' own, by what they compare: class numbers, a share for each class, shares that do not add
# up to 1, values.
NUMBER_LOSSES = ("sparse_categorical_crossentropy",)
ONE_HOT_LOSSES = ("categorical_crossentropy", "categorical_focal_crossentropy", "kl_divergence")
BINARY_LOSSES = ("binary_crossentropy", "binary_focal_crossentropy")
VALUE_LOSSES = (
    "mean_squared_error",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_logarithmic_error",
    "huber",
    "log_cosh",
    "cosine_similarity",
    "poisson",
)
LOSSES = (*NUMBER_LOSSES, *ONE_HOT_LOSSES, *BINARY_LOSSES, *VALUE_LOSSES)

NUMBER_METRICS = ("sparse_top_k_categorical_accuracy",)
ONE_HOT_METRICS = ("top_k_categorical_accuracy", "f1_score")
SHARE_METRICS = ("auc", "precision", "recall")
VALUE_METRICS = (
    "mean_absolute_error",
    "mean_squared_error",
    "root_mean_squared_error",
    "mean_absolute_percentage_error",
    "mean_squared_logarithmic_error",
    "cosine_similarity",
    "r2_score",
)
METRICS = ("accuracy", *NUMBER_METRICS, *ONE_HOT_METRICS, *SHARE_METRICS, *VALUE_METRICS)

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


@dataclass(frozen=True)
class TrainingRecipe:
    """How the network is trained.

    Attributes:
        epochs: passes over the training samples at the most.
        batch_size: samples a step.
        learning_rate: the full one, which `schedule` changes.
        schedule: how it changes.
        optimizer: one of `OPTIMIZERS`.
        optimizer_options: arguments of Keras' optimiser, such as ``momentum``, ``weight_decay``,
            ``clipnorm`` or ``use_ema``.
        loss: one of `LOSSES`, or ``"auto"``: what fits labels and output.
        metrics: of `METRICS`; none takes what fits: accuracy, or the mean absolute error.
        class_weight: how much each class counts in the loss; None for all the same.
        monitor: what decides which epoch was best: ``"val_loss"``, or ``"val_"`` and a metric;
            ``"auto"`` takes the validation accuracy, or the loss where there is none.
        patience: epochs without a better `monitor` before it stops; 0 for never.
        min_delta: by how much better counts as better.
        precision: one of `PRECISIONS`: what layers compute in. The saved model is float32 always.
        tensorboard: a folder for TensorBoard's logs, from where the command runs; None for none.
        seed: of weights, shuffling, dropout and augmentation.
    """

    epochs: int = 20
    batch_size: int = 64
    learning_rate: float = 0.002
    schedule: ScheduleRecipe = field(default_factory=ScheduleRecipe)
    optimizer: str = "adam"
    optimizer_options: Mapping[str, Any] = field(default_factory=dict)
    loss: str = AUTO
    metrics: tuple[str, ...] = ()
    class_weight: ClassWeights | None = None
    monitor: str = AUTO
    patience: int = 0
    min_delta: float = 0.0
    precision: str = "float32"
    tensorboard: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_types(self)
        check("epochs", self.epochs, lambda v: v >= 1, "at least 1")
        check("batch_size", self.batch_size, lambda v: v >= 1, "at least 1")
        check("learning_rate", self.learning_rate, lambda v: 0 < v < 10, "a number in (0, 10)")
        check_name("optimizer", self.optimizer, OPTIMIZERS)
        check_name("loss", self.loss, (AUTO, *LOSSES))
        for metric in self.metrics:
            check_name("metrics", metric, METRICS)
        known = ("val_loss", *(f"val_{metric}" for metric in METRICS))
        check_name("monitor", self.monitor, (AUTO, *known))
        check("patience", self.patience, lambda v: v >= 0, "at least 0")
        check("min_delta", self.min_delta, lambda v: 0 <= v < 1e6, "at least 0")
        check_name("precision", self.precision, PRECISIONS)
        check("seed", self.seed, lambda v: 0 <= v < 2**32, "0 to 4294967295")
        end = self.schedule.warmup_epochs
        check("schedule.warmup_epochs", end, lambda v: v < self.epochs, "fewer than the epochs")
