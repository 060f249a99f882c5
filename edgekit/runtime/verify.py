"""Verify: try a model file where it can do no harm before this process loads it."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import platform
import resource
import signal
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import edgekit
from edgekit.artifact import Artifact
from edgekit.errors import ArtifactError, EdgekitError
from edgekit.files import cache_folder, sha256_of
from edgekit.formats.tflite_check import tflite_fault
from edgekit.runtime.child import Ended, run_in_child
from edgekit.runtime.options import Options
from edgekit.runtime.runner import Runner
from edgekit.tensor import TensorSpec

# Backend: the package whose import brings its native code, and where its version stands.
_PACKAGES = {
    "litert": ("ai_edge_litert.interpreter", "ai_edge_litert"),
    "litert-compiled": ("ai_edge_litert.compiled_model", "ai_edge_litert"),
    "tflite-runtime": ("tflite_runtime.interpreter", "tflite_runtime"),
    "tensorflow": ("tensorflow", "tensorflow"),
    "onnxruntime": ("onnxruntime", "onnxruntime"),
}
# What interpreters and numpy say when memory is refused to them.
_OUT_OF_MEMORY = ("bad_alloc", "MemoryError", "Unable to allocate", "Failed to allocate memory")
_ADVICE = (
    "The file is damaged, hostile, or too much for this machine; it was not loaded. Get it anew or "
    "make it again; if you trust it as it is: verify=False (--no-verify)."
)
# Freed and fresh memory is filled with this byte: what reads memory that nobody wrote then meets
# absurd values in the trial, and not for the first time in the process that counts.
_ENVIRONMENT = {"MALLOC_PERTURB_": "165"}


@dataclass(frozen=True)
class Limits:
    """What a trial may take.

    Attributes:
        seconds: of processor time; of wall time, twice as much.
        memory_bytes: of address space, beyond what the interpreter takes without a model.
    """

    seconds: int
    memory_bytes: int

    @classmethod
    def of(cls, size_bytes: int, threads: int = 1) -> Limits:
        """What a file of this size may take: 30 s and 1 GiB or more, no more than the machine has."""
        machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        # Each thread reserves a stack and a heap of its own, most of which it never touches.
        memory = max(1 << 30, 16 * size_bytes) + (threads - 1) * (80 << 20)
        return cls(30 + 2 * size_bytes // 1_000_000, min(memory, machine))


# Runs `try_out` with these words, and stops it after so many seconds.
Trial = Callable[[list[str], float], Ended]


def _in_a_fresh_process(words: list[str], seconds: float) -> Ended:
    function = "edgekit.runtime.verify:try_out"
    return run_in_child(function, words, seconds=seconds, environment=_ENVIRONMENT)


def verify(
    artifact: Artifact,
    backend: str,
    options: Options,
    *,
    limits: Limits | None = None,
    trial: Trial = _in_a_fresh_process,
) -> None:
    """Check the file's structure, then load and run it in a child process with limited resources.

    The child runs it on zeros, random values, the extremes of its dtypes, NaN and infinities, and
    on several shapes where the file leaves them open. What passes is remembered in the user's cache
    folder by the bytes' sha256, backend, versions, machine and options.

    The bytes are read once for check and hash, and hashed again after the trial. Whoever can write
    to the file between this and its load, or while it is mapped, can still put another in its
    place (a race between check and use): keep files where only you can write. A file that behaves
    differently from run to run may pass; for files of an enemy keep the whole program in a sandbox.

    Args:
        artifact: a ``.tflite`` or ``.onnx`` file.
        backend: the backend that will load it, as in `edgekit.load`.
        options: how it will be run.
        limits: what the trial may take; `Limits.of` the file's size if None.
        trial: what runs the trial.

    Raises:
        ArtifactError: the file is malformed, cannot be loaded or run, crashed the child,
            or wanted more time or memory than `limits` give.
    """
    path = artifact.path
    data = _content(path)
    sha256 = hashlib.sha256(data).hexdigest()
    version = importlib.import_module(_PACKAGES[backend][1]).__version__
    words = (sha256, backend, version, f"edgekit-{edgekit.__version__}", platform.machine())
    # Weights may lie in other files beside an .onnx file, and no hash of ours covers them.
    whole = artifact.format != "onnx" or b"location" not in data
    run_how = hashlib.sha256(json.dumps(options.to_json()).encode()).hexdigest()[:16]
    folder = cache_folder("verified") if whole else None
    # An empty file that says that the trial passed.
    marker = folder / "-".join((*words, run_how)) if folder is not None else None
    if marker is not None and marker.exists():
        return
    fault = tflite_fault(data) if artifact.format == "tflite" else None
    if not data or fault:
        raise ArtifactError(
            f"{path}: not a whole {artifact.format} file: {fault or 'it is empty'}. Get it anew or "
            "make it again; it was not loaded."
        )
    limits = limits or Limits.of(len(data), options.threads)
    del data
    how = json.dumps(options.to_json())
    trial_words = [str(path), backend, how, str(limits.seconds), str(limits.memory_bytes)]
    ended = trial(trial_words, 2 * limits.seconds)
    refusal = _refusal(ended, limits)
    if refusal:
        raise ArtifactError(f"{path}: {refusal} (a trial on {backend} {version}). {_ADVICE}")
    if sha256_of(path) != sha256:
        raise ArtifactError(f"{path}: changed while it was being verified. Load it again.")
    if marker is not None:
        # Read-only and full disks are no reason not to load: the trial is made again next time.
        with suppress(OSError):
            marker.parent.mkdir(parents=True, exist_ok=True)
            marker.touch()


def _content(path: Path) -> bytes:
    try:
        # A pipe or a device would never end.
        if not stat.S_ISREG(path.stat().st_mode):
            raise ArtifactError(f"{path}: not a regular file. Expected a model file.")
        return path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read: {error.strerror}.") from error


def _refusal(ended: Ended, limits: Limits) -> str | None:
    """Why the trial failed, in words; None if it passed."""
    late = f"did not finish in {limits.seconds} s"
    greedy = f"wanted more than {limits.memory_bytes // 1_000_000} MB of memory"
    if ended.code is None or ended.code == -signal.SIGXCPU:
        return late
    said = ended.err.strip()[-500:]
    if ended.code < 0:
        if any(word in said for word in _OUT_OF_MEMORY):
            return greedy
        try:
            name = signal.Signals(-ended.code).name
        except ValueError:
            name = f"signal {-ended.code}"
        if name == "SIGKILL":
            return (
                f"{name} ended the interpreter, most likely because the machine ran out of memory"
            )
        return f"crashed the interpreter with {name}"
    lines = ended.out.splitlines()
    try:
        answer = json.loads(lines[-1])
        refused = answer["refused"]
    except (IndexError, ValueError, TypeError, KeyError):
        return f"ended the interpreter with code {ended.code}: {said}"
    if ended.code:
        return f"ended the interpreter with code {ended.code}: {said}"
    if refused and any(word in refused for word in _OUT_OF_MEMORY):
        return greedy
    return f"was refused: {refused}" if refused else None


def try_out(path: str, backend: str, options: str, seconds: str, memory: str) -> dict[str, Any]:
    """The trial itself, in the child: ``{"refused": None}`` or the reason."""
    from edgekit.runtime import load

    importlib.import_module(_PACKAGES[backend][0])
    _limit(int(seconds), int(memory))
    try:
        with load(path, backend=backend, **json.loads(options)) as runner:
            for each in [runner.with_signature(name) for name in runner.signatures] or [runner]:
                exercise(each)
    except EdgekitError as error:
        # As it was raised, without the path, which the parent names.
        return {"refused": str(error).removeprefix(f"{path}: ")}
    # Whatever it is, the parent would have met it untyped.
    except Exception as error:
        return {"refused": f"{type(error).__name__}: {error}"}
    return {"refused": None}


def _limit(seconds: int, memory_bytes: int) -> None:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    space = pages * resource.getpagesize() + memory_bytes
    for kind, most, grace in (
        (resource.RLIMIT_CORE, 0, 0),
        # SIGXCPU comes at the soft limit and says what happened; SIGKILL would not.
        (resource.RLIMIT_CPU, seconds, 5),
        (resource.RLIMIT_AS, space, 0),
    ):
        allowed = resource.getrlimit(kind)[1]
        if allowed == resource.RLIM_INFINITY:
            allowed = most + grace
        resource.setrlimit(kind, (min(most, allowed), min(most + grace, allowed)))


def exercise(runner: Runner) -> None:
    """Run a file on all that may upset it: what it does to zeros it need not do to other indices.

    Raises:
        EdgekitError: zeros were refused, though the file leaves no axis open. Other values may
            be refused: the runner says so to its user as well.
    """
    open_axes = any(None in spec.shape for spec in runner.inputs)
    for sizes in ((1, 1), (3, 8), (2, 64)) if open_axes else ((1, 1),):
        for number, raw in enumerate(_trial_inputs(runner, sizes)):
            try:
                if number == 0:
                    runner.infer({name: _real(x) for name, x in raw.items()})
                runner.infer_raw(raw)
            except EdgekitError:
                if number == 0 and not open_axes:
                    raise
    # Once more, after all that it has been through.
    with suppress(EdgekitError):
        runner.infer_raw(next(_trial_inputs(runner, (1, 1))))


def _real(x: NDArray[Any]) -> NDArray[Any]:
    return x.astype(np.float32) if x.dtype.kind == "f" else x


def _trial_inputs(runner: Runner, sizes: tuple[int, int]) -> Iterator[dict[str, NDArray[Any]]]:
    rng = np.random.default_rng(0)
    for kind in ("zeros", "small", "any", "lowest", "highest", "odd"):
        yield {spec.name: _values(spec, kind, sizes, rng) for spec in runner.inputs}


def _values(
    spec: TensorSpec, kind: str, sizes: tuple[int, int], rng: np.random.Generator
) -> NDArray[Any]:
    shape = tuple(sizes[min(axis, 1)] if n is None else n for axis, n in enumerate(spec.shape))
    dtype = np.dtype(spec.dtype)
    if dtype.kind == "O":
        return np.full(shape, {"zeros": "", "any": "\U0001f600" * 64}.get(kind, "1"), object)
    if kind == "zeros" or dtype.kind not in "biuf":
        return np.zeros(shape, dtype)
    if dtype.kind == "b":
        return rng.random(shape) < {"lowest": 0, "highest": 1}.get(kind, 0.5)
    if dtype.kind == "f":
        info = np.finfo(dtype)
        extremes = {"lowest": info.min, "highest": info.max}
        if kind in extremes:
            return np.full(shape, extremes[kind], dtype)
        if kind == "odd":
            return rng.choice(np.array([np.nan, np.inf, -np.inf, -1, info.tiny]), shape).astype(
                dtype
            )
        return (rng.standard_normal(shape) * (1 if kind == "small" else 1e4)).astype(dtype)
    whole = np.iinfo(dtype)
    extremes = {"lowest": whole.min, "highest": whole.max}
    if kind in extremes:
        return np.full(shape, extremes[kind], dtype)
    low, high = {"small": (0, 16), "odd": (-2, 2)}.get(kind, (whole.min, whole.max))
    return rng.integers(max(low, whole.min), high, shape, dtype, endpoint=True)
