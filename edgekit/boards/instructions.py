"""Instructions an inference on an emulated processor: a gauge of change where times mean nothing.

QEMU counts what the emulated program executes (`counter.c`, compiled on first use), the interpreter's kernels and
edgekit's own work around them alike. The same file gives the same count, but for what the addresses that memory gets do
to Python's hash tables: hundreds of instructions, now and then. It is no time: instructions take unequally long, and
memory is not seen.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from itertools import pairwise
from pathlib import Path

from edgekit import document
from edgekit.artifact import Artifact
from edgekit.boards.cores import qemu_cpu, write_board
from edgekit.boards.counted import MARKS, MEASURED
from edgekit.boards.deploy import board_folder
from edgekit.boards.here import CPUS, is_x86, write_processor
from edgekit.boards.outcome import BoardRun
from edgekit.boards.own_wheel import own_wheel
from edgekit.boards.userland import Userland, made
from edgekit.boards.wheels import cached, given, target_of
from edgekit.device import EMULATED, DeviceProfile
from edgekit.errors import BoardError, EdgekitError, MissingDependencyError
from edgekit.files import atomic, cache_folder
from edgekit.runtime.child import search_path
from edgekit.runtime.instructions import FileInstructions, Instructions
from edgekit.runtime.runner import Backend
from edgekit.scratch import scratch_folder

_QEMU = {64: "qemu-aarch64", 32: "qemu-arm"}
_QEMU_X86 = "qemu-x86_64"
# Python and an interpreter are imported in ten seconds; a large network takes minutes.
_PATIENCE_S = 1800.0
# One thread, and hash tables alike in each run.
_ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PATH": "/usr/bin:/bin",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",
    EMULATED: "1",
}


@dataclass(frozen=True)
class Emulation:
    """A processor to count on, and what runs there.

    Attributes:
        profile: of the board whose processor is emulated.
        userland: what runs on it; an x86 processor runs this machine's own.
        archive: the address of a Debian archive; this machine's own if None.
        wheels: a folder of wheels for it; fetched by pip if None.
    """

    profile: DeviceProfile
    userland: Userland
    archive: str | None = None
    wheels: Path | None = None


@dataclass(frozen=True)
class _Processor:
    """How a Python with edgekit is run on it: QEMU's words, the core's name, the Python, and its variables."""

    qemu: tuple[str, ...]
    core: str
    python: str
    version: str
    environment: dict[str, str]


def count_instructions(
    files: Sequence[Path], where: Emulation, tell: Callable[[str], None] = lambda _: None
) -> Instructions:
    """Count what files take, one after the other, each in a process of its own and with one thread.

    Raises:
        UsageError: a board that cannot be emulated, or no archive is known.
        BoardError: QEMU does not take the plugin, or something cannot be fetched.
        MissingDependencyError: QEMU or a C compiler is not installed.
    """
    profile, bits = where.profile, where.userland.bits
    with scratch_folder() as (folder, _):
        plugin = _plugin(folder)
        onnx = any(file.suffix == ".onnx" for file in files)
        if is_x86(profile):
            processor, bits = _x86(profile, folder), 64
        else:
            processor = _arm(where, onnx, folder, tell)
        counted = []
        for file in files:
            tell(f"{profile.id}: counting the instructions of {file.name}")
            counted.append(_counted(file, processor, plugin, folder / "counts"))
    return Instructions(profile.id, processor.core, bits, processor.version, tuple(counted))


def count_beside(
    runs: Sequence[BoardRun],
    emulated: Mapping[str, Emulation],
    files: Sequence[Path],
    out: Path,
    tell: Callable[[str], None],
) -> list[BoardRun]:
    """Beside the times of emulated boards, which mean nothing, what the files execute there.

    What cannot be counted is told, and takes nothing from what was fetched.

    Args:
        emulated: of `runs` those that are, by host.
        out: what was fetched lies in folders of it; ``instructions.json`` goes beside.
    """
    found = []
    for run in runs:
        timed = any(Path(path).name.startswith("bench") for path in run.documents)
        if timed and run.host in emulated:
            path = out / board_folder(run.host) / "instructions.json"
            try:
                document.write(path, count_instructions(files, emulated[run.host], tell).to_json())
                run = replace(run, documents=tuple(sorted((*run.documents, str(path)))))
            except EdgekitError as error:
                tell(f"warning: {run.host}: instructions are not counted: {error}")
        found.append(run)
    return found


def _plugin(folder: Path) -> Path:
    """The compiled plugin, from the user's cache where it is there."""
    source = resources.files("edgekit.boards").joinpath("counter.c").read_bytes()
    cache = cache_folder("boards") or folder
    path = cache / f"counter-{hashlib.sha256(source).hexdigest()[:12]}.so"
    if path.exists():
        return path
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if compiler is None:
        raise MissingDependencyError(
            "no C compiler is installed, which makes QEMU's plugin on first use. Install one: sudo apt-get install gcc"
        )
    cache.mkdir(parents=True, exist_ok=True)
    (folder / "counter.c").write_bytes(source)
    with atomic(path) as new:
        words = [compiler, "-O2", "-fPIC", "-shared", "-o", str(new), str(folder / "counter.c")]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BoardError(
                f"{compiler} cannot compile QEMU's plugin: {done.stderr.strip()[-300:]}"
            )
    return path


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise MissingDependencyError(
            f"{name} is not installed, which counts instructions. Install QEMU: sudo apt-get install qemu-user"
        )
    return found


def _x86(profile: DeviceProfile, folder: Path) -> _Processor:
    board = folder / "board"
    write_processor(profile, board)
    qemu = (_program(_QEMU_X86), "-cpu", CPUS[profile.soc.core][1], "-L", str(board))
    path = os.pathsep.join(search_path())
    home = {"HOME": str(folder), "TMPDIR": str(folder), "PYTHONPATH": path}
    version = "{}.{}".format(*sys.version_info)
    return _Processor(qemu, profile.soc.core, sys.executable, version, {**_ENVIRONMENT, **home})


def _arm(where: Emulation, onnx: bool, folder: Path, tell: Callable[[str], None]) -> _Processor:
    profile, userland = where.profile, where.userland
    cpu, qemu = qemu_cpu(profile, userland.bits), _program(_QEMU[userland.bits])
    target = target_of(profile, userland.bits, userland.python)
    wheels = cached(target, onnx, tell) if where.wheels is None else given(where.wheels, target)
    root, _ = made(userland, where.archive, tell)
    site = folder / "site"
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive_of_wheel:
            archive_of_wheel.extractall(site)
    name, content = own_wheel()
    (folder / name).write_bytes(content)
    with zipfile.ZipFile(folder / name) as own:
        own.extractall(site)
    # QEMU looks for each absolute path below this folder first: the userland's, but for what its kernel would show.
    prefix = folder / "prefix"
    write_board(profile, userland.bits, prefix)
    for each in root.iterdir():
        if not (prefix / each.name).exists():
            (prefix / each.name).symlink_to(each)
    words = (qemu, "-cpu", cpu, "-L", str(prefix))
    home = {"HOME": str(folder), "TMPDIR": str(folder), "PYTHONPATH": str(site)}
    python = str(root / "usr" / "bin" / f"python{userland.python}")
    return _Processor(words, cpu, python, userland.python, {**_ENVIRONMENT, **home})


def _counted(file: Path, processor: _Processor, plugin: Path, counts: Path) -> FileInstructions:
    artifact = Artifact.of(file).recorded()
    counts.unlink(missing_ok=True)
    # Memory lies at the same addresses each time, where the system lets a user say so.
    setarch = shutil.which("setarch")
    command = [
        *((setarch, "-R") if setarch else ()),
        *(*processor.qemu, "-plugin", f"{plugin},out={counts}"),
        *(processor.python, "-m", "edgekit.boards.counted", str(file.resolve())),
    ]
    try:
        done = subprocess.run(
            command,
            # Its current folder is where modules are looked for first.
            cwd=counts.parent,
            env=processor.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=_PATIENCE_S,
        )
    except subprocess.TimeoutExpired:
        raise BoardError(
            f"{file}: QEMU gave no answer within {_PATIENCE_S:.0f} s. Leave the file out."
        ) from None
    if not counts.exists():
        raise BoardError(
            f"{processor.qemu[0]} does not take a plugin: {_last(done.stderr)}. It has to be a dynamic QEMU of version 5 or later."
        )
    said = done.stdout.strip().splitlines()
    if done.returncode or not said:
        return FileInstructions(artifact, _end(done.returncode, done.stderr))
    ended = json.loads(said[-1])
    if ended["failed"]:
        return FileInstructions(artifact, ended["failed"])
    marks = [int(line) for line in counts.read_text("ascii").split()]
    assert len(marks) == MARKS, marks
    steps = [after - before for before, after in pairwise(marks)]
    infer = statistics.median_low(steps[-MEASURED:])
    return FileInstructions(artifact, None, Backend(*ended["backend"]), steps[0], steps[1], infer)


def _end(code: int, said: str) -> str:
    if code < 0:
        return f"died by {signal.Signals(-code).name}"
    return _last(said) or f"exit code {code}"


def _last(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1]
