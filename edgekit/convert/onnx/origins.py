"""Origins: which layer each tensor of an ONNX graph comes from, so that its name can say so.

tf2onnx names tensors after the trace, ``model/conv_1/Relu:0``, and what it adds itself after nothing,
``Transpose__49:0``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# The layer that a tensor's or a node's name speaks of; None if it speaks of none.
Layer = Callable[[str], str | None]


def origins(graph: Any, layer: Layer) -> dict[str, str]:
    """Layers by the names of tensors that nodes of `graph`, and of the bodies in it, give.

    What a name does not tell is taken from the first node that reads the tensor, else from what the
    tensor was made of.
    """
    found: dict[str, str] = {}
    for node in graph.node:
        told = layer(node.name) or next(filter(None, map(layer, node.output)), None)
        found.update(dict.fromkeys(node.output, told) if told else {})
        for attribute in node.attribute:
            for body in [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]:
                found.update(origins(body, layer))
    readers: dict[str, Any] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, node)
    # Nodes stand behind those that they read from.
    for node in reversed(graph.node):
        _inherit(found, node, [name for out in node.output for name in _given(readers.get(out))])
    for node in graph.node:
        _inherit(found, node, node.input)
    return found


def _given(node: Any) -> list[str]:
    return [] if node is None else list(node.output)


def _inherit(found: dict[str, str], node: Any, names: Any) -> None:
    if not any(name in found for name in node.output):
        told = next((found[name] for name in names if name in found), None)
        found.update(dict.fromkeys(node.output, told) if told else {})


def numbered_origin(name: str) -> str | None:
    """The layer in a name that `make_canonical` gave, ``conv/t7_``."""
    return name.rpartition("/")[0] or None
