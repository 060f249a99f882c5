"""Diagnoses and healings in words, for a terminal of 80 columns and for a report."""

from __future__ import annotations

from collections.abc import Iterator

from edgekit.document.diagnosis import Cause, Diagnosis
from edgekit.document.healing import Healing, Measured
from edgekit.report import units
from edgekit.report.hashes import base_name
from edgekit.report.layers import layers_summary

_WIDTH = 80
_VERDICTS = {
    "healthy": "healthy: no cause of loss was found",
    "faulty": "not healthy",
    "unexplained": "the loss is large, but no cause was found",
}


def diagnosis_summary(found: Diagnosis) -> Iterator[str]:
    """The verdict, each cause with its cure, and what was measured."""
    level = "-" if found.output_db is None else f"{found.output_db:.1f} dB"
    agreement = (
        "" if found.agreement is None else f", same class for {units.percent(found.agreement)}"
    )
    yield (
        f"{base_name(found.file.file)}: {_VERDICTS[found.verdict]} ({level}{agreement}, "
        f"{units.plural(found.samples, 'sample')})"
    )
    for number, cause in enumerate(found.causes, start=1):
        yield f"{number}. {heading(cause)}"
        yield f"   {cause.sentence}"
        yield f"   Cure: {cause.cure}"
    if found.reference is None:
        yield (
            "Weights and ranges were not compared: give the model's float file (--float) or the "
            "model itself (--model) to check its layers."
        )
    if found.layers is not None:
        yield from layers_summary(found.layers)


def heading(cause: Cause) -> str:
    """``"range too narrow in layer 'conv_2' (CONV tensor), 97 % of the loss"``."""
    text = cause.kind.replace("_", " ")
    if cause.layer:
        text += f" in layer {cause.layer!r}"
    elif cause.tensor:
        text += f" at {cause.tensor.split(';')[0]!r}"
    if cause.severity == "note":
        return f"{text} (costs time, no answers)"
    return text if cause.share is None else f"{text}, {units.percent(cause.share)} of the loss"


def diagnosis_lines(found: Diagnosis) -> list[str]:
    return [line for text in diagnosis_summary(found) for line in _folded(text)]


def healing_summary(found: Healing) -> Iterator[str]:
    """What was tried, and both files."""
    for remedy in found.remedies:
        if remedy.reason:
            yield f"{remedy.name}: not possible; {remedy.reason}"
            continue
        word = "kept" if remedy.kept else "no help"
        yield f"{remedy.name}: {_db(remedy.before_db)} to {_db(remedy.after_db)} dB, {word}"
    yield f"before: {_measured(found.before)}"
    if found.after is not None and found.healed is not None:
        yield f"after:  {_measured(found.after)}"
        yield f"written: {found.healed.file}"
    else:
        yield "No file was written: no repair was better on the judged samples."
    yield from (f"warning: {text}" for text in found.warnings)


def healing_lines(found: Healing) -> list[str]:
    return [line for text in healing_summary(found) for line in _folded(text)]


def _measured(row: Measured) -> str:
    parts = [f"{_db(row.output_db)} dB"]
    if row.agreement is not None:
        parts.append(f"same class for {units.percent(row.agreement)}")
    if row.accuracy is not None:
        parts.append(f"accuracy {units.percent(row.accuracy)}")
    if row.drop is not None:
        parts.append(f"drop {100 * row.drop:.2f} pt")
    parts.append(f"{row.size_bytes:,} bytes")
    if row.p50_ms is not None:
        parts.append(f"p50 {row.p50_ms:.4f} ms")
    return ", ".join(parts)


def _db(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _folded(text: str) -> Iterator[str]:
    """Lines of 80 columns; those that follow are indented as the first is."""
    indent = " " * (len(text) - len(text.lstrip()))
    line = indent
    for word in text.split():
        if line.strip() and len(line) + 1 + len(word) > _WIDTH:
            yield line
            line = indent
        line = f"{line}{word}" if not line.strip() else f"{line} {word}"
    yield line
