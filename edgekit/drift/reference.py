"""Reference: the original model in documents, with what it was compared on."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.artifact import Format, Sha256
from edgekit.document.record import Count, Fraction, Positive, Record, Text
from edgekit.runtime.runner import Backend


@dataclass(frozen=True)
class Reference(Record):
    """The original model, as a golden file names it.

    Attributes:
        path: the file's name alone.
        backend: what answered.
    """

    path: Text
    sha256: Sha256
    format: Format
    size_bytes: Count
    backend: Backend


@dataclass(frozen=True)
class ComparedReference(Reference):
    """The original model, and what candidates were compared with.

    Attributes:
        accuracy: a fraction; None unless the task is a classification.
        samples: how many there are.
        golden_sha256: None if the golden was never a file.
    """

    accuracy: Fraction | None
    samples: Positive
    golden_sha256: Sha256 | None
