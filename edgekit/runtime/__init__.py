"""The on-device library: load a model file, run it, time it. Needs numpy and an interpreter."""

from __future__ import annotations

import importlib
import os
from importlib.util import find_spec

from edgekit.artifact import FORMATS, Artifact
from edgekit.errors import MissingDependencyError, UsageError, nearest
from edgekit.runtime.runner import Runner, check_threads

# Which backend runs which format, the preferred one first:
# (name, package that must be there, module and class of its runner, extra that brings it).
# Modules are named, not imported: loading a .tflite file must not pull in onnxruntime or Keras.
_TFLITE = "edgekit.runtime.tflite:TfliteRunner"
_KERAS = ("keras", "keras", "edgekit.models.runner:KerasRunner", "export")
_BACKENDS = {
    "tflite": [
        ("litert", "ai_edge_litert", _TFLITE, ""),
        ("tflite-runtime", "tflite_runtime", _TFLITE, ""),
        ("tensorflow", "tensorflow", _TFLITE, "export"),
    ],
    "onnx": [("onnxruntime", "onnxruntime", "edgekit.runtime.onnx:OnnxRunner", "onnx")],
    "keras": [_KERAS],
    "hdf5": [_KERAS],
    "savedmodel": [_KERAS],
}


def load(
    path: str | os.PathLike[str],
    *,
    backend: str | None = None,
    threads: int | None = None,
    trust_code: bool = False,
    verify: bool = False,
) -> Runner:
    """Load a model file, ready to run.

    Args:
        path: a ``.tflite``, ``.onnx``, ``.keras`` or ``.h5`` file, or a SavedModel folder.
        backend: ``"litert"``, ``"tflite-runtime"``, ``"tensorflow"``, ``"onnxruntime"`` or
            ``"keras"``; the first one installed that runs the file if None. The runner's
            `backend` says which it is.
        threads: how many threads one inference may use; 1 if None.
        trust_code: let code that a Keras file holds (Lambda layers) run.
        verify: check the structure of a ``.tflite`` or ``.onnx`` file and try it in a child
            process first; for files that may be damaged or hostile. What passed is remembered.

    Raises:
        UsageError: nothing is at `path`, or `backend` does not run such files.
        MissingDependencyError: the backend is not installed.
        ArtifactError: the backend cannot load the file, or the trial failed.
    """
    artifact = Artifact.of(path)
    threads = check_threads(1 if threads is None else threads)
    candidates = _BACKENDS[artifact.format]
    names = [name for name, *_ in candidates]
    if backend is not None and backend not in names:
        raise UsageError(
            f"backend {backend!r} does not run {artifact.format} files, expected one of "
            f"{', '.join(names)}.{nearest(backend, names)}"
        )
    for name, package, runner, _ in candidates:
        if backend in (None, name) and find_spec(package) is not None:
            if verify and artifact.format in FORMATS:
                importlib.import_module("edgekit.runtime.verify").verify(artifact, name, threads)
            module, cls = runner.split(":")
            make = getattr(importlib.import_module(module), cls)
            found: Runner = make(artifact, threads, name, trust_code)
            return found
    extra = next(extra for name, _, _, extra in candidates if backend in (None, name))
    what = f"edgekit[{extra}]" if extra else "edgekit"
    raise MissingDependencyError(
        f"{artifact.path}: no backend for {artifact.format} files is installed "
        f"(looked for {backend or ', '.join(names)}). Install one with: pip install '{what}'"
    )
