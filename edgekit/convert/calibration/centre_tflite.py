"""Centre, in TFLite files: the bias of the dense layer that an output is made of."""

from __future__ import annotations

from collections import Counter

from edgekit.convert.calibration.centre import missing
from edgekit.convert.calibration.probes import TfliteProbe
from edgekit.convert.in_place import BIASES, Graph, Tensor, opened, write_rounded
from edgekit.samples import Samples

# Operators by code. Those behind the sums give an answer made of them, or hand them on.
_FULLY_CONNECTED = 9
_BEHIND = {6: "DEQUANTIZE", 14: "LOGISTIC", 22: "RESHAPE", 25: "SOFTMAX", 114: "QUANTIZE"}
_ACTIVATION = 0


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
    biases = _biases(opened(content, result)[0])
    if not biases:
        return content
    names = list(biases)
    try:
        ours = TfliteProbe(content, names)
    except (ValueError, RuntimeError):
        return content  # Who runs it will be told by `edgekit.convert.fitting`.
    plain = TfliteProbe(float_file, names)
    for name, short in missing(ours, plain, names, samples, seed).items():
        bias = biases[name]
        to = bias.constant(bias.new, BIASES[bias.type])
        write_rounded(to + short / bias.scales(bias.old), to)
    return bytes(result)


def _biases(graph: Graph) -> dict[str, Tensor]:
    """The integer biases of layers whose sums an output is made of, by the sums' names."""
    uses = Counter(
        graph.tensors[i].buffer for operator in graph.operators for i in operator.inputs if i >= 0
    )
    ends, found = set(graph.outputs), {}
    for operator in reversed(graph.operators):
        if not ends.intersection(operator.outputs):
            continue
        if operator.code in _BEHIND:
            ends.add(operator.inputs[0])
        if operator.code != _FULLY_CONNECTED or operator.inputs[2:3] in ([], [-1]):
            continue
        bias, options = graph.tensors[operator.inputs[2]], operator.options
        cut = options is not None and options.number(_ACTIVATION, "b") != 0
        own = bias.type in BIASES and bias.constant(bias.old, BIASES[bias.type]).size
        if own and uses[bias.buffer] == 1 and not cut:
            name = graph.tensors[operator.outputs[0]].name
            found[name.decode("utf-8", "replace")] = bias
    return found
