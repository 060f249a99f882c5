"""What operators and tensors of an ONNX file lose alone in int8 (`edgekit.calibration.alone`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from edgekit.calibration.alone import Losses, Plain, operator_losses, tensor_losses
from edgekit.calibration.fitting import Judge
from edgekit.calibration.frontier import Key
from edgekit.calibration.lost import judged_at
from edgekit.calibration.mixed import Attempt, Plan
from edgekit.calibration.probes import OnnxProbe, batches
from edgekit.calibration.timing import Timed, kernel_times
from edgekit.convert.onnx.convert import Quantized
from edgekit.convert.onnx.mixed import opened, with_left
from edgekit.convert.onnx.path import OnnxPath
from edgekit.convert.onnx.unrounded_outputs import rounded
from edgekit.errors import ExportError, one_line, require
from edgekit.formats.onnx import read_onnx
from edgekit.samples import Samples
from edgekit.tensor import QuantParams, dequantize, quantize


def onnx_losses(
    quantized: Quantized, samples: Samples, fitted: Samples, seed: int, timed: bool = False
) -> Losses:
    """The losses of all operators and tensors that an int8 file has in integers.

    Args:
        quantized: the float file and what the quantiser made of it.
        samples: to measure on, under the file's input names.
        fitted: those that `quantized` was made with, to correct biases with.
        seed: of the choice of those, where there are many.
        timed: time operators too, on this machine.
    """
    plain = quantized.plain
    model = read_onnx(plain.SerializeToString())
    graph = model.graphs[model.main]
    numpy_helper = require("onnx.numpy_helper", "export", "Quantising an ONNX file")

    def make(plan: Plan) -> Attempt:
        def finish(proto: Any) -> None:
            quantized.finish(proto, fitted, seed)

        try:
            return opened(with_left(plain, quantized.proto, graph, plan, finish))
        # onnxruntime raises whatever it stumbles over.
        except Exception as error:
            raise ExportError(one_line(error)) from error

    whole = make(Plan({})).made
    constants = {tensor.name: tensor for tensor in whole.graph.initializer}
    rounders = {}
    for name, (node, _) in rounded(whole.graph).items():
        if node.input[1] in constants and node.input[2] in constants:
            scale, zero = (numpy_helper.to_array(constants[node.input[i]]) for i in (1, 2))
            if scale.size == 1:
                grid = QuantParams((float(scale),), (int(zero),))
                rounders[name] = _rounder(grid, zero.dtype.name)
    judged = judged_at(graph)
    probe = OnnxProbe(plain, [tensor.name for tensor in judged])
    steps = OnnxPath(plain)
    given: list[dict[Key, NDArray[Any]]] = [
        {name: x.astype(_dtype(plain, name), copy=False) for name, x in rows.items()}
        for rows in batches(samples, probe.batch)
    ]
    keys: dict[str, Key] = {name: name for name in rounders}
    ends: tuple[Key, ...] = tuple(tensor.name for tensor in judged)
    tensors = tensor_losses(Plain(graph, steps.path, keys, given, ends), rounders)
    # An operator that neither reads nor gives what is rounded computes in float whatever one leaves.
    names = {
        o.tensor
        for o in graph.operators
        if any(t.name in rounders for t in (*o.inputs, *o.outputs) if t and not t.constant)
    }
    judge = Judge(graph, probe, samples)
    operators = operator_losses(graph, names, make, judge, tensors)
    times = _times(steps, OnnxPath(whole), given[0]) if timed else {}
    return Losses(
        graph, operators, tensors, {name: times[name] for name in operators if name in times}
    )


def _times(
    plain: OnnxPath, ours: OnnxPath, given: dict[Key, NDArray[Any]]
) -> dict[str, tuple[float, float]]:
    """Of each operator that both files have, nanoseconds in float and in int8.

    A rectifier that the integer file leaves to the rounding is timed with what it reads, and takes nothing by
    itself; an operator in int8 is timed with the rounding of what it gives, which is part of its kernel. Each
    call of onnxruntime's takes some microseconds more, in both files alike.
    """
    pairs, free = {}, []
    for name, number in plain.numbers.items():
        if name in free:
            continue
        at, last = ours.numbers.get(name), number
        if at is None:
            # The quantiser lets the operator before give what the rectifier gave.
            last, follower = _follower(plain, number)
            at = ours.numbers.get(follower)
            free.append(follower)
        if at is not None:
            rounding = at + 1 < len(ours.path.steps) and ours.op(at + 1) == "QuantizeLinear"
            pairs[name] = range(number, last + 1), range(at, at + 1 + rounding)
    found = kernel_times(
        Timed(plain.path, plain.bind, given), Timed(ours.path, ours.bind, dict(given)), pairs
    )
    return found | dict.fromkeys(free, (0.0, 0.0))


def _follower(path: OnnxPath, number: int) -> tuple[int, str]:
    """The step behind one, if that reads what it gives, and its name; else the step itself."""
    steps = path.path.steps
    more = number + 1 < len(steps) and set(steps[number].gives) & set(steps[number + 1].reads)
    at = number + 1 if more else number
    return at, str(steps[at].gives[0])


def _dtype(proto: Any, name: str) -> Any:
    helper = require("onnx.helper", "export", "Quantising an ONNX file")
    (value,) = (each for each in proto.graph.input if each.name == name)
    return helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)


def _rounder(grid: QuantParams, dtype: str) -> Callable[[NDArray[Any]], NDArray[Any]]:
    return lambda values: dequantize(quantize(values, grid, dtype), grid)
