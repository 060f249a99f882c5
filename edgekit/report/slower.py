"""Slower: int8 files that took longer than the float32 file of the same model, which nobody expects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgekit.report import units
from edgekit.report.data import Measurement, Row

# Two runs of one file in turns differ by less on a quiet machine.
_NOISE = 1.05


def slower_in_int8(
    row: Row, rows: Sequence[Row], measurements: Sequence[Measurement]
) -> Iterator[str]:
    """A line for each benchmark in which an int8 file took longer than its float32 file.

    Compared are p50 of one document, backend and number of threads; files of one model are told by
    their names: ``<stem>.int8.onnx`` and ``<stem>.prune50.int8.onnx`` belong to ``<stem>.float32.onnx``.
    """
    if row.scheme != "int8":
        return
    floats = {
        other.sha256
        for other in rows
        if (other.format, other.scheme) == (row.format, "float32")
        and row.name.startswith(f"{other.name.partition('.float32.')[0]}.")
    }
    for own in measurements:
        if own.sha256 != row.sha256:
            continue
        for other in measurements:
            same = (other.document, other.backend, other.threads)
            if other.sha256 not in floats or same != (own.document, own.backend, own.threads):
                continue
            if own.p50_ms > _NOISE * other.p50_ms:
                yield (
                    f"is slower than {other.name} on {own.backend} ({own.document}): "
                    f"{units.duration(own.p50_ms)} against {units.duration(other.p50_ms)}. Prefer "
                    "float32 there unless size counts"
                )
