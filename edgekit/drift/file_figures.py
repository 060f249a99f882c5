"""What a file costs, as figures: bytes, and the latency and memory that a benchmark measured."""

from __future__ import annotations

from pathlib import Path

from edgekit.artifact import Artifact
from edgekit.drift.budget import DriftBudget
from edgekit.drift.figure import Figure
from edgekit.files import compressed_size
from edgekit.runtime.bench import Bench


def file_figures(artifact: Artifact, budget: DriftBudget, bench: Bench | None) -> list[Figure]:
    """The figures of one file; its packed size, which takes its time, only where it is limited.

    Args:
        artifact: the file, where it lies.
        budget: what it is judged by.
        bench: may have measured the same file, which its SHA-256 tells; the first such run counts.
    """
    figures = [Figure.of("size_bytes", float(artifact.size_bytes))]
    source = artifact.source
    if any(limit.figure == "packed_bytes" for limit in budget.limits):
        if isinstance(source, Path):
            source = source.read_bytes() if source.is_file() else b""
        if source:
            figures.append(Figure.of("packed_bytes", float(compressed_size(source))))
    for run in bench.runs if bench else ():
        if run.artifact.sha256 == artifact.sha256:
            latency = run.latency
            figures.append(Figure.of("p50_ms", latency.p50_ms))
            figures.append(Figure.of("p99_ms", latency.p99_ms))
            if run.peak_rss_bytes is not None:
                figures.append(Figure.of("peak_rss_bytes", float(run.peak_rss_bytes)))
            break
    return figures
