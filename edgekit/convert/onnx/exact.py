"""Exact: the nodes of an ONNX file that stay in float32, since whole numbers depend on them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Set
from math import prod
from typing import Any

from edgekit.convert.onnx.canonical import bodies
from edgekit.errors import require
from edgekit.formats.graph import Model
from edgekit.inspection.whole_numbers import beyond_half, exact_operators


def exact_nodes(proto: Any, model: Model, *, half: bool = False) -> list[str]:
    """The names of those nodes; each node of the main graph gets one, if it has none of its own.

    Args:
        proto: the ModelProto, in float32.
        model: the same, read.
        half: for float16: also what computes with integers that half precision does not hold.
    """
    seen: set[str] = set()
    for number, node in enumerate(proto.graph.node):
        if not node.name or node.name in seen:
            node.name = f"{node.op_type}#{number}"
        seen.add(node.name)
    graph = model.graphs[model.main]
    operators = exact_operators(graph, _marks(proto)) + (beyond_half(graph) if half else [])
    given = {operator.tensor for operator in operators}
    return [node.name for node in proto.graph.node if node.output and node.output[0] in given]


def _marks(proto: Any) -> set[str]:
    """The names of single float constants that are not zero."""
    onnx = require("onnx", "export", "Quantising an ONNX file")
    return {
        tensor.name
        for tensor in proto.graph.initializer
        if tensor.data_type == onnx.TensorProto.FLOAT and prod(tensor.dims) == 1
        if onnx.numpy_helper.to_array(tensor).any()
    }


def own_constants(proto: Any, names: Collection[str]) -> None:
    """Give these nodes constants of their own, which nobody else's precision changes."""
    constants = {tensor.name: tensor for tensor in proto.graph.initializer}
    copies: dict[str, str] = {}
    for node in proto.graph.node:
        if node.name not in names:
            continue
        for place, name in enumerate(node.input):
            if name not in constants:
                continue
            if name not in copies:
                copies[name] = f"{name}/exact"
                copy = proto.graph.initializer.add()
                copy.CopyFrom(constants[name])
                copy.name = copies[name]
            node.input[place] = copies[name]


def read_as_before(proto: Any, plain: Any, names: Collection[str]) -> None:
    """Let these nodes of a quantised file read what they read in `plain`, not its rounded twin."""
    before = {node.name: list(node.input) for node in plain.graph.node}
    there = {value.name for value in proto.graph.input}
    there |= {tensor.name for tensor in proto.graph.initializer}
    there |= {name for node in proto.graph.node for name in node.output}
    for node in proto.graph.node:
        if node.name in names and node.name in before:
            pairs = zip(before[node.name], node.input, strict=True)
            node.input[:] = [old if old in there else new for old, new in pairs]


def without_rounding(proto: Any) -> None:
    """Take out casts to half precision and back: who computes in float32 reads float32 where there is some."""
    single, half = 1, 10
    casts = {
        node.output[0]: (node.input[0], next(a.i for a in node.attribute if a.name == "to"))
        for node in proto.graph.node
        if node.op_type == "Cast"
    }
    halved = {name: given for name, (given, to) in casts.items() if to == half}
    back = {
        name: halved[given]
        for name, (given, to) in casts.items()
        if to == single and given in halved
    }
    outputs = {value.name for value in proto.graph.output}
    floats = _single(proto)
    for node in proto.graph.node:
        # What gives an output of the model keeps its place, and hands on what was there before.
        if node.op_type == "Cast" and node.output[0] in back.keys() & outputs:
            if back[node.output[0]] in floats:
                node.op_type, node.input[:] = "Identity", [back[node.output[0]]]
                del node.attribute[:]
            continue
        node.input[:] = [
            back[name] if name in back and back[name] in floats else name for name in node.input
        ]
    _drop_unread(proto.graph, casts.keys(), outputs)


def _drop_unread(graph: Any, casts: Set[str], outputs: Collection[str]) -> None:
    """Take out casts, and constants, that nobody reads any more."""
    while True:
        read = {*_read(graph), *outputs}
        idle = [n for n in graph.node if n.op_type == "Cast" and n.output[0] in casts - read]
        if not idle:
            break
        for node in idle:
            graph.node.remove(node)
    kept = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _read(graph: Any) -> Iterator[str]:
    """What nodes read, and bodies hand on, which they may have from outside."""
    for node in graph.node:
        yield from node.input
        for body in bodies(node):
            yield from _read(body)
            yield from (value.name for value in body.output)


def _single(proto: Any) -> set[str]:
    """Tensors that are known to be of float32."""
    values = [*proto.graph.input, *proto.graph.value_info]
    return {value.name for value in values if value.type.tensor_type.elem_type == 1}
