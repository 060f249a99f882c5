"""Ending: how a process that reads a file of others came to its end, in words."""

from __future__ import annotations

import signal

from edgekit.runtime.limits import OUT_OF_MEMORY

# What "wanted more memory" begins with.
WANTED = "wanted"


def death(
    code: int, said: str, memory_bytes: int, whom: str = "the interpreter"
) -> tuple[str, str]:
    """How a process ended that was not to end.

    Args:
        code: its exit code; minus the signal that ended it.
        said: what it wrote to stderr.
        memory_bytes: what it could take.
        whom: what it ended with it.

    Returns:
        ``"memory"``, ``"killed"`` or ``"crash"``; and what it did, in words that follow a file's name.
    """
    said = said.strip()[-500:]
    if wants_memory(said):
        return "memory", greedy(memory_bytes)
    if code >= 0:
        return "crash", f"ended {whom} with code {code}: {said}"
    name = signal_name(-code)
    if name == "SIGKILL":
        words = f"{name} ended {whom}, most likely because the machine ran out of memory"
        return "killed", words
    return "crash", f"crashed {whom} with {name}"


def wants_memory(said: str) -> bool:
    """Whether these are an interpreter's words for memory that it was refused."""
    return any(word in said for word in OUT_OF_MEMORY)


def greedy(memory_bytes: int) -> str:
    """That a file wanted more than so many bytes of memory."""
    return f"{WANTED} more than {memory_bytes // 1_000_000} MB of memory"


def signal_name(number: int) -> str:
    """Such as ``SIGSEGV``; not every system has every signal."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
