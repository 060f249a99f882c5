"""The machine that files were compared on: what of it decides their answers, and nothing that changes by the hour."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.document.record import Record, Text
from edgekit.runtime.host import HostState


@dataclass(frozen=True)
class Machine(Record):
    """A machine, as documents name it.

    Attributes:
        device: id of the device profile.
        machine: of the userland, in ``uname -m`` terms.
        cpu: the cores' names, the model's on x86.
        python: the version.
        emulated: whether it is a board that is emulated on another machine.
    """

    device: Text
    machine: Text
    cpu: str
    python: Text
    emulated: bool

    @classmethod
    def this(cls) -> Machine:
        """The one that this runs on."""
        host = HostState.read()
        return cls(host.device, host.machine, host.cpu, host.python, host.emulated)

    def __str__(self) -> str:
        return f"{self.device}{' (emulated)' if self.emulated else ''}"
