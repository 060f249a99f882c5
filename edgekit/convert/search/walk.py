"""Walk: which of the files that were made is given, without testing more than once what is true by chance.

Files are put in an order that does not look at the samples that judge: the most exact on the samples of the
search first, each next one cheaper. They are judged in that order as long as they pass, and the last that does
is taken. Tests in an order fixed beforehand need no correction for their number (Maurer, Hothorn and Lehmacher,
"Multiple comparisons in drug clinical trials and preclinical assays: a-priori ordered hypotheses", 1995): the
chance that a file is given which does not meet the budget stays that of a single verdict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """A file that was made.

    Attributes:
        name: the file's.
        exact: how well it follows on the samples of the search; more is better.
        cost: what is minimised.
    """

    name: str
    exact: float
    cost: float


def in_order(steps: Sequence[Step]) -> list[Step]:
    """The files that no other beats in both, the most exact first, each next one cheaper."""
    found: list[Step] = []
    for step in sorted(steps, key=lambda each: (-each.exact, each.cost, each.name)):
        if not found or step.cost < found[-1].cost:
            found.append(step)
    return found


def taken(order: Sequence[Step], verdicts: Mapping[str, str]) -> Step | None:
    """The last file before the first that does not pass; None if the first does not.

    Args:
        order: as `in_order` gives it.
        verdicts: of each file by name.
    """
    best = None
    for step in order:
        if verdicts[step.name] != "pass":
            break
        best = step
    return best
