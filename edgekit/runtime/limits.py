"""Limits: what a child that loads a file of others may take of this machine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

# How many times as long everything takes where the processor is emulated, beside a machine at work.
_EMULATED_TIMES = 10
# What interpreters and numpy say when memory is refused to them.
OUT_OF_MEMORY = ("bad_alloc", "MemoryError", "Unable to allocate", "Failed to allocate memory")


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
    def of(cls, size_bytes: int, threads: int = 1, input_bytes: int = 0) -> Limits:
        """What a file of this size may take: 30 s and 1 GiB or more, no more than the machine has. Ten times as
        long on an emulated processor, where an interpreter alone takes seconds to start.

        Args:
            size_bytes: of the file.
            threads: that one inference may use.
            input_bytes: of one inference's inputs, where they are the caller's own.
        """
        # A child that is held imports this file for `limit_process` alone.
        from edgekit.device import is_emulated

        # Each thread reserves a stack and a heap of its own, most of which it never touches.
        memory = max(1 << 30, 16 * size_bytes, 64 * input_bytes) + (threads - 1) * (80 << 20)
        machine = _machine_memory()
        seconds = 30 + 2 * (size_bytes + input_bytes) // 1_000_000
        if is_emulated():
            seconds *= _EMULATED_TIMES
        return cls(seconds, memory if machine is None else min(memory, machine))


def _machine_memory() -> int | None:
    """Bytes of memory that the machine has; None where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    # Windows has no such function, and not every system has both words.
    except (AttributeError, ValueError, OSError):
        return None


def limit_process(seconds: int | None, memory_bytes: int) -> None:
    """Hold this process to so much processor time and memory from here on, and to files of no bytes.

    None leaves the time to the parent's clock, for a process that stays. Linux holds all three, macOS time and files, Windows none: there the parent's clock ends a child.
    """
    try:
        import resource
    except ModuleNotFoundError:
        return
    # SIGXCPU comes at the soft limit and says what happened; SIGKILL would not.
    bounds = [(resource.RLIMIT_CORE, 0, 0), (resource.RLIMIT_FSIZE, 0, 0)]
    if seconds is not None:
        bounds.append((resource.RLIMIT_CPU, seconds, 5))
    taken = _address_space_pages()
    if taken is not None:
        space = taken * resource.getpagesize() + memory_bytes
        bounds.append((resource.RLIMIT_AS, space, 0))
    for kind, most, grace in bounds:
        allowed = resource.getrlimit(kind)[1]
        if allowed == resource.RLIM_INFINITY:
            allowed = most + grace
        resource.setrlimit(kind, (min(most, allowed), min(most + grace, allowed)))


def _address_space_pages() -> int | None:
    """Pages of address space that this process has; None where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text("ascii").split()[0])
    except OSError:
        return None
