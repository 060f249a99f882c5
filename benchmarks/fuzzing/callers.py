"""The processes that stand for a calling program. They read a path a line and answer in JSON."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fuzzing import said, saved_model
from fuzzing.forked import forked

TRIAL_SECONDS = 5
# Twice what data of others may unpack to.
MOST_MEGABYTES = 2048


def _serve(answer: Callable[[str], dict[str, Any]]) -> None:
    # Native code writes to 1 and 2 as it likes; answers have a stream of their own.
    replies = os.fdopen(os.dup(1), "w")
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    for line in sys.stdin:
        # The largest that it was, from here on (proc(5)).
        Path("/proc/self/clear_refs").write_text("5")
        before = _megabytes("VmRSS")
        told = answer(line.strip())
        grown = _megabytes("VmHWM") - before
        if grown > MOST_MEGABYTES:
            told = {"megabytes": grown}
        print(json.dumps(told), file=replies, flush=True)


def _megabytes(name: str) -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{name}:")[2].split()[0]) // 1024


def serve_checks(structure: bool) -> None:
    """The half of `load(path, verify=True)` that verifies."""
    from edgekit.artifact import Artifact
    from edgekit.errors import ArtifactError
    from edgekit.runtime import verify
    from edgekit.runtime.backends import module_of
    from edgekit.runtime.options import Options

    tflite = "litert" if find_spec("ai_edge_litert") else "tflite-runtime"
    for backend in (tflite, "onnxruntime"):
        module = module_of(backend)
        if find_spec(module.partition(".")[0]):
            importlib.import_module(module)
    if not structure:
        verify.tflite_fault = lambda _: None  # type: ignore[assignment]
    limits = verify.Limits(TRIAL_SECONDS, 1 << 30)

    def answer(path: str) -> dict[str, Any]:
        artifact = Artifact.of(path)
        backend = tflite if artifact.format == "tflite" else "onnxruntime"
        try:
            verify.verify(artifact, backend, Options(), limits=limits, trial=forked)
        except ArtifactError as error:
            return {"refused": str(error)}
        except Exception as error:
            return {"untyped": repr(error)}
        return {}

    _serve(answer)


def serve_calls() -> None:
    """The other half: load what passed and run it on inputs that the trial has not seen."""
    import edgekit
    from edgekit.errors import EdgekitError
    from edgekit.runtime.random_inputs import random_inputs
    from edgekit.runtime.trial import _inputs

    def call(path: str, ran: list[int]) -> None:
        with edgekit.load(path) as runner:
            shapes = {s.name: s.concrete_shape(2, 5) for s in runner.inputs}
            for seed in range(3):
                kinds = ("any", "small", "odd")
                raw = _inputs(runner.inputs, shapes, kinds[seed])
                single = random_inputs(runner, seed)
                for method, x in (
                    (runner.infer, single),
                    (runner.infer_raw, raw),
                    (runner.infer_batch, single),
                ):
                    with suppress(EdgekitError):
                        method(x)
                        ran[0] += 1

    def answer(path: str) -> dict[str, Any]:
        ran = [0]
        try:
            if path.endswith((".npz", ".json")):
                ran[0] += said.read(Path(path))()
            else:
                call(path, ran)
        except EdgekitError as error:
            return {"refused": str(error)}
        except Exception as error:
            return {"untyped": repr(error)}
        return {"ran": ran[0]}

    _serve(answer)


def serve_keras() -> None:
    """A program that loads Keras files of others."""
    from edgekit.errors import EdgekitError
    from edgekit.models import load

    def answer(path: str) -> dict[str, Any]:
        try:
            if path.endswith(".pb"):
                saved_model.read(Path(path))()
            else:
                load(path)
        except EdgekitError as error:
            return {"refused": str(error)}
        except Exception as error:
            return {"untyped": repr(error)}
        return {"ran": 1}

    _serve(answer)
