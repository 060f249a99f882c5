"""Backends: which interpreter runs which format, and a runner of the one that is installed."""

from __future__ import annotations

from importlib.util import find_spec

import edgekit
from edgekit.artifact import Artifact
from edgekit.errors import MissingDependencyError, UsageError, nearest, pip_install
from edgekit.runtime.options import Options
from edgekit.runtime.runner import Runner

# Which backend runs which format, the preferred one first:
# (name, module that brings its native code, module and class of its runner or a part of edgekit's,
# extra that brings it). The module's package, whose version is the backend's, must be there.
# Modules are named, not imported: loading a .tflite file must not pull in onnxruntime or Keras.
_TFLITE = "edgekit.runtime.tflite:TfliteRunner"
_KERAS = ("keras", "keras", "keras-runner", "export")
_BACKENDS = {
    "tflite": [
        ("litert", "ai_edge_litert.interpreter", _TFLITE, ""),
        ("tflite-runtime", "tflite_runtime.interpreter", _TFLITE, ""),
        ("tensorflow", "tensorflow", _TFLITE, "export"),
        (
            "litert-compiled",
            "ai_edge_litert.compiled_model",
            "edgekit.runtime.compiled:CompiledRunner",
            "",
        ),
    ],
    "onnx": [("onnxruntime", "onnxruntime", "edgekit.runtime.onnx:OnnxRunner", "onnx")],
    "keras": [_KERAS],
    "hdf5": [_KERAS],
    "savedmodel": [_KERAS],
    "object": [_KERAS],
}

BACKENDS = tuple(dict.fromkeys(name for rows in _BACKENDS.values() for name, *_ in rows))


def backend_of(artifact: Artifact, backend: str | None) -> str:
    """The backend that is to run a file: `backend`, or the first one installed if None.

    Raises:
        UsageError: `backend` does not run such files.
        MissingDependencyError: it, or every one that would, is not installed.
    """
    candidates = _BACKENDS[artifact.format]
    names = [name for name, *_ in candidates]
    if backend is not None and backend not in names:
        raise UsageError(
            f"backend {backend!r} does not run {artifact.format} files, expected one of "
            f"{', '.join(names)}.{nearest(backend, names)}"
        )
    for name, module, _, _ in candidates:
        if backend in (None, name) and find_spec(module.partition(".")[0]) is not None:
            return name
    extra = next(extra for name, _, _, extra in candidates if backend in (None, name))
    raise MissingDependencyError(
        f"{artifact.path}: no backend for {artifact.format} files is installed "
        f"(looked for {backend or ', '.join(names)}). Install one with: {pip_install(extra)}"
    )


def open_file(artifact: Artifact, backend: str, options: Options) -> Runner:
    """The runner of a file on a backend that `backend_of` gave, in a child process if it is isolated.

    Raises:
        ArtifactError: the backend cannot load the file.
    """
    if options.isolated:
        isolated: Runner = edgekit.part("isolated-runner")(artifact, backend, options)
        return isolated
    rows = {name: runner for name, _, runner, _ in _BACKENDS[artifact.format]}
    found: Runner = edgekit.part(rows[backend])(artifact, backend, options)
    return found


def module_of(backend: str) -> str:
    """The module whose import brings a backend's native code; its package has the version."""
    rows = (row for rows in _BACKENDS.values() for row in rows)
    return next(module for name, module, _, _ in rows if name == backend)
