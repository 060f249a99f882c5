"""Ledger: what the same files answer on several machines and interpreters, as a document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from edgekit.artifact import Artifact
from edgekit.document.record import Count, Document, NotNegative, Record, Text
from edgekit.drift.budget import DriftBudget
from edgekit.drift.reference import ComparedReference
from edgekit.drift.verdict import Verdict, worst
from edgekit.runtime.runner import Backend


@dataclass(frozen=True)
class Cell(Record):
    """One file on one machine and interpreter.

    Attributes:
        file: its name.
        machine: as ``--on`` names it.
        runtime: as ``--runtimes`` names it.
        system: what the machine is, in words; None where it was not reached.
        backend: what ran the file; None where nothing did.
        verdict: by the budget; None where the file did not run.
        reasons: a sentence for each limit that led to the verdict; or why the file did not run.
        flips: samples whose answer is not the original's; None of a task without classes.
        max_abs: the largest distance of an answer from the original's, in the output's unit.
        first_flips, first_max_abs: the same, from the first cell of the file that ran.
        first_steps: `first_max_abs` in steps of the output's integers; None where the answers are not of a few
            evenly spaced values.
        exit_code: what ``edgekit compare`` would end with for it; 0 where the interpreter has no wheel for the
            machine.
    """

    file: Text
    machine: Text
    runtime: Text
    system: str | None
    backend: Backend | None
    verdict: Verdict | None
    reasons: tuple[str, ...]
    flips: Count | None
    max_abs: NotNegative | None
    first_flips: Count | None
    first_max_abs: NotNegative | None
    first_steps: NotNegative | None
    exit_code: Annotated[int, ("minimum", 0)]

    @classmethod
    def that_did_not_run(
        cls, file: str, machine: str, runtime: str, system: str | None, reason: str, exit_code: int
    ) -> Cell:
        """One with a reason in place of figures."""
        nothing = (None,) * 5
        return cls(file, machine, runtime, system, None, None, (reason,), *nothing, exit_code)

    @property
    def ran(self) -> bool:
        return self.verdict is not None


@dataclass(frozen=True)
class Ledger(Document):
    """The same files on several machines and interpreters, beside the original model and each other.

    Attributes:
        budget: what the verdicts rest on.
        files: that were run.
        cells: by file, then machine, then interpreter, in the order that they were requested.
    """

    kind: ClassVar[str] = "ledger"
    computed: ClassVar[tuple[str, ...]] = ("verdict",)

    reference: ComparedReference
    budget: DriftBudget
    files: Annotated[tuple[Artifact, ...], ("minItems", 1)]
    cells: Annotated[tuple[Cell, ...], ("minItems", 1)]

    @property
    def verdict(self) -> Verdict:
        """The worst of those that ran: fail, then inconclusive, pass, none."""
        return worst([cell.verdict for cell in self.cells if cell.verdict is not None])

    @property
    def in_words(self) -> str:
        ran = sum(cell.ran for cell in self.cells)
        return f"{ran} of {len(self.cells)} combinations of file, machine and interpreter ran"
