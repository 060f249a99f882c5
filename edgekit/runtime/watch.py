"""Watch: what disturbed the machine while something was measured."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from edgekit.device import is_emulated
from edgekit.runtime import linux

# Of the processors' time; below it nothing is said.
_STEAL = 0.05
# Cores that others may use when one is free anyway, and when none is.
_SPARE_CORES, _BUSY_CORES = 0.5, 0.25
# A clock that goes down by this share changes what is measured.
_CLOCK = 0.9
_HOT_C = 80.0


@dataclass
class Watch:
    """The machine from the start of a measurement on.

    Attributes:
        cores: that this process may use.
        threads: that what is measured uses.
        root: the folder that ``/proc`` and ``/sys`` are in.
        clocks_mhz: as they were at each `look`.
    """

    cores: int
    threads: int
    root: Path = linux.ROOT
    clocks_mhz: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._begun = monotonic()
        self._ticks = linux.processor_ticks(self.root)
        self._periods = linux.throttled_periods(self.root)

    def look(self) -> None:
        """Note the clock, between two turns."""
        clock = linux.clock_mhz(self.root)
        if clock is not None:
            self.clocks_mhz.append(clock)

    def disturbances(self, own_cpu_s: float | None) -> tuple[str, ...]:
        """What makes measurements since the start unfit for a verdict, in words.

        Args:
            own_cpu_s: processor time that the measurement itself took, its processes included; None where
                one of them did not say.
        """
        return tuple(self._reasons(own_cpu_s))

    def _reasons(self, own_cpu_s: float | None) -> list[str]:
        reasons = ["the board is emulated"] if is_emulated() else []
        seconds = max(monotonic() - self._begun, 1e-9)
        ticks = linux.processor_ticks(self.root)
        if ticks is not None and self._ticks is not None:
            busy_s, stolen_s = (
                (now - then) / _ticks_per_second()
                for now, then in zip(ticks, self._ticks, strict=True)
            )
            # Cores of other control groups are counted too, so this errs on the side of saying it.
            others = (busy_s - own_cpu_s) / seconds if own_cpu_s is not None else 0.0
            if others > max(_BUSY_CORES, self.cores - self.threads - _SPARE_CORES):
                reasons.append(f"other programs kept {others:.1f} of {self.cores} cores busy")
            if stolen_s > _STEAL * seconds * self.cores:
                share = stolen_s / seconds / self.cores
                reasons.append(f"the hypervisor gave {share:.0%} of the processors to others")
        periods = linux.throttled_periods(self.root)
        if periods is not None and self._periods is not None and periods > self._periods:
            cores = linux.quota_cores(self.root)
            quota = f"of {cores:.2g} cores " if cores is not None else ""
            reasons.append(
                f"the control group's quota {quota}stopped this program in "
                f"{periods - self._periods} periods"
            )
        throttling = linux.throttling(self.root)
        if throttling is not None and throttling[0]:
            reasons.append("the firmware is throttling the processor")
        if self.clocks_mhz and min(self.clocks_mhz) < _CLOCK * max(self.clocks_mhz):
            reasons.append(
                f"the clock went between {min(self.clocks_mhz):.0f} and {max(self.clocks_mhz):.0f} MHz"
            )
        hot = linux.temperature_c(self.root)
        if hot is not None and hot >= _HOT_C:
            reasons.append(f"the processor is at {hot:.0f} °C")
        return reasons


def _ticks_per_second() -> int:
    return os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
