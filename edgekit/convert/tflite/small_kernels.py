"""Small kernels: what a `dynamic` file leaves in float because integers there lose much and save little.

The inputs of a layer with integer weights are rounded in each inference, with one scale for all channels, so
that every such layer loses something, whatever its size. The first layers of a network are small, and what they
lose goes through all that follow. TensorFlow's converter leaves kernels of fewer than 1,024 weights in float.
"""

from __future__ import annotations

import re

from edgekit.formats.tflite_file import TfliteFile

# Operators with a kernel as their second input, by TFLite's names.
_LAYERS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"})
# Weights from which a kernel is stored in integers.
_FEWEST = 1024
# By what share of all kernels' bytes a file may grow: small networks are made of such kernels.
_SHARE = 0.05
# Bytes that a weight takes more in float32 than in int8.
_MORE = 3


def small_kernels(float_file: TfliteFile) -> list[tuple[str, str]]:
    """Of each operator with a small kernel: its name, and a pattern for the names of what it computes.

    None where all of them together would make the file larger by more than a twentieth.

    Args:
        float_file: has the kernels.
    """
    graph = float_file.graphs[0]
    sizes: dict[int, int] = {}
    found: list[tuple[str, str]] = []
    for operator in graph.operators:
        if operator.op not in _LAYERS:
            continue
        kernel = graph.tensors[operator.inputs[1]]
        count = kernel.constant("<f4").count if kernel.dtype == "float32" else 0
        sizes[kernel.buffer_index] = count
        if 0 < count < _FEWEST:
            scope = ";".join(graph.tensors[i].name for i in operator.outputs)
            found.append((operator.op, f"^{re.escape(scope)};?$"))
    more = _MORE * sum(count for count in sizes.values() if count < _FEWEST)
    return found if more <= _SHARE * sum(sizes.values()) else []
