"""What a board installs: wheels of its kind, fetched here by pip, so that the board needs no network."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit.boards.own_wheel import own_wheel
from edgekit.device import DeviceProfile
from edgekit.errors import BoardError, UsageError, one_line
from edgekit.files import atomic_folder, cache_folder
from edgekit.locks import locked
from edgekit.runtime.child import module_command

# glibc's second number, from the oldest that has a name of wheels on.
_FIRST = 17
_NUMPY = {64: "numpy>=1.26"}
_INTERPRETER = {64: "ai-edge-litert==2.3.0", 32: "tflite-runtime==2.14.0"}
_ONNX = "onnxruntime==1.32.0"
_LITERT, _TFLITE_RUNTIME = "ai-edge-litert", "tflite-runtime"


class NoWheelError(BoardError):
    """An interpreter that nobody built for a kind of board: nothing is wrong with the board."""


@dataclass(frozen=True)
class Target:
    """Where wheels are to be installed.

    Attributes:
        machine: of the userland, in ``uname -m`` terms.
        python: ``"3.11"``.
        glibc: its second number: 36 of glibc 2.36.
    """

    machine: str
    python: str
    glibc: int

    def __str__(self) -> str:
        return f"{self.machine}, Python {self.python}, glibc 2.{self.glibc}"

    @property
    def bits(self) -> int:
        return 64 if self.machine in ("aarch64", "x86_64") else 32

    @property
    def key(self) -> str:
        return f"{self.machine}-{self.python}-2.{self.glibc}"

    @property
    def platforms(self) -> list[str]:
        """The names of wheels that install there (PEP 600), the newest first."""
        names = [
            f"manylinux_2_{minor}_{self.machine}" for minor in range(self.glibc, _FIRST - 1, -1)
        ]
        return [*names, f"manylinux2014_{self.machine}", f"linux_{self.machine}"]


# Of Debian's releases, the glibc of each and its Python.
_DEBIAN = {"3.9": 31, "3.11": 36, "3.13": 41}


def target_of(profile: DeviceProfile, bits: int, python: str | None = None) -> Target:
    """Where a board's wheels are installed, going by its profile: its first userland of so many bits.

    Args:
        python: the board's own, such as ``"3.12"``; that of the userland if None.

    Raises:
        UsageError: it has no such userland, or none with one Python of Debian's.
    """
    machines = {64: ("aarch64", "x86_64"), 32: ("armv7l",)}[bits]
    for userland in profile.userlands:
        version = userland.python if python is None else python
        if userland.machine in machines and (python or version in _DEBIAN):
            return Target(userland.machine, version, _DEBIAN.get(version, _DEBIAN["3.9"]))
    which = "--bits 32 or 64" if python else "--python-version 3.11, and --bits 64 or 32"
    raise UsageError(
        f"{profile.id}: has no userland of {bits} bits that wheels are known for. Say which Python it has: {which}."
    )


def has_onnx(target: Target) -> bool:
    """Whether onnxruntime has a wheel for it."""
    return target.bits == 64


def requirements(target: Target, onnx: bool, interpreter: str | None = None) -> list[str]:
    """What is installed there beside edgekit. 32 bits: numpy is Debian's, for which there are no wheels.

    Args:
        interpreter: of TFLite files, ``"ai-edge-litert"`` or ``"tflite-runtime"``; the one for that target if None.

    Raises:
        BoardError: no interpreter, or not that one, has wheels for it.
    """
    if target.machine not in ("aarch64", "x86_64", "armv7l"):
        raise BoardError(
            f"no TFLite interpreter has a wheel for {target}: expected aarch64, x86_64 or armv7l."
        )
    old = target.python in ("3.9", "3.10", "3.11")
    if target.bits == 32:
        if interpreter == _LITERT:
            raise NoWheelError(f"{_LITERT} has no wheel for {target}: there are none for 32 bits.")
        if not old:
            raise NoWheelError(
                f"no TFLite interpreter has a wheel for {target}: on 32 bits they end with Python 3.11. Use "
                "Raspberry Pi OS 64-bit, or 32-bit of Debian 12."
            )
        if onnx:
            raise NoWheelError(
                f"onnxruntime has no wheel for {target}: leave .onnx files out, or use 64 bits."
            )
        return [_INTERPRETER[32]]
    if interpreter == _TFLITE_RUNTIME:
        if not old:
            raise NoWheelError(
                f"{_TFLITE_RUNTIME} has no wheel for {target}: they end with Python 3.11."
            )
        # It was built before numpy 2.
        return ["numpy>=1.26,<2", _INTERPRETER[32]]
    return [_NUMPY[64], _INTERPRETER[64], *([_ONNX] if onnx else [])]


def collect(
    target: Target,
    folder: Path,
    onnx: bool,
    tell: Callable[[str], None],
    interpreter: str | None = None,
) -> list[Path]:
    """All that a board needs, edgekit's own wheel too, in a new folder; see `requirements`.

    Raises:
        BoardError: something has no wheel for it, or pip cannot fetch it.
        OutputExistsError: see `edgekit.outputs.refuse_existing`, which the caller asks.
    """
    wanted = requirements(target, onnx, interpreter)
    tell(f"fetching wheels for {target}: {', '.join(wanted)}")
    with atomic_folder(folder) as new:
        _download(target, wanted, new)
        name, content = own_wheel()
        (new / name).write_bytes(content)
    return sorted(folder.glob("*.whl"))


def cached(
    target: Target, onnx: bool, tell: Callable[[str], None], interpreter: str | None = None
) -> list[Path]:
    """What `collect` fetches, from the user's cache where it was fetched before; without edgekit's own wheel.

    Raises:
        BoardError: see `collect`; or the user has no cache folder.
    """
    cache = cache_folder("wheels")
    if cache is None:
        raise BoardError(
            "no cache folder for wheels: neither XDG_CACHE_HOME nor HOME says where one may be. Fetch them "
            "with 'edgekit devices wheels', and name the folder: --wheels DIR"
        )
    cache.mkdir(parents=True, exist_ok=True)
    # What is requested is what the folder is named by: the same for all who ask for the same.
    own = requirements(target, onnx, interpreter) != requirements(target, onnx)
    folder = cache / f"{target.key}{f'-{interpreter}' if own else '-onnx' if onnx else ''}"
    with locked(cache / "lock"):
        if not folder.is_dir():
            collect(target, folder, onnx, tell, interpreter)
    return given(folder, target)


def _download(target: Target, wanted: Sequence[str], folder: Path) -> None:
    pip = _pip()
    abi = f"cp{target.python.replace('.', '')}"
    platforms = [word for name in target.platforms for word in ("--platform", name)]
    words = [
        *(*pip, "download", "--quiet", "--only-binary=:all:", "--dest", str(folder)),
        *("--implementation", "cp", "--python-version", target.python),
        *("--abi", abi, "--abi", "abi3", "--abi", "none", *platforms),
        # tflite-runtime needs numpy, which is there.
        *(["--no-deps"] if target.bits == 32 else []),
        *wanted,
    ]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True)
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace")
        errors = [line for line in said.splitlines() if line.startswith("ERROR")] or [said]
        if any("No matching distribution" in line or "no matching" in line for line in errors):
            raise BoardError(
                f"no wheel for {target}: {one_line(ValueError(errors[-1].removeprefix('ERROR: ')))}"
            )
        raise BoardError(f"pip cannot fetch wheels: {one_line(ValueError(errors[-1]))}")


def _pip() -> list[str]:
    """This Python's pip, or whichever is on the path."""
    for words in (module_command("pip", []), ["pip"], ["pip3"]):
        if shutil.which(words[0]) is None:
            continue
        if subprocess.run([*words, "--version"], capture_output=True).returncode == 0:
            return words
    raise BoardError(
        "pip is not installed here, and fetches the wheels. Install it: python3 -m ensurepip"
    )


def given(folder: Path, target: Target) -> list[Path]:
    """The wheels of a folder that install there, edgekit's own in place of another version of it.

    Raises:
        UsageError: there is no such folder, or no wheel in it.
    """
    found = sorted(folder.glob("*.whl")) if folder.is_dir() else []
    fitting = [path for path in found if fits(path.name, target)]
    if not fitting:
        raise UsageError(
            f"--wheels {folder}: received no wheel for {target}, expected those that "
            "'edgekit devices wheels' fetches."
        )
    return [path for path in fitting if not path.name.startswith("edgekit_keras-")]


def fits(name: str, target: Target) -> bool:
    """Whether a wheel of that name installs there: the tags of its name, as the format has them."""
    parts = name.removesuffix(".whl").split("-")
    if len(parts) < 5:
        return False
    pythons, abis, platforms = (part.split(".") for part in parts[-3:])
    version = target.python.replace(".", "")
    if not {"any", *target.platforms} & set(platforms):
        return False
    if f"cp{version}" in pythons and {f"cp{version}", "none", "abi3"} & set(abis):
        return True
    if "none" in abis and any(python in ("py3", f"py{version}") for python in pythons):
        return True
    minors = [p[3:] for p in pythons if p.startswith("cp3") and p[3:].isdigit()]
    return "abi3" in abis and any(int(minor) <= int(version[1:]) for minor in minors)
