"""ScheduleRecipe: how the learning rate changes while a network is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edgekit.config import check_types, from_table
from edgekit.recipe.checks import check, check_name

SCHEDULES = ("cosine", "constant", "exponential", "step")

# What a learning rate is multiplied by where the recipe does not say.
_FACTORS = {"exponential": 0.9, "step": 0.1}


@dataclass(frozen=True)
class ScheduleRecipe:
    """How the learning rate changes. In TOML a table, or the name of the kind alone.

    Attributes:
        kind: ``"cosine"`` falls to zero along half a cosine (Loshchilov and Hutter, "SGDR", 2017);
            ``"exponential"`` is multiplied by `factor` over each epoch, smoothly; ``"step"`` is
            multiplied by `factor` once at the end of each epoch in `at`.
        factor: above 0, up to 1; 0 takes 0.9 for ``"exponential"`` and 0.1 for ``"step"``.
        at: epochs after which ``"step"`` takes a step, ascending.
        warmup_epochs: over these, the learning rate first rises in a straight line to its full value.
    """

    kind: str = "cosine"
    factor: float = 0.0
    at: tuple[int, ...] = ()
    warmup_epochs: float = 0.0

    def __post_init__(self) -> None:
        check_types(self)
        check_name("kind", self.kind, SCHEDULES)
        check("factor", self.factor, lambda v: 0 <= v <= 1, "a number above 0, up to 1")
        check("warmup_epochs", self.warmup_epochs, lambda v: 0 <= v < 10**6, "at least 0")
        rises = list(self.at) == sorted(set(self.at)) and all(epoch >= 1 for epoch in self.at)
        check("at", list(self.at), lambda _: rises, "ascending epochs, from 1")
        if self.kind == "step":
            check("at", list(self.at), bool, "the epochs after which the learning rate falls")
        else:
            check("at", list(self.at), lambda v: not v, f"none: {self.kind!r} takes no steps")
        if self.kind not in _FACTORS:
            check("factor", self.factor, lambda v: v == 0, f"none: {self.kind!r} has none")

    @property
    def multiplier(self) -> float:
        """`factor`, or what stands in its place."""
        return self.factor or _FACTORS.get(self.kind, 1.0)

    @classmethod
    def from_json(cls, value: Any, where: str) -> ScheduleRecipe:
        """Read a name or a table.

        Raises:
            RecipeError: an unknown key or name, or a value that cannot be one.
        """
        if isinstance(value, str):
            value = {"kind": value}
        check(f"key {where!r}", value, lambda v: isinstance(v, dict), "a name or a table")
        return from_table(cls, dict(value), where)
