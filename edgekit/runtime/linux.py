"""What Linux tells about a machine in its files, below any root folder. Nothing here raises for what a file holds."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/")

# Arm's own cores by the part number of their main ID register (MIDR_EL1), from the cores' technical
# reference manuals. Kernels write the number to /proc/cpuinfo and no name.
_ARM = 0x41
_ARM_CORES = {
    0xB76: "ARM1176",
    0xC07: "Cortex-A7",
    0xC08: "Cortex-A8",
    0xC09: "Cortex-A9",
    0xC0F: "Cortex-A15",
    0xD03: "Cortex-A53",
    0xD04: "Cortex-A35",
    0xD05: "Cortex-A55",
    0xD07: "Cortex-A57",
    0xD08: "Cortex-A72",
    0xD09: "Cortex-A73",
    0xD0A: "Cortex-A75",
    0xD0B: "Cortex-A76",
    0xD0C: "Neoverse-N1",
    0xD40: "Neoverse-V1",
    0xD41: "Cortex-A78",
    0xD49: "Neoverse-N2",
    0xD4F: "Neoverse-V2",
}

# Bits 0 to 3 of the Raspberry Pi firmware's bit field tell what is the case now, bits 16 to 19 what
# was since the board started (GET_THROTTLED, include/soc/bcm2835/raspberrypi-firmware.h).
_SINCE_BOOT = ("under-voltage", "clock capped", "throttled", "soft temperature limit")

_PLAUSIBLE_C = (-40.0, 150.0)


def text(path: Path) -> str | None:
    """A file's text without surrounding blanks and NULs; None where it cannot be read."""
    try:
        return path.read_text("utf-8", errors="replace").strip("\0\n ")
    # A ValueError is a name that no file can have.
    except (OSError, ValueError):
        return None


def number(value: str | None, base: int = 10) -> int | None:
    """The whole number that `value` begins with; None where it begins with none."""
    found = re.match(r"[+-]?(0[xX])?[0-9a-fA-F]{1,19}(?![0-9a-fA-F])", (value or "").strip())
    try:
        return int(found[0], base) if found else None
    except ValueError:
        return None


def fields(path: Path) -> dict[str, str]:
    """The first value of each ``key: value`` line."""
    return next(_blocks(path, whole=True))


def kib(value: str | None) -> int | None:
    """Bytes in a ``1234 kB``; None where that is no amount."""
    amount = number(value)
    return None if amount is None or amount < 0 else amount * 1024


def cpu_name(root: Path) -> str:
    """The names of the machine's cores, such as ``Cortex-A55, Cortex-A76``; the model's on x86."""
    names = dict.fromkeys(filter(None, map(_core, _blocks(root / "proc/cpuinfo"))))
    return ", ".join(names) or "unknown"


def cpu_features(root: Path) -> frozenset[str]:
    """The flags that the kernel lists for its first core, in the kernel's own words."""
    cpuinfo = fields(root / "proc/cpuinfo")
    return frozenset((cpuinfo.get("flags") or cpuinfo.get("Features") or "").split())


def governors(root: Path) -> tuple[str, ...]:
    """The frequency governor of each core that tells one, in the cores' order."""
    found = (root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_governor")
    cores = sorted(found, key=lambda path: number(path.parent.parent.name[3:]) or 0)
    return tuple(filter(None, map(text, cores)))


def temperature_c(root: Path) -> float | None:
    """Of the hottest thermal zone of the processor; of all zones where none is called its own."""
    zones: list[tuple[str, float]] = []
    for zone in sorted((root / "sys/class/thermal").glob("thermal_zone*")):
        milli = number(text(zone / "temp"))
        # Sensors that are switched off answer with absurd values.
        if milli is not None and _PLAUSIBLE_C[0] <= milli / 1000 <= _PLAUSIBLE_C[1]:
            zones.append(((text(zone / "type") or "").lower(), milli / 1000))
    processor = [c for kind, c in zones if any(word in kind for word in ("cpu", "soc", "pkg"))]
    return max(processor or [c for _, c in zones], default=None)


def throttling(root: Path) -> tuple[bool, tuple[str, ...]] | None:
    """Whether the firmware holds the clock back now, and what made it do so since the board started."""
    # "soc/soc:firmware"; the folder carries an address on some kernels.
    for path in sorted((root / "sys/devices/platform").glob("*/*:firmware/get_throttled")):
        bits = number(text(path), 16)
        if bits is not None and bits >= 0:
            past = (name for i, name in enumerate(_SINCE_BOOT) if bits & 1 << (16 + i))
            return bool(bits & 0xF), tuple(past)
    return None


def load_1min(root: Path) -> float | None:
    """Processes that wanted a core, averaged over the last minute."""
    found = re.match(r"\d{1,9}(\.\d{1,9})?(?=\s)", (text(root / "proc/loadavg") or "") + " ")
    return float(found[0]) if found else None


def processor_ticks(root: Path) -> tuple[int, int] | None:
    """Clock ticks, since the system started and of all cores: busy, and stolen by a hypervisor's other guests.

    Guests' own time is part of user time, as proc(5) has it.
    """
    words = (text(root / "proc/stat") or "").partition("\n")[0].split()
    values = [number(word) for word in words[1:9]]
    if len(values) < 8 or words[0] != "cpu" or None in values:
        return None
    user, nice, system, _, _, irq, softirq, steal = (value or 0 for value in values)
    return user + nice + system + irq + softirq, steal


def throttled_periods(root: Path) -> int | None:
    """How often a control group's quota has kept this process waiting; None where none has a quota."""
    found = [
        number(dict(_pairs(folder / "cpu.stat")).get("nr_throttled"))
        for folder in _groups(root, "cpu")
    ]
    known = [count for count in found if count is not None]
    return sum(known) if known else None


def quota_cores(root: Path) -> float | None:
    """How many cores' time the tightest control group leaves this process; None where none has a quota."""
    cores = []
    for folder in _groups(root, "cpu"):
        words = (text(folder / "cpu.max") or "").split()
        if not words:
            words = [text(folder / f"cpu.cfs_{name}_us") or "" for name in ("quota", "period")]
        quota, period = number(words[0]), number(words[-1])
        if quota is not None and quota > 0 and period and len(words) == 2:
            cores.append(quota / period)
    return min(cores, default=None)


def clock_mhz(root: Path) -> float | None:
    """The clock of the fastest core now; None where the kernel does not say."""
    found = (root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_cur_freq")
    khz = [value for value in (number(text(path)) for path in found) if value]
    return max(khz) / 1000 if khz else None


def energy_uj(root: Path) -> int | None:
    """Microjoules that all processor packages have taken, by Intel's and AMD's counters (powercap's intel-rapl).

    None where the kernel has no counter, or lets only root read it. A counter starts again at its range's end.
    """
    found = [
        number(text(path))
        for path in (root / "sys/class/powercap").glob("intel-rapl:*/energy_uj")
        if path.parent.name.count(":") == 1
    ]
    known = [value for value in found if value is not None]
    return sum(known) if known else None


def memory(root: Path) -> tuple[int | None, int | None, int | None]:
    """Bytes: of the machine, still free for this process, and the limit of its control groups.

    What is free is no more than its control groups leave it; pages that they could drop count as free.
    """
    meminfo = fields(root / "proc/meminfo")
    available = kib(meminfo.get("MemAvailable"))
    limits = []
    for folder, limit, usage, droppable in _memory_groups(root):
        size = number(text(folder / limit))
        if size is None or size < 0:
            continue
        limits.append(size)
        cached = number(dict(_pairs(folder / "memory.stat")).get(droppable))
        taken = (number(text(folder / usage)) or 0) - (cached or 0)
        left = max(0, size - max(0, taken))
        if available is not None:
            available = min(available, left)
    total = kib(meminfo.get("MemTotal"))
    # Version 1 writes "no limit" as a size that no machine has.
    lowest = min((size for size in limits if total is None or size < total), default=None)
    return total, available, lowest


def _blocks(path: Path, whole: bool = False) -> Iterator[dict[str, str]]:
    """``key: value`` lines of each paragraph, or of the whole file; the first of a key counts."""
    content = text(path) or ""
    for part in [content] if whole else re.split(r"\n\s*\n", content):
        found: dict[str, str] = {}
        for line in part.splitlines():
            key, _, value = line.partition(":")
            found.setdefault(key.strip(), value.strip())
        yield found


def _core(block: dict[str, str]) -> str | None:
    part, maker = number(block.get("CPU part"), 16), number(block.get("CPU implementer"), 16)
    # 32-bit kernels name the architecture ("ARMv7 Processor rev 3") where x86 names the model.
    if maker == _ARM and part in _ARM_CORES:
        return _ARM_CORES[part]
    if block.get("model name"):
        return block["model name"]
    return None if part is None else f"part {part:#x} of maker {maker or 0:#x}"


def _pairs(path: Path) -> Iterator[tuple[str, str]]:
    """``key value`` lines."""
    for line in (text(path) or "").splitlines():
        key, separator, value = line.partition(" ")
        if separator:
            yield key, value


def _memory_groups(root: Path) -> Iterator[tuple[Path, str, str, str]]:
    """Folders of this process's memory control groups up to the root, and their files' names."""
    for folder in _groups(root, "memory"):
        if folder.is_relative_to(root / "sys/fs/cgroup/memory"):
            yield folder, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
        else:
            yield folder, "memory.max", "memory.current", "inactive_file"


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """Folders of this process's control groups for a controller, up to the root."""
    for line in (text(root / "proc/self/cgroup") or "").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, name = rest.partition(":")
        parts = [part for part in name.split("/") if part]
        if ".." in parts or len(parts) > 64:
            continue
        base = root / "sys/fs/cgroup"
        if controller in controllers.split(","):
            # Version 1 has a tree for each, often under the names of all that share it.
            base = base / controller
        elif controllers:
            continue
        for depth in range(len(parts), -1, -1):
            yield base.joinpath(*parts[:depth])


def page_size_bytes() -> int | None:
    """Of memory, as this kernel hands it out: 4,096 on most boards, 16,384 on a Raspberry Pi 5."""
    try:
        return os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return None


def libc(root: Path = ROOT) -> str | None:
    """The C library of this Python, such as ``"glibc 2.36"`` or ``"musl"``; None where nothing tells."""
    name, version = platform.libc_ver()
    if name:
        return f"{name} {version}".strip()
    return "musl" if any((root / "lib").glob("ld-musl-*")) else None
