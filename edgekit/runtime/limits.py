"""Limits: what a child that loads a file of others may take of this machine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Limits:
    """What a trial may take.

    Attributes:
        seconds: of processor time; of wall time, twice as much.
        memory_bytes: of address space, beyond what the interpreter takes without a model.
    """

    seconds: int
    memory_bytes: int

    @classmethod
    def of(cls, size_bytes: int, threads: int = 1) -> Limits:
        """What a file of this size may take: 30 s and 1 GiB or more, no more than the machine has."""
        machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        # Each thread reserves a stack and a heap of its own, most of which it never touches.
        memory = max(1 << 30, 16 * size_bytes) + (threads - 1) * (80 << 20)
        return cls(30 + 2 * size_bytes // 1_000_000, min(memory, machine))


def limit_process(seconds: int, memory_bytes: int) -> None:
    """Hold this process to so much processor time and memory from here on, where the system can."""
    try:
        import resource
    except ModuleNotFoundError:
        # Windows has no such limits: the parent's clock alone stops a child there.
        return
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    space = pages * resource.getpagesize() + memory_bytes
    for kind, most, grace in (
        (resource.RLIMIT_CORE, 0, 0),
        # SIGXCPU comes at the soft limit and says what happened; SIGKILL would not.
        (resource.RLIMIT_CPU, seconds, 5),
        (resource.RLIMIT_AS, space, 0),
    ):
        allowed = resource.getrlimit(kind)[1]
        if allowed == resource.RLIM_INFINITY:
            allowed = most + grace
        resource.setrlimit(kind, (min(most, allowed), min(most + grace, allowed)))
