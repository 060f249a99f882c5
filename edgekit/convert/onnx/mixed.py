"""Mixed ONNX files: what `edgekit.calibration.mixed` leaves in float, in a QDQ graph of the quantiser's."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from edgekit.calibration.mixed import Attempt, Plan, settle
from edgekit.calibration.probes import OnnxProbe
from edgekit.convert.onnx.unrounded_outputs import keep_float, rounded
from edgekit.errors import require
from edgekit.formats.graph import Operator
from edgekit.formats.onnx import read_onnx
from edgekit.samples import Samples

# Of convolutions' channels, and of dense layers'.
_AXES = (1, -1)
# Layers whose kernels have a scale for each output: those stay in integers if their inputs do.
_LAYERS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})


def mixed_onnx(
    plain: Any, quantized: Any, finish: Callable[[Any], None], samples: Samples, seed: int
) -> tuple[Any, Plan]:
    """The QDQ file with as much in float as its outputs need, and what that is.

    Args:
        plain: the float ModelProto.
        quantized: the one that the quantiser made of it; it stays as it is.
        finish: does to a copy of it, in place, what is done to every file.
        samples: to measure on, under the file's input names.
        seed: of the choice of samples, where there are many.
    """
    model = read_onnx(plain.SerializeToString())
    graph = model.graphs[model.main]
    state = require("onnxruntime.capi.onnxruntime_pybind11_state", "export", "Quantising")

    def make(plan: Plan) -> Attempt:
        proto = type(quantized)()
        proto.CopyFrom(quantized)
        inner = plan.inner(graph)
        for each in plan.left.values():
            restore_constants(proto.graph, plain.graph, each.operator, inner)
        keep_float(proto.graph, plain.graph, inner)
        finish(proto)
        return _opened(proto)

    try:
        attempt, plan = settle(graph, OnnxProbe(plain), make, samples, seed, _AXES)
    # Where the quantiser's names clash inside loops, onnxruntime takes the graph only under the names
    # that it has in the file.
    except state.Fail:
        proto = type(quantized)()
        proto.CopyFrom(quantized)
        finish(proto)
        return proto, Plan({})
    return attempt.made, plan


def restore_constants(graph: Any, plain: Any, operator: Operator, inner: Collection[str]) -> None:
    """Let an operator of a QDQ graph read its constants in float again, in place.

    Args:
        graph: of the quantised file.
        plain: of the float file, which holds them.
        operator: of the float file.
        inner: the tensors that nothing rounds.
    """
    takes_integers = not any(tensor and tensor.name in inner for tensor in operator.inputs)
    if operator.op in _LAYERS and takes_integers:
        return
    (theirs,) = (node for node in plain.node if operator.tensor in node.output)
    node = next((node for node in graph.node if node.name == theirs.name), None)
    if node is None:
        # A Relu or a Clip that the quantiser took out; it comes back with its constants.
        return
    held = {tensor.name for tensor in graph.initializer}
    for place, name in enumerate(theirs.input):
        constant = next((tensor for tensor in plain.initializer if tensor.name == name), None)
        if constant is not None:
            node.input[place] = name
            if name not in held:
                graph.initializer.add().CopyFrom(constant)
                held.add(name)


def _opened(proto: Any) -> Attempt:
    numpy_helper = require("onnx.numpy_helper", "export", "Quantising an ONNX file")
    constants = {tensor.name: tensor for tensor in proto.graph.initializer}
    pairs = rounded(proto.graph)
    names = {pair[1].output[0]: name for name, pair in pairs.items()}
    steps = {
        name: float(numpy_helper.to_array(constants[quantize.input[1]]))
        for name, (quantize, _) in pairs.items()
        if quantize.input[1] in constants
    }
    # Of a tensor that is rounded, what is left of it.
    before = {pair[0].input[0] for pair in pairs.values()}
    shown = [
        name
        for node in proto.graph.node
        if node.op_type != "QuantizeLinear"
        for name in node.output
        if name and name not in before
        # Not what the file holds in integers.
        if node.op_type != "DequantizeLinear" or name in names
    ]
    return Attempt(proto, OnnxProbe(proto, shown), steps, names)
