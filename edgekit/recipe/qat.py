"""Training a model for the integers of its int8 file, and distilling from another model meanwhile."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.config import check_types
from edgekit.recipe.checks import check, check_share


@dataclass(frozen=True)
class QatRecipe:
    """Quantisation-aware training.

    Attributes:
        epochs: passes of fine-tuning with quantised weights and activations.
        batch_size: samples a step.
        learning_rate: at the start; falls to zero along half a cosine.
        seed: of the order of the samples, of those that ranges are first measured on and of those
            held out.
        held_out: share of the samples that is not trained on. The epoch that does best on them is
            kept if it beats post-training int8 by more than chance; else the model stays as it
            was. Zero keeps the last epoch.
    """

    epochs: int = 3
    batch_size: int = 64
    learning_rate: float = 0.0002
    seed: int = 0
    held_out: float = 0.1

    def __post_init__(self) -> None:
        check_types(self)
        check("epochs", self.epochs, lambda v: v >= 1, "at least 1")
        check("batch_size", self.batch_size, lambda v: v >= 1, "at least 1")
        check("learning_rate", self.learning_rate, lambda v: 0 < v < 10, "a number in (0, 10)")
        check_share("held_out", self.held_out, lambda v: 0 <= v < 1, "in [0, 1)")


@dataclass(frozen=True)
class DistillRecipe:
    """Distilling from the original model, beside the labels.

    Attributes:
        temperature: divides the logits of both, so that the order of wrong classes counts as well.
        weight: share of the distillation loss, in (0, 1]; the labels have the rest. Samples
            without labels have the distillation loss alone.
    """

    temperature: float = 2.0
    weight: float = 0.5

    def __post_init__(self) -> None:
        check_types(self)
        check("temperature", self.temperature, lambda v: 0 < v <= 100, "a number in (0, 100]")
        check_share("weight", self.weight, lambda v: 0 < v <= 1, "in (0, 1]")
