"""Beyond half: the nodes of a float ONNX file that half precision has no numbers for.

Half precision ends at 65,504 and has eleven bits: raw sensor values, incomes or years lose what they tell before
the model normalises them. Such nodes compute in float32, with casts around them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.calibration.probes import OnnxProbe, batches
from edgekit.errors import require
from edgekit.samples import Samples
from edgekit.tensor import held_by_half, within_half

# What is measured may be half of what comes in use.
_LARGEST = float(np.finfo(np.float16).max) / 2
# A stand-in for minus infinity lies further out, and may be cut.
_STAND_IN = 1e30
# Mean square of half precision's rounding as a share of that of the values, 2^-22 / 3; and by how much a channel's
# variance has to exceed it, 40 dB.
_ROUNDING, _ABOVE = 2.0**-22 / 3, 1e4
_MOST = 16
# What brings inputs to the model's scale, by constants.
_SCALING = frozenset(
    {"Add", "Cast", "Div", "Identity", "Mul", "Reshape", "Squeeze", "Sub", "Transpose", "Unsqueeze"}
)
# Whose results are as inexact as their constants; the small ones of others, such as biases, hardly count.
_MULTIPLYING = frozenset({"Conv", "ConvTranspose", "Div", "Einsum", "Gemm", "MatMul", "Mul"})
# What chooses between values and a bound that only has to be large.
_BOUNDS = frozenset({"Clip", "Max", "Min", "Where"})


def beyond_half(proto: Any, samples: Samples | None) -> list[str]:
    """The names of those nodes of the main graph.

    Args:
        proto: the ModelProto, in float32, whose nodes have names.
        samples: to measure tensors on, under the file's input names; without them constants alone tell.
    """
    numpy_helper = require("onnx.numpy_helper", "export", "Making a float16 ONNX file")
    constants = {
        tensor.name: values
        for tensor in proto.graph.initializer
        if (values := numpy_helper.to_array(tensor)).dtype == np.float32
    }
    large = {name for name, values in constants.items() if not within_half(values)}
    coarse = {name for name, values in constants.items() if not held_by_half(values)}
    found = {
        node.name
        for node in proto.graph.node
        if (node.op_type not in _BOUNDS and large.intersection(node.input))
        or (node.op_type in _MULTIPLYING and coarse.intersection(node.input[:2]))
    }
    scaling = dict(_scaling(proto.graph))
    if samples is None:
        # What is taken off an input that half precision does not hold is as large as the input.
        whole = {start for name, start in scaling.items() if name in found}
        return sorted(found | {name for name, start in scaling.items() if start in whole})
    lost = _lost(proto, samples, scaling)
    found |= {
        node.name for node in proto.graph.node if lost.intersection((*node.input, *node.output))
    }
    return sorted(found)


def _scaling(graph: Any) -> Iterator[tuple[str, str]]:
    """The nodes that bring inputs to the model's scale, and of which input."""
    whole = {tensor.name for tensor in graph.initializer}
    starts = {value.name: value.name for value in graph.input}
    for node in graph.node:
        given = [name for name in node.input if name and name not in whole]
        if node.op_type in _SCALING and len(given) == 1 and given[0] in starts:
            starts.update(dict.fromkeys(node.output, starts[given[0]]))
            yield node.name, starts[given[0]]


def _lost(proto: Any, samples: Samples, scaling: Collection[str]) -> set[str]:
    """The tensors that are too large for half precision, or on their way to the model's scale too exact."""
    onnx = require("onnx", "export", "Making a float16 ONNX file")
    bounded = {name for node in proto.graph.node if node.op_type in _BOUNDS for name in node.output}
    early = {value.name for value in proto.graph.input}
    early |= {name for node in proto.graph.node if node.name in scaling for name in node.output}
    lost: set[str] = set()

    def look(name: str, values: NDArray[Any]) -> None:
        sizes = np.abs(values[np.isfinite(values)])
        largest = sizes[sizes < _STAND_IN].max(initial=0.0)
        if largest > _LARGEST and name not in bounded:
            lost.add(name)
        if name in early and values.dtype == np.float32 and _too_exact(values):
            lost.add(name)

    for name, values in samples.inputs.items():
        look(name, np.asarray(values))
    few = Samples({name: x[:_MOST] for name, x in samples.inputs.items()})
    probe = OnnxProbe(onnx.shape_inference.infer_shapes(proto))
    for batch in batches(few, probe.batch):
        probe.run(batch, look)
    return lost


def _too_exact(values: NDArray[Any]) -> bool:
    """Whether half precision leaves less than 40 dB of a channel, one on the last axis, of several samples."""
    if len(values) < 2:
        return False
    rows = values.reshape(-1, values.shape[-1] if values.ndim > 1 else 1).astype(np.float64)
    variance, square = rows.var(0), np.square(rows).mean(0)
    return bool(((variance > 1e-10 * square) & (variance < _ABOVE * _ROUNDING * square)).any())
