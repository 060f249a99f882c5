"""Checkup: what a machine offers a model, as a document."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from edgekit.document.record import LATER, Count, Document
from edgekit.runtime.attempts import Attempt
from edgekit.runtime.host import HostState
from edgekit.runtime.sandbox.state import Sandbox
from edgekit.runtime.suitability import Suitability


@dataclass(frozen=True)
class Checkup(Document):
    """A machine, its state, and what follows for a model on it.

    Attributes:
        noise: what may make measurements unreliable, in words.
        advice: what to install, and what the machine lacks.
        schemes: how well files of each format and scheme run here.
        onnx_sums_saturate: whether onnxruntime's fast int8 kernels saturate on this processor; None
            without onnxruntime.
        attempts: what came of each interpreter that is installed, when it ran a small file.
        page_size_bytes: of memory.
        libc: the C library, such as ``"glibc 2.36"``.
        sandbox: what this kernel holds a process with that reads a file of others.
    """

    kind: ClassVar[str] = "host"

    host: HostState
    noise: tuple[str, ...]
    advice: tuple[str, ...]
    schemes: tuple[Suitability, ...] = field(default=(), metadata=LATER)
    onnx_sums_saturate: bool | None = field(default=None, metadata=LATER)
    sandbox: Sandbox | None = field(default=None, metadata=LATER)
    attempts: tuple[Attempt, ...] = field(default=(), metadata=LATER)
    page_size_bytes: Count | None = field(default=None, metadata=LATER)
    libc: str | None = field(default=None, metadata=LATER)
