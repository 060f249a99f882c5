"""Weights of recurrent ONNX operators and loops in int8: onnxruntime has no integer kernel that takes calibrated ranges."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgekit.errors import require

_OPS = ("LSTM", "GRU", "RNN")
# The inputs that hold the weights for the input and for the state.
_WEIGHTS = (1, 2)


@dataclass(frozen=True)
class _Place:
    """Where an operator of the graph reads a constant weight: the operator, which input, the output channels' axis."""

    node: Any
    input: int
    axis: int


def store_recurrent_weights(proto: Any) -> None:
    """Store the weights of LSTM, GRU, RNN and Loop operators as int8, which the file turns back; in place.

    Each output channel has a scale; a layer that goes both ways, one for all, because ONNX knows
    scales along one axis only. What is turned back is so once an inference, in front of the loop.
    """
    onnx = require("onnx", "export", "Quantising an ONNX file")
    graph = proto.graph
    places = [*_of_recurrent(graph), *_of_loops(onnx, graph)]
    constants = {tensor.name: tensor for tensor in graph.initializer}
    added: dict[str, Any] = {}
    for place in places:
        name = place.node.input[place.input]
        if name in constants and constants[name].data_type == onnx.TensorProto.FLOAT:
            if name not in added:
                added[name] = _stored(onnx, graph, constants[name], place.axis)
            place.node.input[place.input] = added[name].output[0]
    nodes = [*added.values(), *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    read = {name for node in _nodes(graph) for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _of_recurrent(graph: Any) -> Iterator[_Place]:
    for node in graph.node:
        if node.op_type in _OPS:
            for place in _WEIGHTS:
                yield _Place(node, place, 1)


def _of_loops(onnx: Any, graph: Any) -> Iterator[_Place]:
    """Matrices that loops of `graph` multiply with: handed in and carried unchanged, or of the body itself.

    Those of the body are moved in front of the loop, whose body sees them there.
    """
    for loop in graph.node:
        if loop.op_type != "Loop":
            continue
        (body,) = (attribute.g for attribute in loop.attribute if attribute.name == "body")
        own = {tensor.name: tensor for tensor in body.initializer}
        # The number of the step and the condition come first.
        given = {value.name: place for place, value in enumerate(body.input)}
        for node in list(body.node):
            axis = _channels_of(onnx, node)
            if axis is None:
                continue
            name = node.input[1]
            if name in own and len(own[name].dims) == 2:
                graph.initializer.append(own[name])
                body.initializer.remove(own.pop(name))
            if name in given and given[name] >= 2:
                if _unchanged(body, name, given[name] - 1):
                    yield _Place(loop, given[name], axis)
            elif name not in own and name not in {o for n in body.node for o in n.output}:
                yield _Place(node, 1, axis)


def _channels_of(onnx: Any, node: Any) -> int | None:
    """The axis of output channels in the second input of a matrix product; None for another operator."""
    if node.op_type == "MatMul":
        return 1
    if node.op_type == "Gemm":
        values = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        return 0 if values.get("transB", 0) else 1
    return None


def _unchanged(body: Any, name: str, output: int) -> bool:
    """Whether a loop hands the value `name` on as it is, as its output number `output`."""
    copies = {node.output[0]: node.input[0] for node in body.node if node.op_type == "Identity"}
    found = body.output[output].name
    while found in copies:
        found = copies[found]
    return bool(found == name)


def _nodes(graph: Any) -> Iterator[Any]:
    """All operators, those of bodies included."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _nodes(inner)


def _stored(onnx: Any, graph: Any, tensor: Any, axis: int) -> Any:
    """The node that gives a tensor's values, of int8 constants that are added to the graph.

    The scales lie along `axis`; a stack of several matrices, where that is axis 1 of three, has one for all.
    """
    values = onnx.numpy_helper.to_array(tensor)
    several = values.ndim == 2 or values.shape[0] == 1
    others = tuple(i for i in range(values.ndim) if i != axis)
    largest = np.abs(values).max(axis=others, keepdims=True) if several else np.abs(values).max()
    scale = np.where(largest > 0, largest / 127, 1).astype(np.float32)
    rounded = np.rint(values / scale).astype(np.int8)
    scale = scale.reshape(-1) if several else scale
    names = [f"{tensor.name}_{word}" for word in ("quantized", "scale", "zero_point")]
    for name, array in zip(names, (rounded, scale, np.zeros(scale.shape, np.int8)), strict=True):
        graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    along = {"axis": axis} if several else {}
    return onnx.helper.make_node("DequantizeLinear", names, [f"{tensor.name}_float"], **along)
