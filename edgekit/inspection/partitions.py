"""Partitions: what an installed interpreter's delegate takes of a file, asked in a child process."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from edgekit.artifact import Artifact
from edgekit.document.record import LATER, Count, Record, renamed
from edgekit.errors import one_line
from edgekit.formats.graph import Model, Shape
from edgekit.runtime.limits import Limits
from edgekit.runtime.sandbox.run import run_sandboxed
from edgekit.runtime.sandbox.state import Sandbox
from edgekit.runtime.shapes import allocated

_LITERT = "ai_edge_litert.interpreter"


@dataclass(frozen=True)
class Outside(Record):
    """An operator that the delegate leaves to the interpreter."""

    op: str
    tensor: str


@dataclass(frozen=True)
class Partitions(Record):
    """What XNNPACK takes of the main graph.

    Attributes:
        count: pieces that it runs; None if that is not known.
        outside: operators that stay with the interpreter's own kernels; None if unknown.
        reason: why nothing is known; None if it is.
        sandbox: what confined the process that measured it; None where none answered.
    """

    count: Count | None = field(metadata=renamed("partitions"))
    outside: tuple[Outside, ...] | None
    reason: str | None = None
    sandbox: Sandbox | None = field(default=None, metadata=LATER)


def partitions_of(artifact: Artifact, model: Model) -> Partitions:
    """Load the file on ai-edge-litert in a child process and ask which operators it handed over."""
    if artifact.format != "tflite":
        return Partitions(None, None, "onnxruntime's processor provider runs all operators itself")
    if find_spec("ai_edge_litert") is None:
        return Partitions(None, None, "ai-edge-litert is not installed")
    if model.main != 0:
        return Partitions(None, None, "the interpreter tells of the first graph alone")
    answer, sandbox = _ask("delegated", artifact, _LITERT)
    if isinstance(answer, str):
        return Partitions(None, None, answer, sandbox)
    operators = model.graphs[0].operators
    makers = {t.key: i for i, o in enumerate(operators) for t in o.outputs if t}
    inside: set[int] = set()
    for inputs, outputs in answer:
        # What lies between a partition's outputs and its inputs is inside.
        seen = {f"0:{t}" for t in inputs}
        rest = [f"0:{t}" for t in outputs]
        while rest:
            key = rest.pop()
            if key in seen or key not in makers:
                continue
            seen.add(key)
            inside.add(makers[key])
            rest += [t.key for t in operators[makers[key]].inputs if t]
    outside = tuple(Outside(o.op, o.tensor) for i, o in enumerate(operators) if i not in inside)
    return Partitions(len(answer), outside, None, sandbox)


@dataclass(frozen=True)
class Shapes:
    """What follows from what an ONNX file declares.

    Attributes:
        known: dtype and shape of tensors, by name.
        reason: why nothing could be inferred; None if it could.
        sandbox: what held the process that did; None where none answered.
    """

    known: dict[str, tuple[str, Shape]]
    reason: str | None = None
    sandbox: Sandbox | None = None


def shapes_of(artifact: Artifact) -> Shapes:
    """Infer dtypes and shapes in a child process."""
    if find_spec("onnx") is None:
        return Shapes({}, "onnx is not installed")
    answer, sandbox = _ask("inferred", artifact, "onnx")
    if isinstance(answer, str):
        return Shapes({}, answer, sandbox)
    return Shapes({name: (dtype, tuple(shape)) for name, dtype, shape in answer}, None, sandbox)


def _ask(function: str, artifact: Artifact, module: str) -> tuple[Any, Sandbox | None]:
    """What a function below answers in a sandbox, or in words why it did not; and what held it."""
    reads = [artifact.path, *filter(None, artifact.external.values())]
    done = run_sandboxed(
        f"edgekit.inspection.partitions:{function}",
        [str(artifact.path)],
        reads=reads,
        limits=Limits.of(artifact.size_bytes),
        imports=[module],
    )
    if done.answered:
        return done.answer, done.sandbox
    code = done.ended.code
    return (
        f"a process that loads it {'did not finish' if code is None else f'ended with {code}'}",
        None,
    )


def delegated(path: str) -> Any:
    """In the child: (inputs, outputs) of each partition."""
    from importlib import import_module

    from edgekit.runtime.tflite import native_path

    module = import_module(_LITERT)
    try:
        interpreter = allocated(partial(module.Interpreter, model_path=native_path(path)))
    except (ValueError, RuntimeError) as error:
        return f"ai-edge-litert cannot load it: {one_line(error)}"
    details = getattr(interpreter, "_get_ops_details", None)
    if details is None:
        return "this ai-edge-litert does not tell its operators"
    return [
        [[int(i) for i in row["inputs"]], [int(i) for i in row["outputs"]]]
        for row in details()
        if row["op_name"] == "DELEGATE"
    ]


def inferred(path: str) -> Any:
    """In the child: [name, dtype, shape] of each tensor whose shape is found."""
    import onnx

    from edgekit.formats.onnx import read_onnx

    # It takes bytes and gives an object.
    model = onnx.shape_inference.infer_shapes(Path(path).read_bytes())
    content = model.SerializeToString()
    tensors = {t.key: t for o in read_onnx(content).operators for t in o.outputs if t}
    return [[t.name, t.dtype, list(t.shape)] for t in tensors.values() if t.shape is not None]
