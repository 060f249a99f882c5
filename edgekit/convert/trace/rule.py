"""Rule: what stands in for one TensorFlow operation, and what rules ask of a graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Lowered:
    """What stands in for one operation: a function, and the tensors it reads."""

    function: Callable[..., Any]
    inputs: Sequence[Any]


Rule = Callable[[Any, Any], Lowered | None]


def constant_of(tf: Any, tensor: Any) -> Any:
    """The value of a tensor that no input of the model decides, else None."""
    seen, waiting = set(), [tensor.op]
    while waiting:
        operation = waiting.pop()
        if operation.name not in seen:
            if operation.type == "Placeholder":
                return None
            seen.add(operation.name)
            waiting += [given.op for given in operation.inputs]
    with tf.compat.v1.Session(graph=_waiting_for_nothing(tf, tensor, seen)) as session:
        return session.run(tensor.name)


def _waiting_for_nothing(tf: Any, tensor: Any, names: Set[str]) -> Any:
    """The graph of a tensor, or a copy of the operations that it is made of, `names`, if any of them waits.

    tf_keras lets the numbers of a layer wait until its input was looked at.
    """
    made = [tensor.graph.get_operation_by_name(name) for name in sorted(names)]
    if not any(operation.control_inputs for operation in made):
        return tensor.graph
    graph_def = tensor.graph.as_graph_def()
    for place in reversed(range(len(graph_def.node))):
        node = graph_def.node[place]
        if node.name in names:
            node.input[:] = [name for name in node.input if not name.startswith("^")]
        else:
            del graph_def.node[place]
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
    return graph
