"""Instructions: what model files execute on an emulated processor, as a document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from edgekit.artifact import Artifact
from edgekit.document.record import Count, Document, Record, Text
from edgekit.runtime.runner import Backend


@dataclass(frozen=True)
class FileInstructions(Record):
    """What one file takes, in instructions; None where it failed.

    Attributes:
        artifact: the file.
        failed: why it has no counts; None where it has.
        backend: what ran it.
        load: from its path to a runner.
        first: the first `Runner.infer`, of one sample.
        infer: the median of later ones.
    """

    artifact: Artifact
    failed: str | None
    backend: Backend | None = None
    load: Count | None = None
    first: Count | None = None
    infer: Count | None = None


@dataclass(frozen=True)
class Instructions(Document):
    """What files execute on the processor of one board: a gauge of change, and no time.

    Attributes:
        device: id of the device profile.
        processor: its core, as QEMU names it.
        bits: of the programs.
        python: that ran them, ``"3.11"``.
        files: in the order requested.
    """

    kind: ClassVar[str] = "instructions"

    device: Text
    processor: Text
    bits: Annotated[int, ("enum", (32, 64))]
    python: Text
    files: Annotated[tuple[FileInstructions, ...], ("minItems", 1)]
