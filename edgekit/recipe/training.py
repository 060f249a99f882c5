"""TrainingRecipe: how a network is trained."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.recipe.checks import check, check_name

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

# The others of Keras' losses take one-hot labels; with class numbers they fail, or worse, broadcast.
LOSSES = ("sparse_categorical_crossentropy",)


@dataclass(frozen=True)
class TrainingRecipe:
    """How the network is trained.

    Attributes:
        epochs: passes over the training samples at the most.
        batch_size: samples a step.
        learning_rate: at the start; falls to zero along half a cosine.
        optimizer: one of `OPTIMIZERS`.
        loss: one of `LOSSES`.
        patience: epochs without a better validation accuracy before it stops; 0 for never.
        seed: of weights, shuffling and dropout.
    """

    epochs: int = 20
    batch_size: int = 64
    learning_rate: float = 0.002
    optimizer: str = "adam"
    loss: str = "sparse_categorical_crossentropy"
    patience: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        check("epochs", self.epochs, lambda v: v >= 1, "at least 1")
        check("batch_size", self.batch_size, lambda v: v >= 1, "at least 1")
        check("learning_rate", self.learning_rate, lambda v: 0 < v < 10, "a number in (0, 10)")
        check_name("optimizer", self.optimizer, OPTIMIZERS)
        check_name("loss", self.loss, LOSSES)
        check("patience", self.patience, lambda v: v >= 0, "at least 0")
