"""HostState: which machine this is and the state it is in, as far as it says so itself."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgekit.device import detect_device, userland_machine

INTERPRETERS = ("ai-edge-litert", "tflite-runtime", "onnxruntime", "tensorflow")
# CPU features that decide how fast int8 runs: Arm's and x86's dot products.
_FEATURES = ("asimddp", "i8mm", "asimdhp", "avx2", "avx_vnni", "avx512_vnni")


@dataclass(frozen=True)
class HostState:
    """A machine and its state. None where the system does not say.

    Attributes:
        device: id of the device profile.
        machine: of the userland (``aarch64``, ``armv7l``, ``x86_64``).
        cpu_features: those that matter for int8 speed.
        governor: the CPU frequency governor; anything but ``performance`` adds noise.
        temperature_c: of the first thermal zone.
        throttled: whether the firmware is holding the clock back now.
        memory_available_bytes: what programs can still take.
        load_1min: processes that wanted a core, averaged over the last minute.
        interpreters: versions of the interpreters that are installed.
    """

    device: str
    machine: str
    system: str
    cpu: str
    cores: int
    cpu_features: tuple[str, ...]
    governor: str | None
    temperature_c: float | None
    throttled: bool | None
    memory_total_bytes: int | None
    memory_available_bytes: int | None
    load_1min: float
    python: str
    interpreters: dict[str, str]

    @classmethod
    def read(cls) -> HostState:
        """Ask this machine, now."""
        cpuinfo = _fields(Path("/proc/cpuinfo"))
        meminfo = _fields(Path("/proc/meminfo"))
        features = (cpuinfo.get("flags") or cpuinfo.get("Features") or "").split()
        return cls(
            device=detect_device().id,
            machine=userland_machine(),
            system=f"{platform.system()} {platform.release()}",
            cpu=cpuinfo.get("model name") or cpuinfo.get("CPU part") or "unknown",
            cores=len(os.sched_getaffinity(0)),
            cpu_features=tuple(f for f in _FEATURES if f in features),
            governor=_text(Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")),
            temperature_c=_temperature(),
            throttled=_throttled(),
            memory_total_bytes=_kib(meminfo.get("MemTotal")),
            memory_available_bytes=_kib(meminfo.get("MemAvailable")),
            load_1min=os.getloadavg()[0],
            python=platform.python_version(),
            interpreters=_interpreters(),
        )

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "cpu_features": list(self.cpu_features)}

    @property
    def noise(self) -> list[str]:
        """What may make a measurement taken now unreliable, in words."""
        reasons = []
        if self.governor not in (None, "performance"):
            reasons.append(f"the CPU governor is {self.governor!r}, not 'performance'")
        if self.throttled:
            reasons.append("the firmware is throttling the CPU")
        if self.temperature_c is not None and self.temperature_c >= 80:
            reasons.append(f"the CPU is at {self.temperature_c:.0f} °C")
        if self.load_1min > self.cores:
            reasons.append(f"the load is {self.load_1min:.1f} on {self.cores} cores")
        return reasons


def peak_rss_bytes() -> int | None:
    """The most memory this process has held at once since it was started."""
    # getrusage's ru_maxrss is inherited across fork and exec; VmHWM belongs to this program alone.
    return _kib(_fields(Path("/proc/self/status")).get("VmHWM"))


def _text(path: Path) -> str | None:
    try:
        return path.read_text("utf-8", errors="replace").strip("\0\n ")
    except OSError:
        return None


def _fields(path: Path) -> dict[str, str]:
    """The first value of each ``key: value`` line."""
    fields: dict[str, str] = {}
    for line in (_text(path) or "").splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    return fields


def _kib(value: str | None) -> int | None:
    return int(value.split()[0]) * 1024 if value else None


def _temperature() -> float | None:
    text = _text(Path("/sys/class/thermal/thermal_zone0/temp"))
    return int(text) / 1000 if text else None


def _throttled() -> bool | None:
    # Raspberry Pi firmware's bit field: bits 0 to 3 tell what is the case now
    # (under-voltage, frequency capped, throttled, soft temperature limit).
    text = _text(Path("/sys/devices/platform/soc/soc:firmware/get_throttled"))
    return bool(int(text, 16) & 0xF) if text else None


def _interpreters() -> dict[str, str]:
    found = {}
    for name in INTERPRETERS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
