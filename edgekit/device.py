"""DeviceProfile: facts and defaults of a board, read from ``devices/*.toml``; and which board this is."""

from __future__ import annotations

import os
import platform
import re
import struct
from dataclasses import dataclass
from pathlib import Path

from edgekit.config import read_toml
from edgekit.errors import RecipeError, UsageError, check_type, nearest
from edgekit.files import existing

# Set in every session of an emulated board.
EMULATED = "EDGEKIT_EMULATED"
_OWN = ".toml"
# It becomes a host's and a folder's name.
_ID = re.compile(r"[a-z0-9][a-z0-9-]*")
_DEVICE_TREE_MODEL = Path("/proc/device-tree/model")


@dataclass(frozen=True)
class Soc:
    """The system on chip.

    Attributes:
        clock_mhz: the highest clock that the maker sets by default.
        architecture: of the instruction set, in Arm's or AMD's terms.
        dot_product: whether the core has 8-bit dot-product instructions; None where it varies.
    """

    name: str
    core: str
    architecture: str
    cores: int | None = None
    clock_mhz: int | None = None
    dot_product: bool | None = None


@dataclass(frozen=True)
class Userland:
    """What the board's usual operating system offers.

    Attributes:
        machine: as ``uname -m`` of that system says.
        python: the version it ships.
        interpreters: packages that install there from PyPI, the preferred one first.
        releases: the newest of each that was seen to install there, as ``"tflite-runtime==2.14.0"``.
    """

    name: str
    machine: str
    python: str
    interpreters: tuple[str, ...]
    releases: tuple[str, ...] = ()


@dataclass(frozen=True)
class RuntimeDefaults:
    """How files are run on the board unless told otherwise: see `edgekit.runtime.options.Options`."""

    threads: int = 1
    delegate: str | None = None


@dataclass(frozen=True)
class DeviceProfile:
    """Facts of one board. No measurements.

    Attributes:
        id: the file's name and the word that commands take.
        device_tree_model: how ``/proc/device-tree/model`` begins on the board.
        memory_mb: the sizes it is sold with.
        source: where the facts come from.
    """

    id: str
    name: str
    soc: Soc
    memory_mb: tuple[int, ...]
    userlands: tuple[Userland, ...]
    runtime: RuntimeDefaults
    source: str
    device_tree_model: str | None = None


def devices_folder() -> Path:
    """Where the profiles are: in the package, or beside it in a clone."""
    packaged = Path(__file__).parent / "_devices"
    return packaged if packaged.is_dir() else Path(__file__).parent.parent / "devices"


def _known() -> list[str]:
    return sorted(path.stem for path in devices_folder().glob("*.toml"))


def device_path(device: str | os.PathLike[str]) -> Path:
    """The profile's file: of a board that is known by its id, or the user's own by its path, which ends in ``.toml``.

    Raises:
        UsageError: no such device; names the nearest.
    """
    expected = "the id of a board, or the path of a profile of your own"
    check_type("device", device, (str, os.PathLike), expected)
    device = os.fspath(device)
    if device.endswith(_OWN):
        return existing(device, "device profile")
    known = _known()
    if device not in known:
        raise UsageError(
            f"device {device!r} is unknown, expected one of {', '.join(known)}, or the path of a profile of your own "
            f"({_OWN}).{nearest(device, known)}"
        )
    return devices_folder() / f"{device}{_OWN}"


def load_device(device: str | os.PathLike[str]) -> DeviceProfile:
    """The profile called `device`, or the user's own at that path.

    Raises:
        UsageError: no such device; names the nearest.
        RecipeError: the user's own is no profile.
    """
    path = device_path(device)
    profile = read_toml(path, DeviceProfile)
    if not _ID.fullmatch(profile.id):
        raise RecipeError(
            f"{path}: id: received {profile.id!r}, expected lower-case letters, digits and hyphens: 'my-board'."
        )
    return profile


def list_devices() -> list[DeviceProfile]:
    """All profiles, by id."""
    return [load_device(device) for device in _known()]


def detect_device(model: str | None = None) -> DeviceProfile:
    """The profile of the board this runs on, ``desktop`` where it is none of those known.

    Args:
        model: what the board calls itself; read from the device tree if None.
    """
    if model is None and _DEVICE_TREE_MODEL.exists():
        model = _DEVICE_TREE_MODEL.read_text("utf-8", errors="replace").rstrip("\0\n")
    matches = [
        profile
        for profile in list_devices()
        if profile.device_tree_model and (model or "").startswith(profile.device_tree_model)
    ]
    # "Raspberry Pi 3 Model B Plus" also begins like a "Raspberry Pi 3 Model B".
    best = max(matches, key=lambda profile: len(profile.device_tree_model or ""), default=None)
    return best or load_device("desktop")


def is_emulated() -> bool:
    """Whether this is a board that ``edgekit devices emulate`` made: its times say nothing of a real one."""
    return bool(os.environ.get(EMULATED))


def userland_machine() -> str:
    """The machine that this process's programs are built for, in ``uname -m`` terms.

    A 32-bit Raspberry Pi OS on a 64-bit kernel says ``aarch64``, or ``armv8l`` under ``linux32``; the size
    of a pointer does not lie.
    """
    machine = platform.machine()
    if struct.calcsize("P") == 4:
        return {"aarch64": "armv7l", "armv8l": "armv7l", "x86_64": "i686"}.get(machine, machine)
    return machine
