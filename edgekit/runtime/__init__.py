"""The on-device library: load a model file, run it, time it. Needs numpy and an interpreter."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import edgekit
from edgekit.artifact import FORMATS, Artifact, HeldArtifact
from edgekit.errors import UsageError
from edgekit.runtime.backends import backend_of, open_file
from edgekit.runtime.options import Options
from edgekit.runtime.runner import Runner


def load(
    path: str | os.PathLike[str] | Any,
    *,
    backend: str | None = None,
    threads: int | None = None,
    delegate: str | None = None,
    delegate_options: Mapping[str, str] | None = None,
    device: str | os.PathLike[str] | None = None,
    weight_cache: bool = False,
    trust_code: bool = False,
    verify: bool = False,
    isolated: bool = False,
    deadline_s: float | None = None,
    imports: Sequence[str] = (),
    selftest: bool = False,
    key: str | os.PathLike[str] | None = None,
    identity: str | os.PathLike[str] | Callable[[], str] | None = None,
) -> Runner:
    """Load a model file, ready to run.

    Args:
        path: a ``.tflite``, ``.onnx``, ``.keras`` or ``.h5`` file, a SavedModel folder, a bundle that
            ``edgekit build`` made, of which the smallest file that something here runs is taken, or a Keras
            model object.
        backend: ``"litert"``, ``"litert-compiled"``, ``"tflite-runtime"``, ``"tensorflow"``,
            ``"onnxruntime"`` or ``"keras"``; the first one installed that runs the file if None.
            The runner's `backend` says which it is.
        threads: how many threads one inference may use; 1 if neither this nor `device` says.
        delegate, delegate_options: what runs operators in the interpreter's stead; see `Options`.
        device: a board's id, as ``edgekit devices list`` has them, or ``"detect"`` for the one this
            is: its profile gives threads and delegate where they are not given here.
        weight_cache: keep packed weights in the user's cache folder and map them from there, so
            that they are packed once and processes share them. For ``.tflite`` files on
            ``litert-compiled``, which is taken if `backend` is None.
        trust_code: let code that a Keras file holds (Lambda layers) run.
        verify: check the structure of a ``.tflite`` or ``.onnx`` file and try it in a sandboxed child
            process first; for files that may be damaged or hostile. What passed is remembered. Of a
            file with dynamic dimensions, a shape that was not tried is tried before it is run.
        isolated: open and run a ``.tflite`` or ``.onnx`` file in a sandboxed child process, which this
            one shares memory with; for files of others that run for long. What ends the child ends one
            inference: it raises `InferenceLostError`, and the next call starts another child, in
            which state that the file keeps begins anew. Needs Linux. Starting takes as long as starting
            Python with the interpreter; an inference, some tens of microseconds more.
        deadline_s: seconds that an isolated inference may take before it is ended; 10 if None.
        imports: Python files that define layers of a Keras model's own: they are run first. A program
            that has registered its classes needs none.
        selftest: of a bundle: ask its files what they promise, and take the fastest that keeps it here.
        key: of a bundle: the public key or certificate of who must have signed it, as `verify_bundle` takes it;
            hashes alone are checked if None.
        identity: of a sealed bundle: the file that holds the age identity which opens it; ``"keyring:NAME"`` of a
            key that the kernel holds; or a function that returns the identity's text; what
            ``EDGEKIT_IDENTITY`` holds if None. The model is decrypted into this process's memory alone.

    Raises:
        UsageError: nothing is at `path`, `backend` does not run such files, or an option that it
            cannot heed.
        BundleError: a bundle is not as it was made, or no file of it answers as promised.
        MissingDependencyError: the backend is not installed.
        UnsupportedError: `isolated` on a system that is not Linux.
        ArtifactError: the backend cannot load the file, or the trial failed.
    """
    held = isinstance(path, HeldArtifact)
    if not held and isinstance(path, (str, os.PathLike)) and _is_bundle(Path(path)):
        again = partial(
            load,
            backend=backend,
            threads=threads,
            delegate=delegate,
            delegate_options=delegate_options,
            device=device,
            weight_cache=weight_cache,
            verify=verify,
            isolated=isolated,
            deadline_s=deadline_s,
        )
        made: Runner = edgekit.part("bundle-runner")(
            Path(path),
            again,
            selftest=selftest,
            key=None if key is None else Path(key),
            identity=identity,
        )
        return made
    if selftest or key is not None or identity is not None:
        word = "selftest" if selftest else "identity" if key is None else "key"
        raise UsageError(
            f"{path}: is no bundle, and {word} is for one: a folder or archive that "
            "'edgekit build' made."
        )
    if isinstance(path, HeldArtifact):
        artifact: Artifact = path
    elif isinstance(path, (str, os.PathLike)):
        artifact = Artifact.of(path)
    else:
        artifact = edgekit.part("describe-object")(path)
    if device is not None:
        from edgekit.device import detect_device, load_device

        defaults = (detect_device() if device == "detect" else load_device(device)).runtime
        threads = defaults.threads if threads is None else threads
        delegate = defaults.delegate if delegate is None else delegate
    options = Options(
        1 if threads is None else threads,
        delegate,
        delegate_options or {},
        weight_cache,
        trust_code,
        imports,
        verify and artifact.format in FORMATS,
        isolated,
        deadline_s,
    )
    if isolated and artifact.format not in FORMATS:
        raise UsageError(
            f"{artifact.name}: isolated: received a {artifact.format} model, expected one of "
            f"{', '.join(FORMATS.values())}. Export it, or leave isolated out."
        )
    if held and (isolated or weight_cache):
        raise UsageError(
            f"{artifact.file}: is sealed, and "
            + (
                "isolated: a sealed file is opened in this process alone, expected False."
                if isolated
                else "weight_cache: packed weights would be written to a disk, expected False."
            )
        )
    if weight_cache and backend is None and artifact.format == "tflite":
        backend = "litert-compiled"
    backend = backend_of(artifact, backend)
    evidence = None
    if options.verify:
        module = importlib.import_module("edgekit.runtime.verify")
        evidence = module.verify(artifact, backend, options)
    runner = open_file(artifact, backend, options)
    runner.evidence = evidence
    return runner


def _is_bundle(path: Path) -> bool:
    """Whether a path leads to what ``edgekit build`` makes, by its look."""
    return path.is_file() if path.name.endswith(".tar.xz") else (path / "bundle.json").is_file()
