"""BudgetTable: limits in a TOML file, in its table ``[budget]``."""

from __future__ import annotations

import os
from dataclasses import dataclass

from edgekit.config import from_table, read_table
from edgekit.drift.budget import DriftBudget
from edgekit.drift.limit import Limit
from edgekit.errors import RecipeError, UsageError
from edgekit.shares import Share

# The limits with names of their own.
NAMED = ("max_accuracy_drop", "min_accuracy", "min_agreement", "min_sqnr_db")


@dataclass(frozen=True)
class BudgetTable:
    """The table's keys; a share is a number such as 0.01, or a text such as ``"1%"``.

    Attributes:
        max_accuracy_drop, min_accuracy, min_agreement, min_sqnr_db: as the options of ``compare``.
        limits: as `Limit.parse` reads them.
    """

    max_accuracy_drop: float | str | None = None
    min_accuracy: float | str | None = None
    min_agreement: float | str | None = None
    min_sqnr_db: float | None = None
    limits: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("max_accuracy_drop", "min_accuracy", "min_agreement"):
            if isinstance(value := getattr(self, name), str):
                object.__setattr__(self, name, _share(name, value))
        # Each is read once here, so that a wrong one is refused with the others.
        for text in self.limits:
            Limit.parse(text)

    @property
    def parsed(self) -> tuple[Limit, ...]:
        return tuple(map(Limit.parse, self.limits))

    def limits_of(self, **others: float | None) -> DriftBudget:
        """The table as a budget.

        Args:
            others: values of the named limits in place of the table's, where not None.
        """
        named = {
            name: getattr(self, name) if others.get(name) is None else others[name]
            for name in NAMED
        }
        least = named.pop("min_accuracy")
        own = () if least is None else (Limit("accuracy", at_least=least),)
        return DriftBudget(**named, limits=(*own, *self.parsed))


def read_budget(path: str | os.PathLike[str]) -> BudgetTable:
    """The table ``[budget]`` of a TOML file, which may hold other tables.

    Raises:
        UsageError: nothing is there.
        RecipeError: no TOML, no such table, an unknown key or a value that cannot be used.
    """
    table = read_table(path).get("budget")
    if not isinstance(table, dict):
        raise RecipeError(f"{path}: has no table [budget], expected one with the limits.")
    try:
        return from_table(BudgetTable, table, "budget")
    except RecipeError as error:
        raise RecipeError(f"{path}: {error}") from error
    except UsageError as error:
        raise RecipeError(f"{path}: budget: {error}") from error


def _share(name: str, text: str) -> float:
    try:
        return Share.parse(text)
    except ValueError as error:
        raise UsageError(f"{name}: {error}.") from error
