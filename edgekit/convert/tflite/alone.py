"""What operators and tensors of a TFLite file lose alone in int8 (`edgekit.calibration.alone`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from edgekit.calibration.alone import Losses, Plain, operator_losses, tensor_losses
from edgekit.calibration.fitting import Judge
from edgekit.calibration.frontier import Key
from edgekit.calibration.lost import judged_at
from edgekit.calibration.mixed import Attempt, Plan
from edgekit.calibration.probes import TfliteProbe, batches
from edgekit.calibration.timing import Timed, kernel_times
from edgekit.convert.tflite.path import TflitePath
from edgekit.formats.model_file import ModelFile
from edgekit.formats.tflite import model_of
from edgekit.formats.tflite_file import TfliteFile
from edgekit.manifest import BRIDGES
from edgekit.samples import Samples
from edgekit.tensor import QuantParams, dequantize, quantize

_INTEGER = "int8"


def tflite_losses(
    float_file: TfliteFile,
    made: ModelFile,
    quantizer: Callable[..., ModelFile],
    samples: Samples,
    timed: bool = False,
) -> Losses:
    """The losses of all operators and tensors that an int8 file has in integers.

    Args:
        float_file: of the bytes that `edgekit.convert.tflite.convert.float_tflite` gives.
        made: the int8 file of it, with no more in float than it has to have.
        quantizer: makes it; takes the operators to leave in float as ``left``.
        samples: to measure on, under the files' input names.
        timed: time operators too, on this machine.
    """
    model = model_of(float_file)
    graph = model.graphs[model.main]
    integers = made.tflite
    main = integers.graphs[0]
    names = {
        main.tensors[each.outputs[0]].name
        for each in main.operators
        if each.op != "QUANTIZE" and main.tensors[each.outputs[0]].dtype == _INTEGER
    }
    rounders = {
        tensor.name: _rounder(float(scales[0]), int(zeros[0]) if len(zeros) else 0)
        for tensor in main.tensors
        if tensor.dtype == _INTEGER and len(scales := tensor.scales.of(made.content)) == 1
        for zeros in [tensor.zero_points.of(made.content)]
    }
    judged = judged_at(graph)
    probe = TfliteProbe(float_file, {tensor.name for tensor in judged})
    steps = TflitePath(float_file)
    theirs = float_file.graphs[0].tensors
    keys: dict[str, Key] = {tensor.name: i for i, tensor in enumerate(theirs)}
    (signature,) = float_file.signatures
    given: list[dict[Key, NDArray[Any]]] = [
        {i: rows[name].astype(theirs[i].dtype, copy=False) for name, i in signature.inputs.items()}
        for rows in batches(samples, probe.batch)
    ]
    known = tuple(keys[tensor.name] for tensor in judged)
    tensors = tensor_losses(Plain(graph, steps.path, keys, given, known), rounders)

    def make(plan: Plan) -> Attempt:
        file = quantizer(left=[each.operator for each in plan.left.values()])
        return Attempt(file, TfliteProbe(file.tflite), {}, {})

    judge = Judge(graph, probe, samples)
    operators = operator_losses(graph, names, make, judge, tensors)
    times = _times(float_file, integers, given[0]) if timed else {}
    return Losses(
        graph, operators, tensors, {name: times[name] for name in operators if name in times}
    )


def _times(
    float_file: TfliteFile, integers: TfliteFile, given: dict[Key, NDArray[Any]]
) -> dict[str, tuple[float, float]]:
    """Of each operator that both files have, nanoseconds in float and in int8."""
    plain, ours = TflitePath(float_file), TflitePath(integers)
    theirs, own = float_file.graphs[0], integers.graphs[0]
    steps = {
        own.tensors[each.outputs[0]].name: range(ours.numbers[place], ours.numbers[place] + 1)
        for place, each in enumerate(own.operators)
        if place in ours.numbers and each.op not in BRIDGES
    }
    inputs: dict[Key, NDArray[Any]] = {}
    for i, taken in zip(own.inputs, theirs.inputs, strict=True):
        tensor = own.tensors[i]
        scales, zeros = (each.of(integers.content) for each in (tensor.scales, tensor.zero_points))
        inputs[i] = given[taken]
        if tensor.dtype != theirs.tensors[taken].dtype:
            grid = QuantParams((float(scales[0]),), (int(zeros[0]),))
            inputs[i] = quantize(given[taken], grid, tensor.dtype)
    pairs = {}
    for place, each in enumerate(theirs.operators):
        name = theirs.tensors[each.outputs[0]].name
        if place in plain.numbers and name in steps:
            number = plain.numbers[place]
            pairs[name] = range(number, number + 1), steps[name]
    return kernel_times(
        Timed(plain.path, plain.bind, given), Timed(ours.path, ours.bind, inputs), pairs
    )


def _rounder(scale: float, zero: int) -> Callable[[NDArray[Any]], NDArray[Any]]:
    grid = QuantParams((scale,), (zero,))
    return lambda values: dequantize(quantize(values, grid, _INTEGER), grid)
