"""HostState: which machine this is and the state it is in, as far as it says so itself."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar

from edgekit.device import detect_device, is_emulated, userland_machine
from edgekit.document.record import LATER, Count, NotNegative, Positive, Record
from edgekit.runtime import linux

INTERPRETERS = ("ai-edge-litert", "tflite-runtime", "onnxruntime", "tensorflow")
# What decides how fast files run: vector units, and the 8-bit dot products of Arm and x86.
DOT_PRODUCTS = ("asimddp", "i8mm", "avx_vnni", "avx512_vnni")
_FEATURES = ("neon", "vfpv4", "asimd", "asimdhp", "avx2", "avx512f", *DOT_PRODUCTS)


@dataclass(frozen=True)
class HostState(Record):
    """A machine and its state. None where the system does not say.

    Attributes:
        device: id of the device profile.
        machine: of the userland (``aarch64``, ``armv7l``, ``x86_64``).
        userland_bits: of a pointer in this userland, 32 or 64.
        kernel_machine: as the kernel says; a 64-bit one can carry a 32-bit userland.
        cpu: the cores' names (``Cortex-A72``), the model's on x86.
        cpu_features: those that matter for speed, in the kernel's words.
        governors: the CPU frequency governor of each core that tells one.
        temperature_c: of the processor's hottest thermal zone.
        throttled: whether the firmware is holding the clock back now.
        throttled_since_boot: what made it do so since the board started, in words.
        memory_available_bytes: what programs can still take, no more than the control groups leave.
        memory_limit_bytes: the lowest limit of the process's control groups.
        load_1min: processes that wanted a core, averaged over the last minute.
        interpreters: versions of the interpreters that are installed.
        emulated: whether it is a board that is emulated on another machine.
    """

    computed: ClassVar[tuple[str, ...]] = ("governor",)

    device: str
    machine: str
    userland_bits: Annotated[int, ("enum", (32, 64))]
    kernel_machine: str
    system: str
    cpu: str
    cores: Positive
    cpu_features: tuple[str, ...]
    governors: tuple[str, ...]
    temperature_c: float | None
    throttled: bool | None
    throttled_since_boot: tuple[str, ...] | None
    memory_total_bytes: Count | None
    memory_available_bytes: Count | None
    memory_limit_bytes: Count | None
    load_1min: NotNegative | None
    python: str
    interpreters: dict[str, str]
    emulated: bool = field(default=False, metadata=LATER)

    @classmethod
    def read(cls, root: Path = linux.ROOT) -> HostState:
        """Ask this machine, now.

        Args:
            root: the folder that ``/proc`` and ``/sys`` are in. What the running Python itself
                knows (userland, interpreters, usable cores) does not come from there.
        """
        features = linux.cpu_features(root)
        total, available, limit = linux.memory(root)
        throttling = linux.throttling(root)
        return cls(
            device=detect_device(linux.text(root / "proc/device-tree/model") or "").id,
            machine=userland_machine(),
            userland_bits=8 * struct.calcsize("P"),
            kernel_machine=platform.machine(),
            system=f"{platform.system()} {platform.release()}",
            cpu=linux.cpu_name(root),
            cores=usable_cores(),
            cpu_features=tuple(f for f in _FEATURES if f in features),
            governors=linux.governors(root),
            temperature_c=linux.temperature_c(root),
            throttled=throttling and throttling[0],
            throttled_since_boot=throttling and throttling[1],
            memory_total_bytes=total,
            memory_available_bytes=available,
            memory_limit_bytes=limit,
            load_1min=linux.load_1min(root),
            python=platform.python_version(),
            interpreters=_interpreters(),
            emulated=is_emulated(),
        )

    @property
    def governor(self) -> str | None:
        """The governor of all cores; all that there are, where cores differ."""
        return ", ".join(dict.fromkeys(self.governors)) or None

    @property
    def dot_products(self) -> bool:
        """Whether the CPU says that it has 8-bit dot products."""
        return any(feature in DOT_PRODUCTS for feature in self.cpu_features)

    @property
    def noise(self) -> list[str]:
        """What may make a measurement taken now unreliable, in words."""
        reasons = ["the board is emulated: no time here is a real one's"] if self.emulated else []
        if any(governor != "performance" for governor in self.governors):
            reasons.append(f"the CPU governor is {self.governor!r}, not 'performance'")
        if self.throttled:
            reasons.append("the firmware is throttling the CPU")
        elif self.throttled_since_boot:
            past = ", ".join(self.throttled_since_boot)
            reasons.append(f"the firmware has held the CPU back since the board started ({past})")
        if self.temperature_c is not None and self.temperature_c >= 80:
            reasons.append(f"the CPU is at {self.temperature_c:.0f} °C")
        if self.load_1min is not None and self.load_1min > self.cores:
            reasons.append(f"the load is {self.load_1min:.1f} on {self.cores} cores")
        return reasons


def peak_rss_bytes() -> int | None:
    """The most memory this process has held at once since it was started."""
    # getrusage's ru_maxrss is inherited across fork and exec; VmHWM belongs to this program alone.
    return linux.kib(linux.fields(linux.ROOT / "proc/self/status").get("VmHWM"))


def usable_cores() -> int:
    """How many cores this process may use; how many there are, where the system does not tell."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _interpreters() -> dict[str, str]:
    found = {}
    for name in INTERPRETERS:
        try:
            # A broken installation has no version.
            found[name] = importlib.metadata.version(name) or "unknown"
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
