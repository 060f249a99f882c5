"""What an emulated board shows of its processor: ``/proc/cpuinfo``, the device tree, QEMU's name of the core.

Sources: Arm's technical reference manuals (MIDR_EL1: implementer, variant, part, revision), and what the
kernel of Raspberry Pi OS prints.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgekit.device import DeviceProfile
from edgekit.errors import UsageError

_V8 = "fp asimd evtstrm crc32 cpuid"
_V82 = "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"
_V7 = "half thumb fastmult vfp edsp neon vfpv3 tls vfpv4 idiva idivt vfpd32 lpae evtstrm crc32"


@dataclass(frozen=True)
class Core:
    """One of Arm's cores.

    Attributes:
        qemu: QEMU's name of it, for 64-bit programs.
        qemu_32: QEMU's name of the nearest that runs 32-bit programs: QEMU gives the v8 cores 32-bit instructions
            that a kernel without them would not offer.
        features: as a 64-bit kernel names them.
    """

    qemu: str
    qemu_32: str
    features: str
    variant: int
    part: int
    revision: int


CORES = {
    "Cortex-A53": Core("cortex-a53", "cortex-a7", _V8, 0, 0xD03, 4),
    "Cortex-A72": Core("cortex-a72", "cortex-a15", _V8, 0, 0xD08, 3),
    "Cortex-A76": Core("cortex-a76", "cortex-a15", _V82, 4, 0xD0B, 1),
}


def core_of(profile: DeviceProfile) -> Core:
    """The core of a board.

    Raises:
        UsageError: the profile names none that can be emulated.
    """
    core = CORES.get(profile.soc.core)
    if core is None:
        raise UsageError(
            f"{profile.id}: the core {profile.soc.core!r} cannot be emulated, expected one of "
            f"{', '.join(CORES)}."
        )
    return core


def qemu_cpu(profile: DeviceProfile, bits: int) -> str:
    """What QEMU is to be told. It is told always: without, it emulates a core with every extension (SME among
    them), on which LiteRT's int8 answers are garbage."""
    core = core_of(profile)
    return core.qemu if bits == 64 else core.qemu_32


def cpuinfo(profile: DeviceProfile, bits: int) -> str:
    """``/proc/cpuinfo`` of the board."""
    core = core_of(profile)
    block = (
        f"BogoMIPS\t: 108.00\nFeatures\t: {core.features if bits == 64 else _V7}\n"
        f"CPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x{core.variant:x}\n"
        f"CPU part\t: 0x{core.part:03x}\nCPU revision\t: {core.revision}\n"
    )
    cores = "".join(f"processor\t: {i}\n{block}\n" for i in range(profile.soc.cores or 1))
    return f"{cores}Model\t\t: {profile.device_tree_model}\n"


def write_board(profile: DeviceProfile, bits: int, folder: Path) -> None:
    """The files that the board's Linux would show, below `folder`: ``proc/cpuinfo`` and the device tree."""
    tree = folder / "proc" / "device-tree"
    tree.mkdir(parents=True)
    (folder / "proc" / "cpuinfo").write_text(cpuinfo(profile, bits), "utf-8")
    (tree / "model").write_bytes((profile.device_tree_model or profile.name).encode() + b"\0")
