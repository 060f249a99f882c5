"""Drift: all candidates against one original model, as a document."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from edgekit.document.record import LATER, Document, Record, Text
from edgekit.drift.budget import DriftBudget
from edgekit.drift.candidate import Candidate
from edgekit.drift.machine import Machine
from edgekit.drift.reference import ComparedReference
from edgekit.drift.setup.finding import Setup
from edgekit.drift.verdict import Verdict, worst


@dataclass(frozen=True)
class Failure(Record):
    """A file that could not be judged.

    Attributes:
        path: as it was given.
        reason: the error's message.
    """

    path: Text
    reason: str


@dataclass(frozen=True)
class Drift(Document):
    """How far exported models answer differently from the original.

    Attributes:
        budget: what the verdicts rest on.
        failed: files that could not be judged, while others could.
        setup: what was found about the reference, its samples, and what each file has to do with them;
            None in documents of earlier versions.
        thresholds: the scores above which answers are believed, by output; of the empty name for every other.
        host: the machine that files ran on; None in documents of earlier versions.
    """

    kind: ClassVar[str] = "drift"
    computed: ClassVar[tuple[str, ...]] = ("verdict",)
    later: ClassVar[tuple[str, ...]] = computed

    reference: ComparedReference
    budget: DriftBudget
    candidates: Annotated[tuple[Candidate, ...], ("minItems", 1)]
    failed: tuple[Failure, ...] = field(default=(), metadata=LATER)
    setup: Setup | None = field(default=None, metadata=LATER)
    thresholds: dict[str, float] = field(default_factory=dict, metadata=LATER)
    host: Machine | None = field(default=None, metadata=LATER)

    @property
    def verdict(self) -> Verdict:
        """The worst of the candidates': fail, then inconclusive, pass, none."""
        return worst([candidate.verdict for candidate in self.candidates])
