"""Sandbox: what holds a child that reads a file of others, beside its limits."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.document.record import Positive, Record


@dataclass(frozen=True)
class Sandbox(Record):
    """What the kernel holds a child with. Limits of memory, file size and time are on in any case.

    Attributes:
        seccomp: whether it refuses to start processes, to open sockets, and to write to files.
        landlock: the version of Landlock, which refuses to read files that are not on a list; None
            where the kernel has none.
    """

    seccomp: bool
    landlock: Positive | None

    @classmethod
    def offered(cls) -> Sandbox:
        """What this machine's kernel has."""
        # Whoever reads what was remembered asks no kernel.
        from edgekit.runtime.sandbox.landlock import landlock_version
        from edgekit.runtime.sandbox.seccomp import has_seccomp

        return cls(has_seccomp(), landlock_version())

    def __str__(self) -> str:
        if not self.seccomp and self.landlock is None:
            return "limits alone: the kernel has neither seccomp nor Landlock"
        landlock = "no Landlock" if self.landlock is None else f"Landlock {self.landlock}"
        return f"{'seccomp' if self.seccomp else 'no seccomp'}, {landlock}"
