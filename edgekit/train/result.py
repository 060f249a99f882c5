"""Training: what a training came to."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgekit.document import tag
from edgekit.files import sha256_of
from edgekit.recipe import Recipe

# What a document's rows always have; null where a training has no such number.
_COLUMNS = ("loss", "accuracy", "val_loss", "val_accuracy")


@dataclass(frozen=True)
class Training:
    """What a training came to.

    Attributes:
        history: one entry an epoch: ``epoch``, ``loss``, ``val_loss``, each metric and its
            ``val_`` twin (``accuracy`` of a classification), ``learning_rate`` at the epoch's end,
            ``seconds``. Accuracies are fractions.
        loss: the name of the loss.
        monitor: what decided which epoch was best.
        best_epoch: whose weights were kept, from 1.
        stopped: whether it ended early, because nothing got better.
        validation, test: loss and metrics of the saved model; `test` is None without test samples.
        seconds: in `fit`, all parts of a training that was taken up again added up.
    """

    path: Path
    parameters: int
    recipe: Recipe
    splits: dict[str, int | None]
    history: list[dict[str, float]]
    loss: str
    monitor: str
    best_epoch: int
    stopped: bool
    validation: dict[str, float]
    test: dict[str, float] | None
    seconds: float

    @property
    def validation_accuracy(self) -> float | None:
        """On the validation samples, a fraction; None of what is no classification."""
        return self.validation.get("accuracy")

    @property
    def test_accuracy(self) -> float | None:
        """On the test samples, a fraction; None without any, or of what is no classification."""
        return self.test.get("accuracy") if self.test else None

    def to_json(self) -> dict[str, Any]:
        recipe = asdict(self.recipe)
        return {
            "schema": tag("training"),
            "model": {
                "path": self.path.name,
                "sha256": sha256_of(self.path),
                "parameters": self.parameters,
            },
            "recipe": {key: recipe[key] for key in ("data", "model", "training", "augmentation")},
            "splits": self.splits,
            "history": [{**dict.fromkeys(_COLUMNS), **row} for row in self.history],
            "loss": self.loss,
            "monitor": self.monitor,
            "best_epoch": self.best_epoch,
            "stopped": self.stopped,
            "validation": self.validation,
            "test": self.test,
            "validation_accuracy": self.validation_accuracy,
            "test_accuracy": self.test_accuracy,
            "seconds": self.seconds,
        }
