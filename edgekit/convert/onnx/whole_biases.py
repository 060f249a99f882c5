"""Whole biases: a Gemm's bias with a number for each output, where the file has one for all.

tf2onnx makes a bias of any constant that is added to a product, such as the 3 of a hard sigmoid. ONNX
stretches it over the outputs; onnxruntime's quantiser takes one number for each.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgekit.errors import require


def give_whole_biases(graph: Any) -> None:
    """Stretch the constant biases of a graph's Gemm operators to shape (outputs,), in place."""
    numpy_helper = require("onnx.numpy_helper", "export", "Quantising an ONNX file")
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        kernel, bias = (constants.get(name) for name in (*node.input, "", "")[1:3])
        if node.op_type != "Gemm" or kernel is None or bias is None:
            continue
        transposed = any(a.name == "transB" and a.i for a in node.attribute)
        outputs = kernel.dims[0 if transposed else 1]
        values = numpy_helper.to_array(bias)
        if values.shape == (outputs,) or values.size not in (1, outputs):
            continue
        # Others may read the one that it was.
        name = f"{bias.name}/{outputs}"
        if name not in constants:
            whole = np.broadcast_to(values.reshape(-1), (outputs,))
            constants[name] = numpy_helper.from_array(np.ascontiguousarray(whole), name)
            graph.initializer.append(constants[name])
        node.input[2] = name
