"""Verify: try a model file where it can do no harm before this process loads it."""

from __future__ import annotations

import hashlib
import importlib
import json
import platform
import signal
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import edgekit
from edgekit.artifact import Artifact
from edgekit.errors import ArtifactError, UsageError
from edgekit.files import cache_folder, sha256_of
from edgekit.formats.tflite_check import tflite_fault
from edgekit.runtime.backends import module_of
from edgekit.runtime.causes import cause
from edgekit.runtime.child import Ended, run_in_child
from edgekit.runtime.limits import Limits
from edgekit.runtime.options import Options

# What interpreters and numpy say when memory is refused to them.
_OUT_OF_MEMORY = ("bad_alloc", "MemoryError", "Unable to allocate", "Failed to allocate memory")
_ADVICE = (
    "The file is damaged or hostile; it was not loaded. Get it anew or make it again; if you trust it "
    "as it is: verify=False (--no-verify)."
)
_TOO_MUCH = (
    "The file is too much for this machine, or hostile; it was not loaded. Get it anew or take a larger "
    "machine; if you trust it as it is, verify=False (--no-verify) sets no limits."
)
_REFUSED, _LATE, _WANTED = "was refused:", "did not finish", "wanted"
_GREEDY = (_LATE, _WANTED, "SIGKILL")
# Freed and fresh memory is filled with this byte: what reads memory that nobody wrote then meets
# absurd values in the trial, and not for the first time in the process that counts.
_ENVIRONMENT = {"MALLOC_PERTURB_": "165"}


# Runs `try_out` with these words, and stops it after so many seconds.
Trial = Callable[[list[str], float], Ended]


def _in_a_fresh_process(words: list[str], seconds: float) -> Ended:
    function = "edgekit.runtime.trial:try_out"
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
    on several shapes where the file has dynamic dimensions. What passes is remembered in the user's cache
    folder by the sha256 of the file and its external data, backend, versions, machine and options.

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
    version = importlib.import_module(module_of(backend).partition(".")[0]).__version__
    files = replace(artifact)
    words = (files.sha256, backend, version, f"edgekit-{edgekit.__version__}", platform.machine())
    # An external file that is not there, or may not be read, has no hash.
    whole = None not in files.external.values()
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
    limits = limits or Limits.of(files.size_bytes, options.threads)
    del data
    how = json.dumps(options.to_json())
    trial_words = [str(path), backend, how, str(limits.seconds), str(limits.memory_bytes)]
    ended = trial(trial_words, 2 * limits.seconds)
    refusal = _refusal(ended, limits)
    if refusal:
        known = cause(refusal) is not None and refusal.startswith(_REFUSED)
        advice = "It was not loaded." if known else _ADVICE
        if refusal.startswith(_GREEDY):
            advice = _TOO_MUCH
        raise ArtifactError(f"{path}: {refusal} (a trial on {backend} {version}). {advice}")
    if sha256_of(path) != sha256 or replace(artifact).sha256 != files.sha256:
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
    late = f"{_LATE} in {limits.seconds} s"
    greedy = f"{_WANTED} more than {limits.memory_bytes // 1_000_000} MB of memory"
    # Not every system has the signal.
    name = None if ended.code is None or ended.code >= 0 else _signal_name(-ended.code)
    if ended.code is None or name == "SIGXCPU":
        return late
    said = ended.err.strip()[-500:]
    if name:
        if any(word in said for word in _OUT_OF_MEMORY):
            return greedy
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
    if answer.get("usage"):
        raise UsageError(answer["usage"])
    return f"{_REFUSED} {refused}" if refused else None


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
