"""Layout: what is done to each value alike waits until values have the layout that layers need.

onnxruntime's arithmetic goes along the last axis. In an image of one channel, shape (1, 28, 28, 1), that
has one value; behind the Reshape to (1, 1, 28, 28) that a convolution needs it has 28.
"""

from __future__ import annotations

from typing import Any

from edgekit.convert.onnx.canonical import bodies, rename

_ALIKE = frozenset({"Add", "Div", "Mul", "Sub"})


def reshape_first(graph: Any) -> None:
    """Move arithmetic with one constant number behind a Reshape of its result, in place.

    Every value is computed from the same numbers as before. Nodes come in any order afterwards.
    """
    scalars = {tensor.name for tensor in graph.initializer if not tensor.dims}
    while any(_moved(graph, node, scalars) for node in graph.node):
        pass


def _moved(graph: Any, reshape: Any, scalars: set[str]) -> bool:
    """Whether what `reshape` reads was such arithmetic, read by nobody else, and stands behind it now."""
    if reshape.op_type != "Reshape":
        return False
    early, late = reshape.input[0], reshape.output[0]
    node = next((node for node in graph.node if early in node.output), None)
    if node is None or node.op_type not in _ALIKE:
        return False
    places = [i for i, name in enumerate(node.input) if name not in scalars]
    given = {output.name for output in graph.output}
    if len(places) != 1 or given & {early, late} or _readers(graph, early) != 1:
        return False
    rename(graph, {early: late, late: early})
    # Each keeps its name, from which its layer is known; of the shapes one is no longer true.
    reshape.input[0], reshape.output[0] = node.input[places[0]], late
    node.input[places[0]], node.output[0] = late, early
    for value in [value for value in graph.value_info if value.name == late]:
        graph.value_info.remove(value)
    return True


def _readers(graph: Any, name: str) -> int:
    """How often a graph and its bodies read a tensor."""
    inner = (body for node in graph.node for body in bodies(node))
    own = sum(list(node.input).count(name) for node in graph.node)
    return own + sum(_readers(body, name) for body in inner)
