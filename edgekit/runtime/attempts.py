"""Attempts: each interpreter that is installed is asked something small in a process of its own.

That it is installed says little: a wheel may be built for a newer numpy or for instructions that the processor lacks
(LiteRT's compiled models end with SIGILL on a Cortex-A53 or A72), and an emulated processor may answer wrongly.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import resources
from importlib.util import find_spec
from typing import Annotated, Any

import numpy as np

from edgekit.device import is_emulated
from edgekit.document.record import Record, Text
from edgekit.errors import EdgekitError, one_line
from edgekit.runtime import load
from edgekit.runtime.backends import module_of
from edgekit.runtime.child import Ended, run_in_child
from edgekit.runtime.onnx_session import sums_saturate

# y (int8, 1 x 2) = a dense layer of x (int8, 1 x 4): weights 1 2 3 4 and -4 3 -2 1, biases 10 and -10, every scale 1.
# Written with TensorFlow's own classes of schema.fbs, 648 bytes.
TINY = "tiny.tflite"
_X, _Y = (1, 2, 3, 4), (40, -10)
# In the order in which they are taken; onnxruntime runs another format.
_TFLITE = ("litert", "litert-compiled", "tflite-runtime", "tensorflow")
_ONNX = "onnxruntime"
# TensorFlow takes long to import on a busy machine; an emulated one takes twenty times as long.
_SECONDS, _SECONDS_EMULATED = 120.0, 600.0

WORKS, FAILS, UNTRIED = "works", "fails", "not tried"


@dataclass(frozen=True)
class Attempt(Record):
    """What came of one interpreter.

    Attributes:
        backend: as ``--backend`` names it.
        reason: why it fails, or was not tried; empty where it works.
    """

    backend: Text
    result: Annotated[str, ("enum", (WORKS, FAILS, UNTRIED))]
    reason: str


def attempts() -> tuple[tuple[Attempt, ...], bool | None]:
    """Try every interpreter that is installed, all at once.

    Returns:
        What came of each; and whether onnxruntime's int8 sums saturate on this processor, None where it did not
        say.
    """
    there = [name for name in (*_TFLITE, _ONNX) if _is_there(name)]
    # What others do as well is not worth a start of TensorFlow, which may take half a minute.
    idle = "tensorflow" in there and len({"litert", "tflite-runtime"} & set(there)) > 0
    asked = [name for name in there if not (idle and name == "tensorflow")]
    with ThreadPoolExecutor(max(1, len(asked))) as pool:
        ended = dict(zip(asked, pool.map(_tried, asked)))
    found, saturate = [], None
    for name in there:
        if name not in ended:
            found.append(Attempt(name, UNTRIED, f"{there[0]} is taken in its place"))
            continue
        reason, said = _judged(ended[name])
        found.append(Attempt(name, FAILS if reason else WORKS, reason))
        if name == _ONNX and not reason:
            saturate = said
    return tuple(found), saturate


def _is_there(backend: str) -> bool:
    try:
        module = module_of(backend)
        if find_spec(module.partition(".")[0]) is None:
            return False
        # Older wheels have no compiled models.
        return backend != "litert-compiled" or find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _tried(backend: str) -> Ended:
    seconds = _SECONDS_EMULATED if is_emulated() else _SECONDS
    return run_in_child("edgekit.runtime.attempts:attempt", [backend], seconds=seconds)


def attempt(backend: str) -> dict[str, Any]:
    """In the child: ask one interpreter.

    Returns:
        ``reason``: why it fails, or None; ``saturate``: of onnxruntime, whether its sums do.
    """
    try:
        return {"reason": None, "saturate": _QUESTIONS.get(backend, _tiny)(backend)}
    except EdgekitError as error:
        return {"reason": str(error)}
    # A broken installation raises whatever it stumbles over.
    except Exception as error:
        return {"reason": f"{type(error).__name__}: {one_line(error)}"}


def _tiny(backend: str) -> None:
    file = resources.files("edgekit.runtime").joinpath(TINY)
    with resources.as_file(file) as path, load(path, backend=backend) as runner:
        (found,) = runner.infer_raw({"x": np.array([_X], np.int8)}).values()
    if tuple(found.ravel().tolist()) != _Y:
        raise EdgekitError(
            f"it answers {found.ravel().tolist()} to a file of one dense layer, expected {list(_Y)}: int8 answers "
            "are wrong here."
        )


def _sums(backend: str) -> bool:
    del backend
    return sums_saturate()


_QUESTIONS: dict[str, Callable[[str], bool | None]] = {_ONNX: _sums}


def _judged(ended: Ended) -> tuple[str, bool | None]:
    """Why an interpreter fails, empty where it works; and whether its sums saturate."""
    if ended.code is None:
        return "did not answer in time", None
    if ended.code < 0:
        try:
            name = signal.Signals(-ended.code).name
        except ValueError:
            name = f"signal {-ended.code}"
        why = ": it needs instructions that this CPU lacks" if name == "SIGILL" else ""
        return f"died by {name}{why}", None
    lines = ended.out.strip().splitlines()
    try:
        found = json.loads(lines[-1]) if lines else None
    except ValueError:
        found = None
    if ended.code or not isinstance(found, dict):
        last = ended.err.strip().splitlines()[-1:] or [f"exit code {ended.code}"]
        return last[0], None
    return found["reason"] or "", found.get("saturate")
