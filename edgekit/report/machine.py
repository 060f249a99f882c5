"""A machine in words: what it is, the state it was in, and how files run on it."""

from __future__ import annotations

from edgekit.report import units
from edgekit.report.table import Table
from edgekit.runtime.checkup import Checkup
from edgekit.runtime.host import HostState


def machine_facts(state: HostState) -> dict[str, str | None]:
    """A host's state by what it is about; None where nothing is known."""
    celsius, throttled, load = state.temperature_c, state.throttled, state.load_1min
    return {
        "device": state.device,
        "CPU": f"{state.cpu}, {units.plural(state.cores, 'core')}, {state.machine}",
        "CPU features": ", ".join(state.cpu_features) or None,
        "governor": state.governor,
        "temperature": None if celsius is None else f"{celsius:.0f} °C",
        "throttled": None if throttled is None else "yes" if throttled else "no",
        "memory": f"{units.memory(state.memory_available_bytes)} free of "
        f"{units.memory(state.memory_total_bytes)}",
        "load": None if load is None else f"{load:.2f}",
        "system": state.system,
        "Python": state.python,
        **state.interpreters,
    }


def schemes_table(checkup: Checkup) -> Table | None:
    """How well files of each format and scheme run there; None where the document does not say."""
    if not checkup.schemes:
        return None
    return Table(
        ("file", "scheme", "here", "why"),
        tuple((row.format, row.scheme, row.verdict, row.reason) for row in checkup.schemes),
    )
