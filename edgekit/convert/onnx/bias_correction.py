"""Bias correction in ONNX files: the bias of the Gemm that an output is made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgekit.calibration.bias_correction import mean_errors
from edgekit.calibration.probes import OnnxProbe
from edgekit.errors import require
from edgekit.samples import Samples

_PURPOSE = "Quantising an ONNX file"


def correct_biases(
    proto: Any, plain: Any, sums: Sequence[str], samples: Samples, seed: int
) -> None:
    """Shift biases of a QDQ model so that the means of `sums` are those of the float model, in place.

    Args:
        proto: a ModelProto of integers, whose nodes may come in any order.
        plain: the float one that it was made of.
        sums: tensors of both, shape (batch, n); those whose layer has no bias of its own stay.
        samples: to take the means over, under the model's input names.
        seed: of the choice of samples, where there are many.
    """
    numpy_helper = require("onnx.numpy_helper", "export", _PURPOSE)
    biases = {name: bias for name in sums if (bias := _bias(proto.graph, name)) is not None}
    if not biases:
        return
    answers = {name: _answer(plain.graph, name) for name in biases}
    state = require("onnxruntime.capi.onnxruntime_pybind11_state", "export", _PURPOSE)
    theirs = OnnxProbe(plain, list(biases))
    try:
        ours = OnnxProbe(proto, list(biases))
    # Where the quantiser's names clash inside loops, as recurrent layers make them, onnxruntime takes the
    # graph only under the names that it has in the file; biases stay as they are.
    except state.Fail:
        return
    shorts = mean_errors(ours, theirs, answers, samples, seed)
    for name, short in shorts.items():
        bias, scale = biases[name]
        steps = np.rint(short / numpy_helper.to_array(scale))
        limits = np.iinfo(np.int32)
        moved = np.clip(numpy_helper.to_array(bias) + steps, limits.min, limits.max)
        bias.CopyFrom(numpy_helper.from_array(moved.astype(np.int32), bias.name))


def _answer(graph: Any, sums: str) -> str:
    """What is made of `sums`, in the words of `mean_errors`."""
    reading = {node.op_type for node in graph.node if sums in node.input}
    return next((op.lower() for op in ("Softmax", "Sigmoid") if op in reading), "")


def _bias(graph: Any, sums: str) -> tuple[Any, Any] | None:
    """The int32 bias of the Gemm that gives `sums`, and its scale; None if it has none of its own."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    (gemm,) = (node for node in graph.node if sums in node.output)
    if gemm.op_type != "Gemm" or len(gemm.input) < 3:
        return None
    bridge = next((node for node in graph.node if gemm.input[2] in node.output), None)
    reading = [node for node in graph.node for name in node.input if name == gemm.input[2]]
    # A layer that was left in float has its bias in float too.
    if bridge is None or bridge.op_type != "DequantizeLinear" or len(reading) > 1:
        return None
    return constants[bridge.input[0]], constants[bridge.input[1]]
