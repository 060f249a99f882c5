"""Constant noise: random numbers without any spread are written as the constants that they are.

tf2onnx brings a factor behind a normal distribution into it, and a model may keep noise that it switched off
by a factor of 0. onnxruntime draws from a distribution of the standard library, which must not have a
deviation of 0: the program that loads such a file is ended by SIGABRT.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgekit.convert.onnx.canonical import bodies
from edgekit.errors import require

_NORMAL = frozenset({"RandomNormal", "RandomNormalLike"})


def without_constant_noise(graph: Any) -> None:
    """Put a constant in place of each normal distribution with a deviation of 0, in place."""
    onnx = require("onnx", "export", "Exporting to ONNX")
    nodes = []
    for node in graph.node:
        for body in bodies(node):
            without_constant_noise(body)
        given = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
        if node.op_type not in _NORMAL or given.get("scale", 1.0) != 0:
            nodes.append(node)
            continue
        dtype = onnx.helper.tensor_dtype_to_np_dtype(given.get("dtype", onnx.TensorProto.FLOAT))
        mean = np.full(given.get("shape", [1]), given.get("mean", 0.0), dtype)
        value, (name,) = onnx.numpy_helper.from_array(mean), node.output
        if node.op_type == "RandomNormal":
            nodes.append(onnx.helper.make_node("Constant", [], [name], node.name, value=value))
            continue
        shape = f"{name}/shape"
        nodes.append(onnx.helper.make_node("Shape", list(node.input), [shape], shape))
        nodes.append(
            onnx.helper.make_node("ConstantOfShape", [shape], [name], node.name, value=value)
        )
    del graph.node[:]
    graph.node.extend(nodes)
