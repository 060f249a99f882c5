"""Mixed ONNX files: what `edgekit.calibration.mixed` leaves in float, in a QDQ graph of the quantiser's."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from edgekit.calibration.lost import Left
from edgekit.calibration.mixed import Attempt, Plan, settle
from edgekit.calibration.probes import OnnxProbe
from edgekit.convert.onnx.unrounded_outputs import keep_float, rounded
from edgekit.errors import require
from edgekit.formats.graph import Graph, Operator
from edgekit.formats.onnx import read_onnx
from edgekit.samples import Samples

# Of convolutions' channels, and of dense layers'.
_AXES = (1, -1)
# Layers whose kernels have a scale for each output: those stay in integers if their inputs do.
_LAYERS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})


def mixed_onnx(
    plain: Any,
    quantized: Any,
    finish: Callable[[Any], None],
    samples: Samples,
    seed: int,
    left: Mapping[str, Left] | None = None,
) -> tuple[Any, Plan]:
    """The QDQ file with as much in float as its outputs need, and what that is.

    Args:
        plain: the float ModelProto.
        quantized: the one that the quantiser made of it; it stays as it is.
        finish: does to a copy of it, in place, what is done to every file.
        samples: to measure on, under the file's input names.
        seed: of the choice of samples, where there are many.
        left: what stays in float in any case, by the name of each operator's first output.
    """
    model = read_onnx(plain.SerializeToString())
    graph = model.graphs[model.main]
    state = require("onnxruntime.capi.onnxruntime_pybind11_state", "export", "Quantising")
    own = left or {}

    def make(plan: Plan) -> Attempt:
        return opened(with_left(plain, quantized, graph, Plan({**own, **plan.left}), finish))

    try:
        attempt, plan = settle(graph, OnnxProbe(plain), make, samples, seed, _AXES)
    # Where the quantiser's names clash inside loops, onnxruntime takes the graph only under the names
    # that it has in the file.
    except state.Fail:
        return with_left(plain, quantized, graph, Plan(own), finish), Plan(own)
    return attempt.made, Plan({**own, **plan.left})


def with_left(
    plain: Any, quantized: Any, graph: Graph, plan: Plan, finish: Callable[[Any], None]
) -> Any:
    """A copy of a QDQ file with what a plan leaves in float.

    Args:
        plain: the float ModelProto.
        quantized: the one that the quantiser made of it.
        graph: of the float file.
        plan: what stays in float.
        finish: does in place what is done to every file.
    """
    proto = type(quantized)()
    proto.CopyFrom(quantized)
    inner = plan.inner(graph)
    for each in plan.left.values():
        restore_constants(proto.graph, plain.graph, each.operator, inner, each.wholly)
    keep_float(proto.graph, plain.graph, inner)
    finish(proto)
    return proto


def restore_constants(
    graph: Any, plain: Any, operator: Operator, inner: Collection[str], wholly: bool = False
) -> None:
    """Let an operator of a QDQ graph read its constants in float again, in place.

    Args:
        graph: of the quantised file.
        plain: of the float file, which holds them.
        operator: of the float file.
        inner: the tensors that nothing rounds.
        wholly: layers too that are given integers, whose kernels could take integers as weights.
    """
    takes_integers = not any(tensor and tensor.name in inner for tensor in operator.inputs)
    if operator.op in _LAYERS and takes_integers and not wholly:
        return
    (theirs,) = (node for node in plain.node if operator.tensor in node.output)
    node = next((node for node in graph.node if node.name == theirs.name), None)
    if node is None:
        # A Relu or a Clip that the quantiser took out; it comes back with its constants.
        return
    held = {tensor.name for tensor in graph.initializer}
    made = {name for each in graph.node for name in each.output}
    for place, name in enumerate(theirs.input):
        constant = next((tensor for tensor in plain.initializer if tensor.name == name), None)
        if constant is not None:
            # The quantiser lets the floats that a rounded bias stands for have the bias's name.
            own = f"{name}/float" if name in made else name
            node.input[place] = own
            if own not in held:
                graph.initializer.add().CopyFrom(constant)
                graph.initializer[-1].name = own
                held.add(own)


def opened(proto: Any) -> Attempt:
    """A QDQ file, and how to look into it."""
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
