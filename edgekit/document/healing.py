"""Healing: what was tried to mend a file, and what came of it, as a document."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from edgekit.artifact import Artifact
from edgekit.document.record import (
    LATER,
    Count,
    Difference,
    Document,
    Fraction,
    NotNegative,
    Positive,
    Record,
    Text,
)


@dataclass(frozen=True)
class Remedy(Record):
    """One remedy, judged on calibration samples that it did not see.

    Attributes:
        name: what was done.
        kept: whether the file that was written has it.
        before_db, after_db: of the worst output, the variance of the float file's values over the mean
            square error; None where that is identical, or not finite.
        reason: why it could not be tried; empty where it was.
    """

    name: Text
    kept: bool
    before_db: float | None
    after_db: float | None
    reason: str = ""


@dataclass(frozen=True)
class Measured(Record):
    """A file on samples that neither made nor chose it.

    Attributes:
        output_db: as in `Remedy`.
        agreement: share of samples to which it gives the float file's class; None without classes.
        accuracy: share of samples with the right class; None without labels.
        drop: the float file's accuracy minus this one's; None without labels.
        size_bytes: of the file.
        p50_ms: median time of one inference, on the machine that it was healed on.
    """

    output_db: float | None
    agreement: Fraction | None
    accuracy: Fraction | None
    drop: Difference | None
    size_bytes: Count
    p50_ms: NotNegative | None


@dataclass(frozen=True)
class Healing(Document):
    """A quantised file, and the better one.

    Attributes:
        reference: path of the float file.
        file: the file that was to be healed.
        healed: the file that was written; None where none was better.
        calibration, samples: how many made and chose the remedies, and how many judged.
        remedies: in the order in which they were tried.
        before, after: both files; `after` is None where none was better.
        warnings: what makes the figures less than they seem.
    """

    kind: ClassVar[str] = "healing"

    reference: Text
    file: Artifact
    healed: Artifact | None
    calibration: Positive
    samples: Positive
    remedies: tuple[Remedy, ...]
    before: Measured
    after: Measured | None
    warnings: tuple[str, ...] = field(default=(), metadata=LATER)
