"""Verify: try a model file where it can do no harm before this process loads it."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import platform
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import edgekit
from edgekit.artifact import Artifact, HeldArtifact
from edgekit.errors import ArtifactError, UnsupportedError, UsageError
from edgekit.files import atomic, cache_folder, sha256_of
from edgekit.formats.tflite_check import tflite_fault
from edgekit.runtime.backends import module_of
from edgekit.runtime.causes import cause
from edgekit.runtime.evidence import Evidence
from edgekit.runtime.limits import Limits
from edgekit.runtime.options import OWN_KERNELS, Options
from edgekit.runtime.sandbox.ending import WANTED, death, greedy, signal_name, wants_memory
from edgekit.scratch import remove_abandoned

if TYPE_CHECKING:
    from edgekit.runtime.runner import Runner
    from edgekit.runtime.sandbox.run import Sandboxed

    # Runs `try_out` with these words.
    Trial = Callable[[list[str], Limits], Sandboxed]

_ADVICE = (
    "The file is damaged or hostile; it was not loaded. Get it anew or make it again; if you trust it "
    "as it is: verify=False (--no-verify)."
)
_TOO_MUCH = (
    "The file is too much for this machine, or hostile; it was not loaded. Get it anew or take a larger "
    "machine; if you trust it as it is, verify=False (--no-verify) sets no limits."
)
_REFUSED, _LATE = "was refused:", "did not finish"
_GREEDY = (_LATE, WANTED, "SIGKILL")
# Freed and fresh memory is filled with this byte: what reads memory that nobody wrote then meets
# absurd values in the trial, and not for the first time in the process that counts.
_ENVIRONMENT = {"MALLOC_PERTURB_": "165"}


# What JSON of another kind than was expected raises.
_MALFORMED = (ValueError, KeyError, TypeError, AttributeError)


def verify(
    artifact: Artifact,
    backend: str,
    options: Options,
    *,
    limits: Limits | None = None,
    asked: tuple[str | None, Mapping[str, Sequence[int]]] | None = None,
    trial: Trial | None = None,
) -> Evidence:
    """Check the file's structure, then load and run it in a sandboxed child process.

    The child runs it on zeros, ones, random values, large ones, the extremes of its dtypes, NaN and
    infinities, and in several shapes where the file has dynamic dimensions. It passes with evidence alone: shapes
    that it ran in, with finite values, within its limits. A file with dynamic dimensions and takes none of the
    shapes that were tried has none; a runner then asks about its own (`verify_shapes`). Evidence is
    remembered in the user's cache folder by the sha256 of the file and its external data, backend, versions,
    machine and options.

    The bytes are read once for check and hash, and hashed again after the trial. Whoever can write
    to the file between this and its load, or while it is mapped, can still put another in its
    place (a race between check and use): keep files where only you can write. A file that behaves
    differently from run to run may pass; for files of an enemy keep the whole program in a sandbox.

    Args:
        artifact: a ``.tflite`` or ``.onnx`` file.
        backend: the backend that will load it, as in `edgekit.load`.
        options: how it will be run.
        limits: what the trial may take; `Limits.of` the file's size if None.
        asked: signature and shapes to try alone.
        trial: what runs the trial.

    Raises:
        ArtifactError: the file is malformed, cannot be loaded or run, crashed the child,
            or wanted more time or memory than `limits` give.
    """
    path = artifact.path
    source = artifact.source
    data = source if isinstance(source, bytes) else _content(source)
    sha256 = hashlib.sha256(data).hexdigest()
    version = importlib.import_module(module_of(backend).partition(".")[0]).__version__
    files = replace(artifact)
    words = (files.sha256, backend, version, f"edgekit-{edgekit.__version__}", platform.machine())
    # Packed weights are written, which a trial may not.
    alone = replace(options, verify=False, weight_cache=False, isolated=False, deadline_s=None)
    how = json.dumps(alone.to_json())
    question = json.dumps(asked)
    asking = hashlib.sha256(f"{how} {question}".encode()).hexdigest()[:16]
    # An external file that is not there, or may not be read, has no hash.
    whole = None not in files.external.values()
    folder = cache_folder("verified") if whole else None
    marker = folder / "-".join((*words, asking)) if folder is not None else None
    known = _remembered(marker)
    if known is not None:
        if folder is not None:
            # One that was killed when it had remembered.
            remove_abandoned(folder)
        return known
    fault = tflite_fault(data) if artifact.format == "tflite" else None
    if not data or fault:
        raise ArtifactError(
            f"{path}: not a whole {artifact.format} file: {fault or 'it is empty'}. Get it anew or "
            "make it again; it was not loaded."
        )
    limits = limits or Limits.of(files.size_bytes, options.threads)
    del data
    trial = trial or _sandboxed(files, backend, options)
    done = trial([str(path), backend, how, question], limits)
    refusal = _refusal(done, limits)
    if refusal:
        known_cause = cause(refusal) is not None and refusal.startswith(_REFUSED)
        advice = "It was not loaded." if known_cause else _ADVICE
        if refusal.startswith(_GREEDY):
            advice = _TOO_MUCH
        at = "" if asked is None else f" with inputs of {_shown(asked[1])}"
        raise ArtifactError(
            f"{path}: {refusal.rstrip('.')} (a trial on {backend} {version}{at}). {advice}"
        )
    if isinstance(source, Path) and (
        sha256_of(source) != sha256 or replace(artifact).sha256 != files.sha256
    ):
        raise ArtifactError(f"{path}: changed while it was being verified. Load it again.")
    evidence = _evidence(done)
    if marker is not None and evidence.ran:
        # Read-only and full disks are no reason not to load: the trial is made again next time.
        with suppress(OSError):
            marker.parent.mkdir(parents=True, exist_ok=True)
            with atomic(marker) as fresh:
                fresh.write_text(json.dumps(evidence.to_json()), "utf-8")
    return evidence


def verify_shapes(runner: Runner, shapes: Sequence[tuple[int, ...]]) -> None:
    """Have a child run shapes of a runner's inputs, in their order, if none has.

    Raises:
        ArtifactError: as `verify`.
    """
    options, backend = runner.options, runner.backend.name
    named = {spec.name: shape for spec, shape in zip(runner.inputs, shapes)}
    given = (runner.signature, named)
    if given in verify(runner.artifact, backend, options).ran:
        return
    input_bytes = sum(
        prod(shape) * np.dtype(spec.dtype).itemsize for spec, shape in zip(runner.inputs, shapes)
    )
    limits = Limits.of(replace(runner.artifact).size_bytes, options.threads, input_bytes)
    verify(runner.artifact, backend, options, limits=limits, asked=given)


def _sandboxed(artifact: Artifact, backend: str, options: Options) -> Trial:
    # A file that is remembered starts no process.
    from edgekit.runtime.sandbox.run import run_sandboxed

    held = artifact.content if isinstance(artifact, HeldArtifact) else None
    reads = [] if held is not None else [artifact.path, *filter(None, artifact.external.values())]
    # A delegate is the caller's own code, and opens its accelerator.
    confined = options.delegate in OWN_KERNELS

    def trial(words: list[str], limits: Limits) -> Sandboxed:
        with _in_memory(held) as descriptors:
            return run_sandboxed(
                "edgekit.runtime.trial:try_out",
                [*words, *map(str, descriptors)],
                reads=reads,
                limits=limits,
                imports=[module_of(backend)],
                environment=_ENVIRONMENT,
                confined=confined,
                pass_fds=descriptors,
            )

    return trial


@contextmanager
def _in_memory(content: bytes | None) -> Iterator[tuple[int, ...]]:
    """A descriptor from which a child reads content that no disk may hold; none where there is no such content."""
    if content is None:
        yield ()
        return
    if not hasattr(os, "memfd_create"):
        raise UnsupportedError(
            f"verify: on {platform.system()} a sealed file cannot be tried in a child process, for there is no file "
            "in memory that both could read. Load it with verify=False."
        )
    with os.fdopen(os.memfd_create("edgekit"), "w+b") as file:
        file.write(content)
        file.flush()
        file.seek(0)
        yield (file.fileno(),)


def _remembered(marker: Path | None) -> Evidence | None:
    """The evidence that a file of the cache holds; None where it holds none."""
    try:
        return Evidence.of_json(json.loads(marker.read_bytes())) if marker is not None else None
    except (OSError, *_MALFORMED):
        return None


def _evidence(done: Sandboxed) -> Evidence:
    assert done.sandbox is not None, "it answered"
    return Evidence.of_json({**done.answer, "sandbox": done.sandbox.to_json()})


def _shown(shapes: Mapping[str, Sequence[int]]) -> str:
    return ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())


def _content(path: Path) -> bytes:
    try:
        # A pipe or a device would never end.
        if not stat.S_ISREG(path.stat().st_mode):
            raise ArtifactError(f"{path}: not a regular file. Expected a model file.")
        return path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read: {error.strerror}.") from error


def _refusal(done: Sandboxed, limits: Limits) -> str | None:
    """Why the trial failed, in words; None if it passed."""
    ended = done.ended
    late = f"{_LATE} in {limits.seconds} s"
    # Not every system has the signal.
    if ended.code is None or signal_name(-ended.code) == "SIGXCPU":
        return late
    said = ended.err
    if ended.code < 0:
        return death(ended.code, said, limits.memory_bytes)[1]
    try:
        refused = done.answer["refused"]
        if refused is None:
            _evidence(done)
    except _MALFORMED:
        return death(ended.code, said, limits.memory_bytes)[1]
    if refused and wants_memory(refused):
        return greedy(limits.memory_bytes)
    if done.answer.get("usage"):
        raise UsageError(done.answer["usage"])
    return f"{_REFUSED} {refused}" if refused else None
