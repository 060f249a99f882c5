"""Late: DequantizeLinear stands behind the operators that only move values, where a body reads what they give.

onnxruntime moves it there itself, and 1.32 ends the process (an assertion of a vector's index) where the
reader is the body of a loop or of a branch.
"""

from __future__ import annotations

from typing import Any

from edgekit.convert.onnx.canonical import bodies, free_names
from edgekit.errors import require

_MOVING = frozenset({"Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"})


def dequantize_late(proto: Any) -> None:
    """Move them in place; those with a scale a channel, whose axis would move with the values, stay."""
    onnx = require("onnx", "export", "Quantising an ONNX file")
    graph = proto.graph
    makers = {name: node for node in graph.node for name in node.output}
    single = {tensor.name for tensor in graph.initializer if not tensor.dims}
    read = {n for node in graph.node for body in bodies(node) for n in free_names(body)}
    waiting = sorted(read)
    carried = set(waiting)
    while waiting:
        node = makers.get(waiting.pop())
        if node is not None and node.op_type in _MOVING and node.input[0] not in carried:
            carried.add(node.input[0])
            waiting.append(node.input[0])
    for node in list(graph.node):
        if node.op_type not in _MOVING or node.output[0] not in carried:
            continue
        given = makers.get(node.input[0])
        if given is None or given.op_type != "DequantizeLinear" or given.input[1] not in single:
            continue
        integers, name = f"{node.output[0]}/integers", node.output[0]
        node.input[0], node.output[0] = given.input[0], integers
        late = onnx.helper.make_node("DequantizeLinear", [integers, *given.input[1:]], [name])
        graph.node.append(late)
        makers |= {integers: node, name: late}
