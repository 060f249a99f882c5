"""Canonical ONNX: one model, one order and one set of names, whatever the converter's run made of them.

tf2onnx walks sets of strings and counts what it traced, so that node order, inner names and
texts change with the hash seed and with what the process did before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

from edgekit.convert.onnx.origins import Layer, numbered_origin, origins


def make_canonical(proto: Any, layer: Layer = numbered_origin) -> None:
    """Bring a valid ModelProto into its canonical form, in place.

    Nodes come in the order in which a depth-first walk from the outputs needs them; inner tensors
    and nodes are numbered in that order, bodies of Loop, Scan and If included, with the layer that
    they come from in front: ``conv/t7_``. Inputs and outputs of the model keep their names.

    Args:
        proto: the model.
        layer: finds a layer in the names that `proto` has; by default, in those given here before.
    """
    graph = proto.graph
    kept = {value.name: value.name for value in [*graph.input, *graph.output]}
    _rewrite(graph, kept, count(), origins(graph, layer))


def rename(graph: Any, renames: dict[str, str]) -> None:
    """Give tensors of `graph`, and what its bodies read of them, other names."""
    for node in graph.node:
        node.input[:] = [renames.get(name, name) for name in node.input]
        node.output[:] = [renames.get(name, name) for name in node.output]
        for body in bodies(node):
            rename(body, renames)
    for named in [*graph.input, *graph.output, *graph.initializer, *graph.value_info]:
        named.name = renames.get(named.name, named.name)


def _rewrite(
    graph: Any, outer: dict[str, str], numbers: Iterator[int], layers: Mapping[str, str]
) -> None:
    graph.ClearField("doc_string")
    names = dict(outer)

    def named(name: str) -> str:
        # An empty name stands for an optional input that is left out.
        if name and name not in names:
            # The end matters: onnxruntime's quantiser copies a bias that two operators share and
            # calls the copy by the bias's name with a number after it, whoever has that name.
            layer = f"{layers[name]}/" if name in layers else ""
            names[name] = f"{layer}t{next(numbers)}_"
        return names.get(name, name)

    for value in graph.input:
        value.name = named(value.name)
    nodes = ordered(graph)
    for position, node in enumerate(nodes):
        layer = next((f"{layers[name]}/" for name in node.output if name in layers), "")
        node.input[:] = [named(name) for name in node.input]
        node.output[:] = [named(name) for name in node.output]
        node.name = f"{layer}{node.op_type}_{position}"
        node.ClearField("doc_string")
        if not node.domain:
            # Written or left out, it means the same: ONNX's own operators.
            node.ClearField("domain")
        attributes = sorted(node.attribute, key=lambda attribute: attribute.name)
        del node.attribute[:]
        node.attribute.extend(attributes)
        for body in bodies(node):
            for name in free_names(body):
                named(name)
            _without_identities(body)
            _rewrite(body, names, numbers, layers)
            body.name = node.name
    del graph.node[:]
    graph.node.extend(nodes)
    for tensors in (graph.output, graph.initializer, graph.value_info):
        for tensor in tensors:
            tensor.name = named(tensor.name)
            tensor.ClearField("doc_string")
    for tensors in (graph.initializer, graph.value_info):
        by_name = sorted(tensors, key=lambda tensor: tensor.name)
        del tensors[:]
        tensors.extend(by_name)


def _without_identities(body: Any) -> None:
    """Where one value leaves a body twice, chance decides which of the two is the copy. Choose."""
    sources = {node.output[0]: node.input[0] for node in body.node if node.op_type == "Identity"}

    def source(name: str) -> str:
        while name in sources:
            name = sources[name]
        return name

    nodes = [node for node in body.node if node.op_type != "Identity"]
    for node in nodes:
        node.input[:] = [source(name) for name in node.input]
        for inner in bodies(node):
            rename(inner, {name: source(name) for name in sources})
    free = {value.name for value in body.input}
    free.update(name for node in nodes for name in node.output)
    for number, value in enumerate(body.output):
        origin = source(value.name)
        value.name = origin
        if origin in free:
            free.remove(origin)
        else:
            # A body gives its own values only, and each of them once.
            value.name = f"{origin}/copy{number}"
            nodes.append(type(body.node[0])(op_type="Identity"))
            nodes[-1].input.append(origin)
            nodes[-1].output.append(value.name)
    nodes = [_copy(node) for node in nodes]
    del body.node[:]
    body.node.extend(nodes)


def ordered(graph: Any) -> list[Any]:
    """Copies of the nodes, each after those it reads from, by need of the outputs."""
    producers = {name: i for i, node in enumerate(graph.node) for name in node.output if name}
    done: dict[int, None] = {}
    wanted = [value.name for value in graph.output]
    # What no output needs comes last, in the order it has.
    roots = [producers[name] for name in wanted if name in producers] + list(range(len(graph.node)))
    for root in roots:
        stack = [(root, iter(needs(graph.node[root])))]
        while stack:
            index, some = stack[-1]
            if index in done:
                stack.pop()
                continue
            for name in some:
                producer = producers.get(name)
                if producer is not None and producer not in done:
                    stack.append((producer, iter(needs(graph.node[producer]))))
                    break
            else:
                done[index] = None
                stack.pop()
    return [_copy(graph.node[index]) for index in done]


def _copy(node: Any) -> Any:
    copy = type(node)()
    copy.CopyFrom(node)
    return copy


def needs(node: Any) -> list[str]:
    """Every tensor a node reads: its inputs, then what its bodies take from around them."""
    return [*node.input, *(name for body in bodies(node) for name in free_names(body))]


def free_names(graph: Any) -> list[str]:
    """What a body reads and does not make, in an order that no name decides."""
    own = {value.name for value in [*graph.input, *graph.initializer]}
    own.update(name for node in graph.node for name in node.output)
    read = [name for node in ordered(graph) for name in needs(node)]
    read += [value.name for value in graph.output]
    return [name for name in dict.fromkeys(read) if name and name not in own]


def bodies(node: Any) -> list[Any]:
    """The graphs that a node holds, by attribute name."""
    attributes = sorted(node.attribute, key=lambda attribute: attribute.name)
    return [
        body
        for attribute in attributes
        for body in [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]
    ]
