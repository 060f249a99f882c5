"""Weights of recurrent ONNX operators in int8: onnxruntime has no integer kernel that takes calibrated ranges."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgekit.errors import require

_OPS = ("LSTM", "GRU", "RNN")
# The inputs that hold the weights for the input and for the state.
_WEIGHTS = (1, 2)


def store_recurrent_weights(proto: Any) -> None:
    """Store the weights of LSTM, GRU and RNN operators as int8, which the file turns back; in place.

    Each output channel has a scale; a layer that goes both ways, one for all, because ONNX knows
    scales along one axis only.
    """
    onnx = require("onnx", "export", "Quantising an ONNX file")
    graph = proto.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    added: dict[str, Any] = {}
    for node in [node for node in graph.node if node.op_type in _OPS]:
        for place in _WEIGHTS:
            name = node.input[place]
            if name in constants and constants[name].data_type == onnx.TensorProto.FLOAT:
                if name not in added:
                    added[name] = _stored(onnx, graph, constants[name])
                node.input[place] = added[name].output[0]
    nodes = [*added.values(), *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    read = {name for node in graph.node for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _stored(onnx: Any, graph: Any, tensor: Any) -> Any:
    """The node that gives a tensor's values, of int8 constants that are added to the graph."""
    values = onnx.numpy_helper.to_array(tensor)
    several = values.shape[0] == 1
    largest = np.abs(values).max(axis=(0, 2)) if several else np.abs(values).max()
    scale = np.where(largest > 0, largest / 127, 1).astype(np.float32)
    rounded = np.rint(values / (scale[None, :, None] if several else scale)).astype(np.int8)
    names = [f"{tensor.name}_{word}" for word in ("quantized", "scale", "zero_point")]
    for name, array in zip(names, (rounded, scale, np.zeros(scale.shape, np.int8)), strict=True):
        graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    axis = {"axis": 1} if several else {}
    return onnx.helper.make_node("DequantizeLinear", names, [f"{tensor.name}_float"], **axis)
