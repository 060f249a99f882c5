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
from edgekit.formats.tflite_patch import BIASES, Graph, Tensor, opened, write_rounded
from edgekit.samples import Samples

# Operators by code. Those behind the sums give an answer made of them, or hand them on.
_FULLY_CONNECTED = 9
_BEHIND = {6: "", 14: "sigmoid", 22: "", 25: "softmax", 114: ""}
_ACTIVATION = 0
# From the first class to the last, in steps.
_RISE = 0.5
# Kernels for activations of 16 bits, whose biases have 64, take ten times as long: fewer samples do there.
_INT64, _FEW = 4, 64


def centre_tflite(content: bytes, float_file: bytes, samples: Samples, seed: int) -> bytes:
    """The same quantised file whose last dense layers' sums have the means of the float file's.

    Layers without a bias of their own stay, and so do files that nothing here can run.

    Args:
        content: of integers, made of `float_file`.
        float_file: has the same tensors, under the same names.
        samples: to take the means over, under the files' input names.
        seed: of the choice of samples, where there are many.
    """
    result = bytearray(content)
    ends = _ends(opened(content, result)[0])
    if not ends:
        return content
    try:
        ours = TfliteProbe(content, ends)
    except (ValueError, RuntimeError):
        return content  # Who runs it will be told by `edgekit.convert.targets`.
    if any(end.bias.type == _INT64 for end in ends.values()):
        samples = samples.subset(min(_FEW, len(samples)), seed=seed)
    plain = TfliteProbe(float_file, ends)
    answers = {name: end.answer for name, end in ends.items()}
    for name, short in mean_errors(ours, plain, answers, samples, seed).items():
        end = ends[name]
        if end.answer == "softmax":
            short += np.linspace(-_RISE / 2, _RISE / 2, len(short)) * end.sums.scales(end.sums.new)
        to = end.bias.constant(end.bias.new, BIASES[end.bias.type])
        write_rounded(to + short / end.bias.scales(end.bias.old), to)
    return bytes(result)


@dataclass(frozen=True)
class _End:
    """Sums that an output is made of, the bias in them, and what is made of them."""

    sums: Tensor
    bias: Tensor
    answer: str


def _ends(graph: Graph) -> dict[str, _End]:
    """Layers with an integer bias of their own and nothing that cuts behind it, by the sums' names."""
    uses = Counter(
        graph.tensors[i].buffer for operator in graph.operators for i in operator.inputs if i >= 0
    )
    answers, found = dict.fromkeys(graph.outputs, ""), {}
    for operator in reversed(graph.operators):
        made = [answers[i] for i in operator.outputs if i in answers]
        if not made:
            continue
        if operator.code in _BEHIND:
            answers[operator.inputs[0]] = _BEHIND[operator.code] or made[0]
        if operator.code != _FULLY_CONNECTED or operator.inputs[2:3] in ([], [-1]):
            continue
        bias, options = graph.tensors[operator.inputs[2]], operator.options
        cut = options is not None and options.number(_ACTIVATION, "b") != 0
        own = bias.type in BIASES and bias.constant(bias.old, BIASES[bias.type]).size
        if own and uses[bias.buffer] == 1 and not cut:
            sums = graph.tensors[operator.outputs[0]]
            found[sums.name.decode("utf-8", "replace")] = _End(sums, bias, made[0])
    return found
