"""Bench: what a benchmark measured, as a document."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from edgekit.artifact import Artifact
from edgekit.document.record import (
    LATER,
    UNWRITTEN,
    Count,
    Document,
    NotNegative,
    Positive,
    Record,
    Text,
)
from edgekit.runtime.host import HostState
from edgekit.runtime.latency import Latency
from edgekit.runtime.operators import OperatorTime
from edgekit.runtime.relative import Relative
from edgekit.runtime.runner import Backend
from edgekit.runtime.sustained import Sustained


@dataclass(frozen=True)
class Answers(Record):
    """How good a file's answers are, in the one number that its task is known by.

    Attributes:
        figure: the number's name, such as ``"accuracy"`` or ``"agreement"``.
        unit: as that of a figure in a drift document.
        value: None where the answers are not finite.
        reference: the original model's; None where it has none.
    """

    figure: Text
    unit: Text
    value: float | None
    reference: float | None


@dataclass(frozen=True)
class Run(Record):
    """One file's measurements.

    Attributes:
        artifact: the file.
        backend: what ran it.
        delegate: what runs operators in the interpreter's stead; None is the backend's default.
        exact: whether onnxruntime's exact mode ran it, which it needs on this processor.
        load_ms: of opening the file in a fresh process, the backend's import included; the median.
        first_ms: of the first inference there; the median.
        latency: of single inferences.
        throughput_per_s: samples a second, one inference after the other.
        peak_rss_bytes: the most memory that a process of its own held at once.
        loads_ms: `load_ms` in each process.
        medians_ms: the median duration in each process.
        steady_rss_bytes: the memory that such a process held after its inferences.
        relative: how fast it is beside the first file; None for that one.
        open_shapes: what inputs with dynamic dimensions, other than the batch, were given.
        batch: samples of one inference.
        energy_mj: millijoules of one inference, those of the whole processor while it ran; None where the
            machine has no counter.
        answers: how good its answers are; None where that was not requested.
        operators: what each of them took, the slowest first; empty where that was not requested, or where the
            backend does not tell.
        samples_ns: the duration of every timed `infer`, in the order taken; empty where the document
            was read.
    """

    artifact: Artifact
    backend: Backend
    threads: Positive
    delegate: str | None
    load_ms: NotNegative
    first_ms: NotNegative
    latency: Latency
    throughput_per_s: NotNegative | None
    peak_rss_bytes: Count | None
    exact: bool = field(default=False, metadata=LATER)
    loads_ms: tuple[NotNegative, ...] = field(default=(), metadata=LATER)
    medians_ms: tuple[NotNegative, ...] = field(default=(), metadata=LATER)
    steady_rss_bytes: Count | None = field(default=None, metadata=LATER)
    relative: Relative | None = field(default=None, metadata=LATER)
    open_shapes: dict[str, tuple[Positive, ...]] = field(default_factory=dict, metadata=LATER)
    batch: Positive = field(default=1, metadata=LATER)
    energy_mj: NotNegative | None = field(default=None, metadata=LATER)
    answers: Answers | None = field(default=None, metadata=LATER)
    operators: tuple[OperatorTime, ...] = field(default=(), metadata=LATER)
    samples_ns: tuple[int, ...] = field(default=(), compare=False, repr=False, metadata=UNWRITTEN)


@dataclass(frozen=True)
class Failure(Record):
    """A file that could not be timed, and why."""

    file: Text
    reason: Text


@dataclass(frozen=True)
class Bench(Document):
    """Latencies measured side by side on one machine.

    Attributes:
        host: the machine, when the measurements began.
        noise: what may make measurements unreliable, in words.
        runs: in the order requested.
        disturbed: what disturbed the machine meanwhile, in words; then no verdict is given.
        failures: files that could not be timed.
        sustained: the same files for a long time; None where that was not requested.
    """

    kind: ClassVar[str] = "bench"

    host: HostState
    noise: tuple[str, ...]
    runs: Annotated[tuple[Run, ...], ("minItems", 1)]
    disturbed: tuple[str, ...] = field(default=(), metadata=LATER)
    failures: tuple[Failure, ...] = field(default=(), metadata=LATER)
    sustained: Sustained | None = field(default=None, metadata=LATER)
