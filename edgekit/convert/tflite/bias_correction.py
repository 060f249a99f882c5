"""Centre, in TFLite files: the bias of the dense layer that an output is made of.

Of classes whose sums are rounded to the same integer, whoever asks for the largest gets the first.
Between two classes whose sums differ by d, at any place of the grid, that is wrong for s / 2 of all d
with steps of s. With the later one's bias higher by b it is (b^2 + (s - b)^2) / 2 s: less for any b
below s, half of it for s / 2. So biases rise by half a step from the first class to the last: less
than what rounding moves each sum by, and so far that more right answers come of it than wrong ones.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from edgekit.calibration.bias_correction import mean_errors
from edgekit.calibration.probes import TfliteProbe
from edgekit.formats import tflite_schema as schema
from edgekit.formats.tflite_file import TfliteFile, TfliteGraph, TfliteOperator, TfliteTensor
from edgekit.formats.tflite_patch import BIASES, write_rounded
from edgekit.samples import Samples

# Operators behind the sums that give an answer made of them, or hand them on.
_BEHIND = {
    "DEQUANTIZE": "",
    "LOGISTIC": "sigmoid",
    "RESHAPE": "",
    "SOFTMAX": "softmax",
    "QUANTIZE": "",
}
# From the first class to the last, in steps.
_RISE = 0.5
# Kernels for activations of 16 bits, whose biases have 64, take ten times as long: fewer samples do there.
_WIDE, _FEW = "int64", 64


def correct_biases(file: TfliteFile, float_file: TfliteFile, samples: Samples, seed: int) -> None:
    """Give the sums of a quantised file's last dense layers the means of the float file's, in place.

    Layers without a bias of their own stay, and so do files that nothing here can run.

    Args:
        file: of integers, made of `float_file`; its content is a bytearray.
        float_file: has the same tensors, under the same names.
        samples: to take the means over, under the files' input names.
        seed: of the choice of samples, where there are many.
    """
    ends = _ends(file.graphs[0])
    if not ends:
        return
    try:
        ours = TfliteProbe(file, ends)
    except (ValueError, RuntimeError):
        return  # Who runs it will be told by `edgekit.convert.targets`.
    if any(end.bias.dtype == _WIDE for end in ends.values()):
        samples = samples.subset(min(_FEW, len(samples)), seed=seed)
    plain = TfliteProbe(float_file, ends)
    answers = {name: end.answer for name, end in ends.items()}
    for name, short in mean_errors(ours, plain, answers, samples, seed).items():
        end = ends[name]
        if end.answer == "softmax":
            rise = np.linspace(-_RISE / 2, _RISE / 2, len(short))
            short += rise * end.sums.scales.of(file.content)
        to = end.bias.constant(BIASES[end.bias.dtype]).of(file.content)
        write_rounded(to + short / end.bias.scales.of(file.content), to)


@dataclass(frozen=True)
class _End:
    """Sums that an output is made of, the bias in them, and what is made of them."""

    sums: TfliteTensor
    bias: TfliteTensor
    answer: str


def _ends(graph: TfliteGraph) -> dict[str, _End]:
    """Layers with an integer bias of their own and nothing that cuts behind it, by the sums' names."""
    operators = [(each.op, each.inputs, each) for each in graph.operators]
    uses = Counter(
        graph.tensors[i].buffer_index for _, inputs, _ in operators for i in inputs if i >= 0
    )
    answers, found = dict.fromkeys(graph.outputs, ""), {}
    for op, inputs, operator in reversed(operators):
        made = [answers[i] for i in operator.outputs if i in answers]
        if not made:
            continue
        if op in _BEHIND:
            answers[inputs[0]] = _BEHIND[op] or made[0]
        if op != "FULLY_CONNECTED" or inputs[2:3] in ((), (-1,)):
            continue
        bias = graph.tensors[inputs[2]]
        own = bias.dtype in BIASES and bias.constant(BIASES[bias.dtype]).count
        if own and uses[bias.buffer_index] == 1 and not _cuts(operator):
            sums = graph.tensors[operator.outputs[0]]
            found[sums.name] = _End(sums, bias, made[0])
    return found


def _cuts(operator: TfliteOperator) -> bool:
    """Whether a dense layer has an activation in it."""
    field, options = schema.FullyConnectedOptions.FUSED_ACTIVATION_FUNCTION, operator.options
    activation = options.number(field, "b") if options else schema.ActivationFunctionType.NONE
    return activation != schema.ActivationFunctionType.NONE
