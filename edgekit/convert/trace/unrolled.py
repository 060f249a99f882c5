"""Unrolled: a graph with its short loops written out, and what they keep in lists as plain tensors.

A loop whose number of steps follows from constants alone (`tf.map_fn`, `tf.scan`, `keras.ops.fori_loop` and the
like, of a fixed batch) becomes its body, once a step: converters then need no loop of their own, and calibration
sees inside. A condition that constants decide becomes the branch that is taken. A choice among several branches
becomes one between two, as often as it takes, since converters know no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import require
from edgekit.models.source import UNROLLED_STEPS

_LOOPS = frozenset({"While", "StatelessWhile"})
_BRANCHES = frozenset({"If", "StatelessIf"})
_CHOICES = frozenset({"Case", "StatelessCase"})
_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})

# The largest whole numbers that are followed: counters, sizes and places.
_FOLLOWED = 1024
# Operators that a graph may be written out to.
_MOST = 4000


def unrolled(graph_def: Any, ends: Sequence[str]) -> Any | None:
    """A GraphDef that computes what `graph_def` does without loops of at most `UNROLLED_STEPS` steps.

    Args:
        graph_def: without variables; it stays as it is. Its own nodes keep their names.
        ends: the names of the nodes that are its inputs and outputs.

    Returns:
        None if nothing in it can be written out, or only to thousands of operators.
    """
    nodes = [*graph_def.node, *(n for f in graph_def.library.function for n in f.node_def)]
    if not any(node.op in _LOOPS | _BRANCHES | _CHOICES for node in nodes):
        return None
    tf = require("tensorflow", "export", "Exporting a model")
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
    library = type(graph_def)(library=graph_def.library, versions=graph_def.versions)
    walk = _Walk(tf, graph, {f.signature.name: f for f in graph_def.library.function})
    with tf.Graph().as_default() as written:
        tf.import_graph_def(library, name="")
        try:
            walk.write(graph.get_operations(), {}, "")
        except _TooLongError:
            return None
    if not walk.changed:
        return None
    changed = tf.compat.v1.graph_util.extract_sub_graph(
        written.as_graph_def(add_shapes=True), list(ends)
    )
    _drop_unused(changed)
    return changed


def _drop_unused(graph_def: Any) -> None:
    """Take the functions out that no node calls; in place."""
    functions = {f.signature.name: f for f in graph_def.library.function}
    used: set[str] = set()
    waiting = _called(graph_def.node)
    while waiting:
        name = waiting.pop()
        if name in functions and name not in used:
            used.add(name)
            waiting |= _called(functions[name].node_def)
    kept = [function for name, function in functions.items() if name in used]
    del graph_def.library.function[:]
    graph_def.library.function.extend(kept)


def _called(nodes: Sequence[Any]) -> set[str]:
    """The functions that the attributes of nodes name, and the nodes that are calls themselves."""
    names = {node.op for node in nodes}
    for node in nodes:
        for value in node.attr.values():
            names |= {value.func.name, *(function.name for function in value.list.func)}
    return names


class _TooLongError(Exception):
    """More operators than `_MOST`."""


@dataclass
class _Walk:
    """Writes operations once more into the current graph of TensorFlow, its loops as their steps.

    Attributes:
        tf: TensorFlow.
        source: the graph that is written anew; functions are looked up in it.
        functions: FunctionDefs by name.
        values: whole numbers that are known, by `Tensor.ref()`.
        lists: elements of tensors that are lists, None where none was set, by `Tensor.ref()`.
        bodies: graphs of functions by name.
        changed: whether anything was written otherwise.
        count: operators written.
    """

    tf: Any
    source: Any
    functions: dict[str, Any]
    values: dict[Any, NDArray[Any]] = field(default_factory=dict)
    lists: dict[Any, tuple[Any, ...]] = field(default_factory=dict)
    bodies: dict[str, Any] = field(default_factory=dict)
    changed: bool = False
    count: int = 0

    def write(self, operations: Sequence[Any], known: dict[Any, Any], prefix: str) -> None:
        """Write `operations` of one graph, in an order in which they can run.

        Args:
            operations: those whose outputs are known already are left out.
            known: what stands for a tensor of that graph, by `Tensor.ref()`; gets what is written.
            prefix: of names; empty for the graph's own nodes, which keep theirs.
        """
        for operation in operations:
            keys = [tensor.ref() for tensor in operation.outputs]
            if keys and not all(key in known for key in keys):
                inputs = [known[tensor.ref()] for tensor in operation.inputs]
                known.update(zip(keys, self._written(operation, inputs, prefix), strict=True))

    def _written(self, operation: Any, inputs: list[Any], prefix: str) -> list[Any]:
        """What stands for the outputs of an operation."""
        kind, name = operation.type, prefix + operation.name
        if kind in _LOOPS:
            steps = self._loop(operation, inputs, name)
            if steps is not None:
                return steps
        if kind in _CALLS and prefix:
            return self._function(operation.get_attr("f").name, inputs, f"{name}/")
        if kind in _BRANCHES and (side := self._value(inputs[0])) is not None:
            self.changed = True
            branch = operation.get_attr("then_branch" if side.any() else "else_branch")
            return self._function(branch.name, inputs[1:], f"{name}/")
        if kind in _CHOICES:
            self.changed = True
            return self._choice(operation, inputs, name)
        return self._of_list(operation, inputs, name) or self._copied(operation, inputs, prefix)

    def _function(self, name: str, inputs: Sequence[Any], prefix: str) -> list[Any]:
        """What a function gives for `inputs`, written in place of a call."""
        body = self._body(name)
        known = dict(zip((tensor.ref() for tensor in body.inputs), inputs, strict=True))
        self.write(body.get_operations(), known, prefix)
        return [known[tensor.ref()] for tensor in body.outputs]

    def _body(self, name: str) -> Any:
        module = require(
            "tensorflow.python.framework.function_def_to_graph", "export", "Exporting a model"
        )
        if name not in self.bodies:
            with self.source.as_default():
                self.bodies[name] = module.function_def_to_graph(self.functions[name])
        return self.bodies[name]

    def _loop(self, operation: Any, inputs: list[Any], name: str) -> list[Any] | None:
        """What a loop gives; None if its steps are too many, or their number is not known."""
        changed, state = self.changed, list(inputs)
        goes_on, body = (operation.get_attr(key).name for key in ("cond", "body"))
        for step in range(UNROLLED_STEPS + 1):
            (more,) = self._function(goes_on, state, f"{name}/step{step}/")
            more = self._value(more)
            if more is None:
                break
            if not more.any():
                self.changed = True
                return state
            if step < UNROLLED_STEPS:
                state = self._function(body, state, f"{name}/step{step}/")
        self.changed = changed
        return None

    def _choice(self, operation: Any, inputs: list[Any], name: str) -> list[Any]:
        """The branch that a number chooses, the last one for any that is none: as a row of conditionals."""
        place, given = inputs[0], inputs[1:]
        branches = [function.name for function in operation.get_attr("branches")]

        def from_branch(number: int) -> list[Any]:
            def this() -> list[Any]:
                return self._function(branches[number], given, f"{name}/branch{number}/")

            if number == len(branches) - 1:
                return this()
            chosen: list[Any] = self.tf.nest.flatten(
                self.tf.cond(
                    self.tf.equal(place, number, name=f"{name}/is{number}"),
                    this,
                    lambda: from_branch(number + 1),
                    name=f"{name}/choice{number}",
                )
            )
            return chosen

        return from_branch(0)

    def _copied(self, operation: Any, inputs: list[Any], prefix: str) -> list[Any]:
        """The outputs of the operation itself, or the whole numbers that it comes to."""
        numbers = self._computed(operation, inputs)
        if numbers is not None and prefix:
            return [
                self.tf.constant(number, name=f"{prefix}{operation.name}") for number in numbers
            ]
        self.count += 1
        if self.count > _MOST:
            raise _TooLongError
        attributes = {
            key: value for key, value in operation.node_def.attr.items() if not key.startswith("_")
        }
        copy = self.tf.compat.v1.get_default_graph().create_op(
            operation.type,
            inputs,
            [tensor.dtype for tensor in operation.outputs],
            name=prefix + operation.name if prefix else f"{operation.name}/",
            attrs=attributes,
        )
        for place, tensor in enumerate(copy.outputs):
            if tensor.shape.rank is None:
                tensor.set_shape(operation.outputs[place].shape)
            if numbers is not None:
                self.values[tensor.ref()] = numbers[place]
        return list(copy.outputs)

    def _value(self, tensor: Any) -> NDArray[Any] | None:
        """The whole numbers that a tensor holds, if they are few and known."""
        if tensor.ref() in self.values:
            return self.values[tensor.ref()]
        if not (tensor.dtype.is_integer or tensor.dtype.is_bool):
            return None
        if (tensor.shape.num_elements() or 0) > _FOLLOWED:
            return None
        value = self.tf.get_static_value(tensor)
        return None if value is None else np.asarray(value)

    def _computed(self, operation: Any, inputs: list[Any]) -> list[NDArray[Any]] | None:
        """The whole numbers that an operation gives, where it is given only such and they are known."""
        outputs = operation.outputs
        if not inputs or operation.op_def.is_stateful:
            return None
        if not all(t.dtype.is_integer or t.dtype.is_bool for t in outputs):
            return None
        given = [self._value(tensor) for tensor in inputs]
        if any(value is None for value in given):
            return None
        execute = require("tensorflow.python.eager.execute", "export", "Exporting a model")
        context = require("tensorflow.python.eager.context", "export", "Exporting a model")
        attributes: list[Any] = []
        for attribute in operation.op_def.attr:
            value = operation.get_attr(attribute.name)
            attributes += [attribute.name, getattr(value, "as_datatype_enum", value)]
        try:
            with context.eager_mode():
                tensors = [self.tf.constant(value) for value in given]
                results = execute.quick_execute(
                    operation.type, len(outputs), tensors, tuple(attributes), context.context()
                )
                numbers = [np.asarray(result) for result in results]
        # What cannot be computed now is left to the file.
        except (self.tf.errors.OpError, TypeError, ValueError):
            return None
        return numbers if all(number.size <= _FOLLOWED for number in numbers) else None

    # Lists.

    def _of_list(self, operation: Any, inputs: list[Any], name: str) -> list[Any] | None:
        """What an operation on a list gives; None if it is none, or nothing is known of its list.

        The list itself is written as well, for loops that are not written out.
        """
        kind = operation.type
        if kind in ("TensorListGetItem", "TensorListStack", "TensorListLength"):
            items = self.lists.get(inputs[0].ref())
            return None if items is None else self._read(operation, items, inputs, name)
        if kind not in _MAKERS or operation.outputs[0].dtype != self.tf.variant:
            return None
        (written,) = self._copied(operation, inputs, name[: -len(operation.name)])
        items = self._made(kind, inputs, name)
        if items is not None:
            self.lists[written.ref()] = items
        return [written]

    def _made(self, kind: str, inputs: list[Any], name: str) -> tuple[Any, ...] | None:
        """The elements of a list that an operation makes; None if they are not known."""
        if kind == "TensorListFromTensor":
            count = inputs[0].shape[0] if inputs[0].shape.rank else None
            if count is None or count > _FOLLOWED:
                return None
            return tuple(self.tf.unstack(inputs[0], name=f"{name}_elements"))
        if kind == "EmptyTensorList":
            return ()
        if kind == "TensorListReserve":
            count = self._value(inputs[1])
            return None if count is None or count > _FOLLOWED else (None,) * int(count)
        items = self.lists.get(inputs[0].ref())
        if items is None or kind == "Identity":
            return items
        if kind == "TensorListPushBack":
            return (*items, inputs[1])
        place = self._value(inputs[1])
        if place is None or not 0 <= place < len(items):
            return None
        return (*items[: int(place)], inputs[2], *items[int(place) + 1 :])

    def _read(
        self, operation: Any, items: tuple[Any, ...], inputs: list[Any], name: str
    ) -> list[Any] | None:
        if operation.type == "TensorListLength":
            return [self.tf.constant(len(items), name=name)]
        if operation.type == "TensorListGetItem":
            place = self._value(inputs[1])
            if place is None or not 0 <= place < len(items) or items[int(place)] is None:
                return None
            return [items[int(place)]]
        if not items or any(item is None for item in items):
            return None
        return [self.tf.stack(items, name=name)]


# Operations that give a list.
_MAKERS = frozenset({"EmptyTensorList", "Identity", "TensorListFromTensor", "TensorListPushBack"})
_MAKERS |= {"TensorListReserve", "TensorListSetItem"}
