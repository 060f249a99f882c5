"""BudgetRecipe: what a file that is searched for has to meet."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.config import check_types


@dataclass(frozen=True)
class BudgetRecipe:
    """Limits, as ``edgekit compare --budget`` reads them too; a share is 0.01 or ``"1%"``.

    Attributes:
        max_accuracy_drop: accuracy that a file may lose against the original.
        min_accuracy: accuracy that it has to reach by itself.
        min_agreement: share of the samples for which it has to give the original's class.
        min_sqnr_db: signal to noise that every output has to reach, in decibel.
        limits: on any other figure, as ``--limit`` takes them: ``"accuracy_drop[class=*] <= 5%"``.
    """

    max_accuracy_drop: float | str | None = None
    min_accuracy: float | str | None = None
    min_agreement: float | str | None = None
    min_sqnr_db: float | None = None
    limits: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_types(self)
