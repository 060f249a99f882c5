"""Drift: all candidates against one original model, as a document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from edgekit.document.record import Document
from edgekit.drift.budget import DriftBudget, worst
from edgekit.drift.candidate import Candidate
from edgekit.drift.reference import ComparedReference


@dataclass(frozen=True)
class Drift(Document):
    """How far exported models answer differently from the original.

    Attributes:
        budget: what the verdicts rest on.
    """

    kind: ClassVar[str] = "drift"

    reference: ComparedReference
    budget: DriftBudget
    candidates: Annotated[tuple[Candidate, ...], ("minItems", 1)]

    @property
    def verdict(self) -> str:
        """The worst of the candidates': fail, then inconclusive, pass, none."""
        return worst([candidate.verdict for candidate in self.candidates])
