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
)
from edgekit.runtime.host import HostState
from edgekit.runtime.latency import Latency
from edgekit.runtime.runner import Backend


@dataclass(frozen=True)
class Run(Record):
    """One file's measurements.

    Attributes:
        artifact: the file.
        backend: what ran it.
        delegate: what runs operators in the interpreter's stead; None is the backend's default.
        exact: whether onnxruntime's exact mode ran it, which it needs on this processor.
        load_ms: of `edgekit.load` in a process of its own, the backend's import included.
        first_ms: of the first inference there.
        latency: of single inferences.
        throughput_per_s: samples a second, one inference after the other.
        peak_rss_bytes: the most memory that the process of its own held at once.
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
    samples_ns: tuple[int, ...] = field(default=(), compare=False, repr=False, metadata=UNWRITTEN)


@dataclass(frozen=True)
class Bench(Document):
    """Latencies measured side by side on one machine.

    Attributes:
        host: the machine, when the measurements began.
        noise: what may make measurements unreliable, in words.
        runs: in the order asked for.
    """

    kind: ClassVar[str] = "bench"

    host: HostState
    noise: tuple[str, ...]
    runs: Annotated[tuple[Run, ...], ("minItems", 1)]
