"""Finding: one thing about the set-up that makes a comparison worth less than it seems, or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from edgekit.document.record import Record, Text
from edgekit.drift.figure import Figure

FAIL, WARNING = SEVERITIES = ("fail", "warning")

# What findings are about. The first ones are of the reference and its samples, the others of a file.
(
    CHANCE,
    PART,
    SLIP,
    TRAINED,
    STATISTICS,
    FEW,
    ONE_CLASS,
    REPEATED,
    MISSING_LABELS,
    ROUNDED,
    LIMITS,
) = _OF_REFERENCE = (
    "chance",
    "part",
    "slip",
    "trained_accuracy",
    "statistics",
    "few_samples",
    "one_class",
    "repeated_samples",
    "missing_labels",
    "rounded",
    "limits",
)
ANOTHER_MODEL, CALIBRATION, INVERTED, PREPARATION, SAME_SAMPLES, GAIN, AGREEMENT = _OF_FILE = (
    "another_model",
    "calibration",
    "inverted",
    "preparation",
    "same_samples",
    "gain",
    "agreement",
)
KINDS = (*_OF_REFERENCE, *_OF_FILE)


@dataclass(frozen=True)
class Finding(Record):
    """One thing that is wrong, or may be.

    Attributes:
        kind: what it is about.
        severity: ``"fail"`` where a comparison proves nothing; ``"warning"`` where it may.
        sentence: what was seen, with its numbers, and what to do.
        figures: the numbers.
        file: the path of the file that it is about, as its candidate has it; None of the reference.
    """

    kind: Annotated[str, ("enum", KINDS)]
    severity: Annotated[str, ("enum", SEVERITIES)]
    sentence: Text
    figures: tuple[Figure, ...] = ()
    file: str | None = None


@dataclass(frozen=True)
class Setup(Record):
    """What was found about the set-up of a comparison.

    Attributes:
        findings: those of the reference first, then file by file.
    """

    findings: tuple[Finding, ...] = ()

    def of(self, file: str | None) -> tuple[Finding, ...]:
        """What is about a file, or, with None, about the reference and its samples."""
        return tuple(finding for finding in self.findings if finding.file == file)

    def failures(self, file: str) -> tuple[Finding, ...]:
        """What makes a file's comparison prove nothing: of the reference, or of the file itself."""
        return tuple(f for f in (*self.of(None), *self.of(file)) if f.severity == FAIL)

    def warnings(self, file: str | None) -> tuple[Finding, ...]:
        """What is merely to know, about a file or, with None, about the reference."""
        return tuple(f for f in self.of(file) if f.severity == WARNING)
