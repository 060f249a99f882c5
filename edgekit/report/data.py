"""Report: what several JSON documents say together about one model and the files made from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from edgekit.document.diagnosis import Diagnosis
from edgekit.document.diff import Diff
from edgekit.document.healing import Healing
from edgekit.document.record import Document
from edgekit.document.training import Training
from edgekit.document.tuning import Tuning
from edgekit.drift.budget import DriftBudget
from edgekit.drift.candidate import Candidate, OutputDrift
from edgekit.drift.figure import Figure
from edgekit.drift.ledger import Ledger
from edgekit.drift.task import ClassDrift
from edgekit.drift.verdict import VERDICTS as FROM_GOOD_TO_BAD
from edgekit.inspection.inspection import Inspection
from edgekit.manifest import ExportedFile, FloatOp, Skipped
from edgekit.report.findings import ShownFinding
from edgekit.runtime.checkup import Checkup
from edgekit.runtime.host import HostState
from edgekit.runtime.instructions import Instructions
from edgekit.runtime.relative import Relative
from edgekit.scoring.evaluation import Evaluation

D = TypeVar("D")

# From the one that matters most: what several verdicts come to is the first that occurs.
VERDICTS = FROM_GOOD_TO_BAD[::-1]
VERDICT_WORDS: dict[str | None, str] = {
    "fail": "Failed",
    "inconclusive": "Inconclusive",
    "pass": "Within budget",
    "none": "Not judged",
    None: "Not compared",
}


@dataclass(frozen=True)
class Labelled(Generic[D]):
    """A document of which there may be several.

    Attributes:
        label: the name of its file, with its folder's where several have the same.
    """

    label: str
    document: D


@dataclass(frozen=True)
class Measurement:
    """One run of a benchmark.

    Attributes:
        document: name of the file it was read from.
        device: where it was taken.
        speedup: p50 of the original Keras model, with as many threads in the same document, over
            this one's; None without such a run.
        relative: how fast it is beside the first file of its document; None for that one.
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
    relative: Relative | None = None


@dataclass(frozen=True)
class Comparison:
    """One file's answers on one machine.

    Attributes:
        place: the folder of the document that it was read from, and the machine: what tells boards apart.
        machine: in words; the document's name where it names none.
        sha256: of the file.
    """

    place: tuple[str, str]
    machine: str
    sha256: str
    verdict: str
    flips: int | None
    sqnr_db: float | None


@dataclass(frozen=True)
class Row:
    """One model file. None, or empty, where no document says.

    Attributes:
        accuracy: a fraction, on the samples that the files were compared on.
        measurement: of the first benchmark the first run that the original can be held against.
        candidate: its comparison; of several the one with the gravest verdict.
        budget: the limits that led to the verdict.
        exported: its entry in the manifest.
        warnings: what to know before the file is put to use.
    """

    name: str
    sha256: str
    format: str
    scheme: str | None
    size_bytes: int | None
    accuracy: float | None = None
    measurement: Measurement | None = None
    candidate: Candidate | None = None
    budget: DriftBudget = field(default_factory=DriftBudget)
    exported: ExportedFile | None = None
    warnings: tuple[str, ...] = ()

    @property
    def drop(self) -> float | None:
        """The original's accuracy minus this one's."""
        return self.candidate.drop if self.candidate else None

    @property
    def drop_ci95(self) -> tuple[float, float] | None:
        """Both ends of the 95 % interval of `drop`."""
        return self.candidate.task.drop_ci95 if self.candidate else None

    @property
    def agreement(self) -> float | None:
        """A fraction."""
        return self.candidate.agreement if self.candidate else None

    @property
    def flips(self) -> int | None:
        """Samples whose answer differs from the original's."""
        return self.candidate.task.flips if self.candidate else None

    @property
    def rmse(self) -> float | None:
        """Of a regression, against the labels."""
        return self.candidate.task.rmse_candidate if self.candidate else None

    @property
    def rmse_reference(self) -> float | None:
        """Of a regression, the original's."""
        return self.candidate.task.rmse_reference if self.candidate else None

    @property
    def sqnr_db(self) -> float | None:
        """Of the worst output; None also where one is not finite."""
        return self.candidate.sqnr_db if self.candidate else None

    @property
    def verdict(self) -> str | None:
        """One of `VERDICTS`, or None for a file that was not compared."""
        return self.candidate.verdict if self.candidate else None

    @property
    def reasons(self) -> tuple[str, ...]:
        return self.candidate.reasons if self.candidate else ()

    @property
    def per_class(self) -> tuple[ClassDrift, ...]:
        return self.candidate.task.per_class if self.candidate else ()

    @property
    def figures(self) -> tuple[Figure, ...]:
        """Every number that a budget may limit."""
        return self.candidate.figures if self.candidate else ()

    @property
    def accused(self) -> tuple[int, ...]:
        """Classes whose accuracy fell by more than chance explains."""
        return self.candidate.task.accused if self.candidate else ()

    @property
    def outputs(self) -> tuple[OutputDrift, ...]:
        return self.candidate.outputs if self.candidate else ()

    @property
    def recipe(self) -> dict[str, Any]:
        """As in the manifest."""
        return self.exported.recipe if self.exported else {}

    @property
    def steps(self) -> dict[str, Any]:
        """The recipe without the search, which has a section of its own."""
        return {key: value for key, value in self.recipe.items() if key != "search"}

    @property
    def ops(self) -> dict[str, dict[str, int]]:
        return self.exported.ops if self.exported else {}

    @property
    def float_ops(self) -> tuple[FloatOp, ...]:
        return self.exported.float_ops if self.exported else ()

    @property
    def compressed_size_bytes(self) -> int | None:
        """Of the file packed by xz."""
        return self.exported.compressed_size_bytes if self.exported else None

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
        noise: what made the measurements less reliable, in words.
    """

    document: str
    state: HostState
    noise: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """What the documents say together.

    Attributes:
        rows: one for each exported file, by format and scheme.
        reference: the original model; None if no document names it.
        samples: how many the files were compared on.
        golden_sha256: of the golden file they were compared with.
        budget: without limits if there are none, or if the documents do not agree on them.
        hosts: one for each benchmark.
        measurements: every run of every benchmark, the original's included.
        skipped: what was requested and not made.
        versions: of the packages that made the files.
        notes: what a reader must know of how the documents were merged.
        documents: names of the files read.
        setup: what makes the comparison prove less than it seems.
    """

    rows: tuple[Row, ...]
    reference: Row | None
    samples: int | None
    golden_sha256: str | None
    budget: DriftBudget
    hosts: tuple[Host, ...]
    measurements: tuple[Measurement, ...]
    training: Training | None
    skipped: tuple[Skipped, ...]
    versions: dict[str, str]
    notes: tuple[str, ...]
    documents: tuple[str, ...]
    tuning: Tuning | None = None
    evaluations: tuple[Labelled[Evaluation], ...] = ()
    inspections: tuple[Labelled[Inspection], ...] = ()
    setup: tuple[ShownFinding, ...] = ()
    checkups: tuple[Labelled[Checkup], ...] = ()
    diffs: tuple[Labelled[Diff], ...] = ()
    diagnoses: tuple[Labelled[Diagnosis], ...] = ()
    healings: tuple[Labelled[Healing], ...] = ()
    further: tuple[Labelled[Document], ...] = ()
    ledgers: tuple[Labelled[Ledger], ...] = ()
    instructions: tuple[Labelled[Instructions], ...] = ()
    comparisons: tuple[Comparison, ...] = ()

    @property
    def host(self) -> HostState | None:
        """The machine of the first benchmark."""
        return self.hosts[0].state if self.hosts else None

    @property
    def float_ops(self) -> dict[str, tuple[FloatOp, ...]]:
        """Operators left in float, with the reason, by file name; only files that have some."""
        return {row.name: row.float_ops for row in self.rows if row.float_ops}

    @property
    def verdict(self) -> str | None:
        """The gravest verdict of any file; None if none was compared."""
        found = {row.verdict for row in self.rows}
        return next((verdict for verdict in VERDICTS if verdict in found), None)
