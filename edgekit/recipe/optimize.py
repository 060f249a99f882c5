"""What is done to a trained model before it is exported."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.recipe.checks import check


@dataclass(frozen=True)
class PruneRecipe:
    """Magnitude pruning with fine-tuning.

    Attributes:
        sparsity: share of each kernel's weights set to zero, in [0, 1).
        epochs: passes of fine-tuning; sparsity is reached after two thirds of them.
        learning_rate: of the fine-tuning.
    """

    sparsity: float
    epochs: int = 4
    batch_size: int = 64
    learning_rate: float = 0.0005
    seed: int = 0

    def __post_init__(self) -> None:
        check("sparsity", self.sparsity, lambda v: 0 <= v < 1, "a share in [0, 1)")
        check("epochs", self.epochs, lambda v: v >= 1, "at least 1")
        check("batch_size", self.batch_size, lambda v: v >= 1, "at least 1")
        check("learning_rate", self.learning_rate, lambda v: 0 < v < 10, "a number in (0, 10)")
