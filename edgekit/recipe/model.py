"""ModelRecipe: which network."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.recipe.checks import check


@dataclass(frozen=True)
class ModelRecipe:
    """Which network is trained.

    Attributes:
        name: a reference architecture (`edgekit.models.architectures`).
        width: multiplies the channels of every layer.
        dropout: share of activations dropped before the last layer while training.
    """

    name: str = "cnn"
    width: float = 1.0
    dropout: float = 0.25

    def __post_init__(self) -> None:
        check("width", self.width, lambda v: 0 < v <= 16, "a number above 0, up to 16")
        check("dropout", self.dropout, lambda v: 0 <= v < 1, "a share in [0, 1)")
