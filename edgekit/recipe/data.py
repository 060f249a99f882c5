"""DataRecipe: which samples."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.recipe.checks import check


@dataclass(frozen=True)
class DataRecipe:
    """Where samples come from. Paths are relative to the recipe and may name ``${VARIABLES}``.

    Attributes:
        train: samples with labels.
        test: samples kept apart to the end; without them a share of `train` is.
        validation: share of `train` that guides the training.
        seed: of the splits.
    """

    train: str
    test: str | None = None
    validation: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        check("validation", self.validation, lambda v: 0 < v <= 0.4, "a share above 0, up to 0.4")
