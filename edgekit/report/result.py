"""ReportResult: what a report comes to, as a document for programs and for the history of builds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from edgekit.artifact import Format, Scheme, Sha256
from edgekit.document.record import (
    Count,
    Difference,
    Document,
    Fraction,
    NotNegative,
    Record,
    Text,
)
from edgekit.drift.verdict import Verdict
from edgekit.report.data import Report, Row
from edgekit.report.next_step import next_step
from edgekit.report.summary import summary


@dataclass(frozen=True)
class ReportedFile(Record):
    """One model file; None where no document says.

    Attributes:
        file: its name without its folder.
        verdict: None for a file that was not compared.
        compressed_size_bytes: packed by xz.
        accuracy, agreement: shares.
        drop: the original's accuracy minus this one's.
        sqnr_db: of the worst output; None also where that is identical, or not finite.
        p50_ms: of the first benchmark.
        speedup: the original's p50 over this one's.
    """

    file: Text
    sha256: Sha256
    format: Format
    scheme: Scheme | None
    verdict: Verdict | None
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]
    size_bytes: Count | None
    compressed_size_bytes: Count | None
    accuracy: Fraction | None
    drop: Difference | None
    drop_ci95: tuple[Difference, Difference] | None
    agreement: Fraction | None
    sqnr_db: float | None
    p50_ms: NotNegative | None
    speedup: NotNegative | None

    @classmethod
    def of(cls, row: Row) -> ReportedFile:
        """Of a row of the report."""
        db = row.sqnr_db
        return cls(
            row.name,
            row.sha256,
            row.format,
            row.scheme,
            row.verdict,
            row.reasons,
            row.warnings,
            row.size_bytes,
            row.compressed_size_bytes,
            row.accuracy,
            row.drop,
            row.drop_ci95,
            row.agreement,
            db if db is not None and math.isfinite(db) else None,
            row.p50_ms,
            row.speedup,
        )


@dataclass(frozen=True)
class ReportResult(Document):
    """What a report comes to.

    Attributes:
        verdict: the gravest of any file; None if none was compared.
        summary: two or three sentences.
        next_step: what to do next, in one; empty where no file is known.
        reference: the original model; None if no document names it.
        files: by format and scheme.
        samples: how many the files were compared on.
        documents: names of the files read.
    """

    kind: ClassVar[str] = "report"

    verdict: Verdict | None
    summary: str
    next_step: str
    reference: ReportedFile | None
    files: tuple[ReportedFile, ...]
    samples: Count | None
    notes: tuple[str, ...]
    documents: tuple[str, ...]

    @classmethod
    def of(cls, report: Report) -> ReportResult:
        """Of what was merged."""
        return cls(
            report.verdict,
            summary(report),
            next_step(report),
            ReportedFile.of(report.reference) if report.reference else None,
            tuple(map(ReportedFile.of, report.rows)),
            report.samples,
            report.notes,
            report.documents,
        )
