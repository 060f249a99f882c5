"""Kernels: whether the answers depend on which of the interpreter's kernels run the file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgekit.diagnose.decibels import noise
from edgekit.diagnose.network import Array, Network
from edgekit.diagnose.trace import Trace
from edgekit.document.diagnosis import FAULT, NOTE, Cause
from edgekit.errors import require
from edgekit.formats.onnx_saturation import saturating

# What two kernels may differ by, of the outputs' variance, and beside what was lost.
_LEAST, _SHARE = 1e-2, 0.5


def kernel_path(network: Network, content: bytes, run: Trace, lost: float) -> Cause | None:
    """Whether other kernels give other answers.

    Args:
        network: the file.
        content: its bytes.
        run: of it, as the default kernels computed it.
        lost: what its outputs lost beside the original's.
    """
    if network.format == "onnx":
        return _saturating(content)
    reference = _reference_kernels(content, network, run)
    if reference is None:
        return None
    off = max(
        (n for value, x in reference.items() if (n := noise(x, run.values(value))) is not None),
        default=0.0,
    )
    if off < _LEAST or off < _SHARE * lost:
        return None
    return Cause(
        "kernel_path",
        FAULT,
        "",
        "",
        f"The answers depend on the kernels: the interpreter's fast ones are {-10 * np.log10(off):.1f} dB from its "
        "reference kernels.",
        "Name the interpreter and its kernels beside the golden file, update it, or run the file without its fast "
        "kernels: --delegate none.",
        float(min(1.0, off / lost)) if lost else 1.0,
        {"noise": off},
    )


def _saturating(content: bytes) -> Cause | None:
    found = list(saturating(content))
    if not found:
        return None
    return Cause(
        "kernel_path",
        NOTE,
        "",
        found[0].tensor,
        f"int8 sums of {len(found)} operators saturate in onnxruntime on x86 processors without VNNI, with no message.",
        "Run it with edgekit, which takes onnxruntime's exact mode there, or export it again: edgekit's own files do not "
        "saturate.",
        None,
        {"operators": float(len(found))},
    )


def _reference_kernels(
    content: bytes, network: Network, run: Trace
) -> Mapping[str, Sequence[Array]] | None:
    module = require("ai_edge_litert.interpreter", "export", "Diagnosing a TFLite file")
    try:
        other = _with_kernels(module, content)
        rows = {row["index"]: row for row in other.get_output_details()}
        inputs = {row["name"]: row["index"] for row in other.get_input_details()}
        found: dict[str, list[Array]] = {value: [] for value in network.outputs.values()}
        places = dict(zip(network.outputs.values(), rows, strict=False))
        given = dict(zip(network.inputs.values(), inputs.values(), strict=False))
        for batch in run.batches:
            for value, place in given.items():
                grid = next(iter(network.grids.get(value, ())), None)
                wanted = next(r["dtype"] for r in other.get_input_details() if r["index"] == place)
                x = batch[value]
                integers = grid is not None and np.dtype(wanted).kind in "iu"
                other.set_tensor(place, grid.steps(x) if grid and integers else x.astype(wanted))
            other.invoke()
            for value, place in places.items():
                y = other.get_tensor(place)
                grid = next(iter(network.grids.get(value, ())), None)
                whole = grid is not None and y.dtype.kind in "iu"
                found[value].append(grid.values(y) if grid and whole else y)
    except (RuntimeError, ValueError, StopIteration):
        return None
    return found


def _with_kernels(module: Any, content: bytes) -> Any:
    interpreter = module.Interpreter(
        model_content=content,
        num_threads=1,
        experimental_op_resolver_type=module.OpResolverType.BUILTIN_REF,
    )
    interpreter.allocate_tensors()
    return interpreter
