"""Whole biases: a Gemm's bias of its own, with a number for each output.

tf2onnx makes a bias of any constant that is added to a product, such as the 3 of a hard sigmoid. ONNX
stretches it over the outputs; onnxruntime's quantiser takes one number for each. And where an addition reads
the same constant, as in the steps of a recurrent cell behind the first, the quantiser makes one tensor of
both 32-bit integers for the product and 8-bit integers for the addition.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgekit.errors import require

_WITH_BIASES = frozenset({"Conv", "ConvTranspose", "Gemm"})


def give_whole_biases(graph: Any) -> None:
    """Give a graph's Gemm operators constant biases of shape (outputs,), which no sum reads; in place."""
    numpy_helper = require("onnx.numpy_helper", "export", "Quantising an ONNX file")
    constants = {tensor.name: tensor for tensor in graph.initializer}
    summed = {n for node in graph.node if node.op_type not in _WITH_BIASES for n in node.input}
    for node in graph.node:
        if node.op_type != "Gemm":
            continue
        kernel, bias = (constants.get(name) for name in (*node.input, "")[1:3])
        if kernel is None or bias is None:
            continue
        transposed = any(a.name == "transB" and a.i for a in node.attribute)
        outputs = kernel.dims[0 if transposed else 1]
        values = numpy_helper.to_array(bias)
        if values.size not in (1, outputs):
            continue
        if values.shape == (outputs,) and bias.name not in summed:
            continue
        # Others may read the one that it was.
        name = f"{bias.name}/{outputs}"
        if name not in constants:
            whole = np.broadcast_to(values.reshape(-1), (outputs,))
            constants[name] = numpy_helper.from_array(np.ascontiguousarray(whole), name)
            graph.initializer.append(constants[name])
        node.input[2] = name
