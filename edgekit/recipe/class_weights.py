"""ClassWeights: how much the loss of each class counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edgekit.config import check_types
from edgekit.recipe.checks import check

BALANCED = "balanced"


@dataclass(frozen=True)
class ClassWeights:
    """How much the loss of each class counts. In TOML ``"balanced"``, or a table by class.

    Attributes:
        balanced: each class counts the same in sum: ``samples / (classes * samples of the class)``
            (King and Zeng, "Logistic Regression in Rare Events Data", 2001).
        by_class: by class number or class name; those left out count 1.
    """

    balanced: bool = False
    by_class: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_types(self)
        for name, weight in self.by_class.items():
            check(f"class_weight.{name}", weight, lambda v: 0 <= v < 1e6, "a number from 0")

    @classmethod
    def from_json(cls, value: Any, where: str) -> ClassWeights:
        """Read ``"balanced"`` or a table of numbers.

        Raises:
            RecipeError: anything else.
        """
        if value == BALANCED:
            return cls(balanced=True)
        check(f"key {where!r}", value, _is_table, f"{BALANCED!r} or a table of numbers by class")
        return cls(by_class={str(name): float(weight) for name, weight in value.items()})


def _is_table(value: Any) -> bool:
    return isinstance(value, dict) and all(type(v) in (int, float) for v in value.values())
