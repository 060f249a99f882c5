"""Report: what several JSON documents say together about one model and the files made from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

# From the one that matters most: what several verdicts come to is the first that occurs.
VERDICTS = ("fail", "inconclusive", "pass", "none")


@dataclass(frozen=True)
class Measurement:
    """One run of a benchmark.

    Attributes:
        document: name of the file it was read from.
        device: where it was taken.
        speedup: p50 of the original Keras model, with as many threads in the same document, over
            this one's; None without such a run.
    """

    document: str
    device: str
    name: str
    sha256: str
    backend: str
    threads: int
    p50_ms: float
    p90_ms: float
    p99_ms: float
    peak_rss_bytes: int | None
    speedup: float | None


@dataclass(frozen=True)
class Row:
    """One model file. None, or empty, where no document says.

    Attributes:
        accuracy, drop, agreement: fractions; `drop` is the original's accuracy minus this one's.
        drop_ci95: both ends of the 95 % interval of `drop`.
        flips: samples whose answer differs from the original's.
        rmse, rmse_reference: of a regression, against the labels, this one's and the original's.
        sqnr_db: of the worst output; None also where all outputs are equal or one is not finite.
        measurement: of the first benchmark the first run that the original can be held against.
        verdict: one of `VERDICTS`, or None for a file that was not compared.
        budget: the limits that led to the verdict.
        per_class, outputs, layers: as in the drift document.
        recipe, ops, float_ops, warnings: as in the manifest.
        compressed_size_bytes: of the file packed by xz.
    """

    name: str
    sha256: str
    format: str
    scheme: str | None
    size_bytes: int | None
    accuracy: float | None = None
    drop: float | None = None
    drop_ci95: tuple[float, float] | None = None
    agreement: float | None = None
    flips: int | None = None
    rmse: float | None = None
    rmse_reference: float | None = None
    sqnr_db: float | None = None
    measurement: Measurement | None = None
    verdict: str | None = None
    budget: dict[str, float] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    per_class: tuple[dict[str, Any], ...] = ()
    outputs: tuple[dict[str, Any], ...] = ()
    layers: tuple[dict[str, Any], ...] = ()
    recipe: dict[str, Any] = field(default_factory=dict)
    ops: dict[str, dict[str, int]] = field(default_factory=dict)
    float_ops: tuple[dict[str, Any], ...] = ()
    compressed_size_bytes: int | None = None
    warnings: tuple[str, ...] = ()

    @property
    def p50_ms(self) -> float | None:
        return self.measurement.p50_ms if self.measurement else None

    @property
    def p90_ms(self) -> float | None:
        return self.measurement.p90_ms if self.measurement else None

    @property
    def speedup(self) -> float | None:
        """p50 of the original Keras model over this one's."""
        return self.measurement.speedup if self.measurement else None


@dataclass(frozen=True)
class Host:
    """The machine of one benchmark.

    Attributes:
        document: name of the file it was read from.
        state: as in the document.
        noise: what made the measurements less reliable, in words.
    """

    document: str
    state: dict[str, Any]
    noise: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """What the documents say together.

    Attributes:
        rows: one for each exported file, by format and scheme.
        reference: the original model; None if no document names it.
        samples: how many the files were compared on.
        golden_sha256: of the golden file they were compared with.
        budget: ``max_accuracy_drop``, ``min_agreement``, ``min_sqnr_db``, where set. Empty if there
            is none, or if the documents do not agree on one.
        hosts: one for each benchmark.
        measurements: every run of every benchmark, the original's included.
        training: the training document.
        tuning: the tuning document.
        skipped: what was asked for and not made: ``{"format", "scheme", "reason"}``.
        versions: of the packages that made the files.
        notes: what a reader must know of how the documents were merged.
        documents: names of the files read.
    """

    rows: tuple[Row, ...]
    reference: Row | None
    samples: int | None
    golden_sha256: str | None
    budget: dict[str, float]
    hosts: tuple[Host, ...]
    measurements: tuple[Measurement, ...]
    training: dict[str, Any] | None
    skipped: tuple[dict[str, Any], ...]
    versions: dict[str, str]
    notes: tuple[str, ...]
    documents: tuple[str, ...]
    tuning: dict[str, Any] | None = None

    @property
    def host(self) -> dict[str, Any] | None:
        """The machine of the first benchmark, as in its document."""
        return self.hosts[0].state if self.hosts else None

    @property
    def float_ops(self) -> dict[str, tuple[dict[str, Any], ...]]:
        """Operators left in float, with the reason, by file name; only files that have some."""
        return {row.name: row.float_ops for row in self.rows if row.float_ops}

    @property
    def verdict(self) -> str | None:
        """The gravest verdict of any file; None if none was compared."""
        found = {row.verdict for row in self.rows}
        return next((verdict for verdict in VERDICTS if verdict in found), None)
