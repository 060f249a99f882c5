"""This machine as a board: its own Python, in a folder of its own; under QEMU as an x86 processor of fewer instructions.

int8 answers of .onnx files hang on what an x86 processor has, and no other userland is needed to ask one that has less:
QEMU runs this machine's own Python and packages. Nothing but the way there differs from a board that SSH reaches.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgekit.boards.ssh import Connection
from edgekit.device import EMULATED, DeviceProfile
from edgekit.errors import BoardError, MissingDependencyError
from edgekit.runtime.child import search_path
from edgekit.runtime.host import usable_cores
from edgekit.scratch import scratch_folder

_OLD = (
    "fpu de pse tsc msr cx8 apic cmov clflush mmx fxsr sse sse2 syscall nx lm constant_tsc pni ssse3 cx16 sse4_1 "
    "sse4_2 popcnt lahf_lm"
)
# Processors by the core's name in a profile: what a kernel says of each (``/proc/cpuinfo``), and QEMU's words for
# it, without what QEMU does not emulate and would warn of.
CPUS = {
    "Nehalem": (_OLD, "Nehalem"),
    "Haswell": (
        f"{_OLD} fma movbe aes xsave avx f16c rdrand abm bmi1 avx2 bmi2 erms",
        "Haswell,-pcid,-x2apic,-tsc-deadline,-hle,-invpcid,-rtm",
    ),
}
_PROGRAMS = ("qemu-x86_64", "qemu-x86_64-static")
# What would lead a session to places of the user's, or to other modules than it was given.
_LEFT_OUT = ("XDG_", "PYTHON", "VIRTUAL_ENV", "QEMU_")
# With these, kernels are chosen for the processor that is here, which another has not: it would die by SIGILL.
_KERNELS = frozenset(
    {
        "BLIS_ARCH_TYPE",
        "DNNL_MAX_CPU_ISA",
        "GLIBC_TUNABLES",
        "MKL_DEBUG_CPU_TYPE",
        "MKL_ENABLE_INSTRUCTIONS",
        "NPY_ENABLE_CPU_FEATURES",
        "ONEDNN_MAX_CPU_ISA",
        "OPENBLAS_CORETYPE",
    }
)


@dataclass(frozen=True)
class LocalConnection(Connection):
    """Commands in a shell of this machine, in place of one that SSH opens."""

    def argv(self, command: str) -> list[str]:
        return ["/bin/sh", "-c", command]


@dataclass(frozen=True)
class Here:
    """This machine, set up as a board.

    Attributes:
        python: what runs this machine's own edgekit and packages there.
        environment: of its sessions.
    """

    python: str
    environment: dict[str, str]

    @contextmanager
    def connected(self, host: str) -> Iterator[LocalConnection]:
        """As `edgekit.boards.ssh.connected`."""
        yield LocalConnection(host, (), self.environment)


def is_x86(profile: DeviceProfile) -> bool:
    """Whether QEMU runs this machine's own programs as on that board."""
    return profile.soc.core in CPUS


@contextmanager
def here(profile: DeviceProfile | None = None) -> Iterator[Here]:
    """This machine as a board for as long as the block runs. Nothing of it is left then.

    Args:
        profile: of a processor that QEMU is to emulate (see `is_x86`); as it is if None.

    Raises:
        BoardError: this machine's programs are not for x86-64.
        MissingDependencyError: QEMU is not installed.
    """
    with scratch_folder() as (folder, _):
        home = folder / "home"
        home.mkdir(mode=0o700)
        (folder / "bin").mkdir()
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(_LEFT_OUT)},
            "HOME": str(home),
            "PATH": f"{folder / 'bin'}:{os.environ.get('PATH', os.defpath)}",
        }
        if profile is None:
            _program(folder / "bin" / "python3", [sys.executable])
            yield Here(sys.executable, environment)
            return
        write_processor(profile, folder / "board")
        _write_pythons(folder, [_qemu(profile), "-cpu", CPUS[profile.soc.core][1]])
        environment = for_another_processor(environment)
        environment |= {EMULATED: "1", "QEMU_LD_PREFIX": str(folder / "board")}
        yield Here(str(folder / "bin" / "python-here"), environment)


def for_another_processor(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment without the variables that choose kernels for this machine's processor."""
    return {name: value for name, value in environment.items() if name not in _KERNELS}


def _qemu(profile: DeviceProfile) -> str:
    if platform.machine() != "x86_64":
        raise BoardError(
            f"{profile.id} is emulated on x86_64, this machine is {platform.machine()}. Leave it out."
        )
    found = next(filter(None, map(shutil.which, _PROGRAMS)), None)
    if found is None:
        raise MissingDependencyError(
            f"{_PROGRAMS[0]} is not installed, which {profile.id} needs. Install QEMU: sudo apt-get install "
            "qemu-user"
        )
    return found


def _write_pythons(folder: Path, emulator: list[str]) -> None:
    """``bin/python3``, as a board has it, and ``bin/python-here``, which sees this Python's own packages.

    Programs that an emulated one starts are not emulated. Python takes its own name (`sys.executable`) from the
    first word of its command line, which is the script's, so that every Python that it starts is emulated as
    well, those of virtual environments too: they link to that name.
    """
    # Python looks for its library beside its name.
    version = "python{}.{}".format(*sys.version_info)
    for library in dict.fromkeys(("lib", sys.platlibdir)):
        real = Path(sys.base_prefix, library, version)
        if real.is_dir():
            (folder / library).mkdir()
            (folder / library / version).symlink_to(real)
    words = [*emulator, "-0"]
    real_python = str(Path(sys.executable).resolve())
    _program(folder / "bin" / "python3", [*words, _ITSELF, real_python])
    path = os.pathsep.join(search_path())
    _program(
        folder / "bin" / "python-here",
        ["env", f"PYTHONPATH={path}", "PYTHONDONTWRITEBYTECODE=1", *words, _ITSELF, real_python],
    )


_ITSELF = "\0"


def _program(path: Path, words: list[str]) -> None:
    """A script that becomes the program of `words`, with the words that it is given behind them."""
    spelt = " ".join('"$0"' if word == _ITSELF else shlex.quote(word) for word in words)
    path.write_text(f'#!/bin/sh\nexec {spelt} "$@"\n', "utf-8")
    path.chmod(0o755)


def write_processor(profile: DeviceProfile, folder: Path) -> None:
    """What the board's Linux would show, which QEMU opens in place of this machine's."""
    tree = folder / "proc" / "device-tree"
    tree.mkdir(parents=True)
    block = (
        f"vendor_id\t: GenuineIntel\nmodel name\t: {profile.soc.name}\n"
        f"flags\t\t: {CPUS[profile.soc.core][0]}\n"
    )
    text = "".join(f"processor\t: {i}\n{block}\n" for i in range(usable_cores()))
    (folder / "proc" / "cpuinfo").write_text(text, "utf-8")
    (tree / "model").write_bytes((profile.device_tree_model or profile.name).encode() + b"\0")
