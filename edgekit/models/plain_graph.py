"""Plain graphs: signatures of SavedModels that compute in other floats, or compile parts by XLA, rewritten.

A SavedModel has no layers to build or to trace again. But its graph names the type of every number, and marks
the functions that XLA compiles, as those of convolutions in groups, which no converter opens: there both are
changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from edgekit.errors import require

_PURPOSE = "Reading a SavedModel"
# Numbers of tensorflow.DataType.
_FLOAT32 = 1
_OTHER = frozenset({19, 14, 2})  # float16, bfloat16, float64.
_COMPILED = "_XlaMustCompile"


@dataclass(frozen=True)
class Signature:
    """What a signature of a SavedModel computes.

    Attributes:
        call: tensors by input name to tensors by output name.
        inputs, outputs: TensorFlow's tensors or their specs, by name.
        variables: what `call` reads.
        rounds: whether it rounds values itself, as in quantisation-aware training.
    """

    call: Callable[..., dict[str, Any]]
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    variables: tuple[Any, ...]
    rounds: bool = False


def plain(function: Any) -> Signature:
    """A signature with float32 in place of every other float and without functions for XLA alone.

    It stays as it is in a model that changes variables: no constants stand for those.

    Args:
        function: a concrete function with named inputs and outputs.
    """
    names = list(function.structured_input_signature[1])
    read = function.graph.as_graph_def()
    rounds = any(node.op.startswith("FakeQuant") for node in _nodes(read))
    given = Signature(
        function,
        dict(function.structured_input_signature[1]),
        dict(function.structured_outputs),
        tuple(function.variables),
        rounds,
    )
    if not any(_changes(read)):
        return given
    tf = require("tensorflow", "export", _PURPOSE)
    module = require("tensorflow.python.framework.convert_to_constants", "export", _PURPOSE)
    try:
        constant = module.convert_variables_to_constants_v2(function, lower_control_flow=False)
    except ValueError:
        # A variable is assigned to.
        return given
    if len(constant.inputs) != len(names):
        # A table, which is no constant either.
        return given
    graph = constant.graph.as_graph_def()
    for change in list(_changes(graph)):
        change()
    _forget_full_types(graph)
    _rename_functions(graph)
    imported = tf.compat.v1.wrap_function(
        lambda: tf.graph_util.import_graph_def(graph, name=""), []
    )

    def there(tensors: Any) -> list[Any]:
        return [imported.graph.get_tensor_by_name(tensor.name) for tensor in tensors]

    inputs = dict(zip(names, there(constant.inputs), strict=True))
    # Results stand in the order of a dictionary's sorted keys.
    outputs = dict(zip(sorted(given.outputs), there(constant.outputs), strict=True))
    pruned = imported.prune(list(inputs.values()), outputs)

    def call(**tensors: Any) -> dict[str, Any]:
        return dict(pruned(*(tensors[name] for name in names)))

    return Signature(call, inputs, outputs, (), rounds)


def _changes(message: Any) -> Iterator[Callable[[], object]]:
    """For each place of a graph that names another float, or holds one, what makes it float32; and for each
    mark of a function for XLA, what takes it away."""
    name = message.DESCRIPTOR.full_name
    if name == "tensorflow.TensorProto":
        if message.dtype in _OTHER:
            yield partial(_widen, message)
        return
    for field, value in message.ListFields():
        several = list(value) if field.is_repeated else [value]
        if field.message_type is not None:
            if field.message_type.GetOptions().map_entry:
                if field.name == "attr" and _COMPILED in value and value[_COMPILED].b:
                    yield partial(value.pop, _COMPILED)
                inner = field.message_type.fields_by_name["value"]
                several = list(value.values()) if inner.message_type is not None else []
            if field.message_type.full_name == "tensorflow.FullTypeDef":
                continue
            for each in several:
                yield from _changes(each)
        elif field.enum_type is not None and field.enum_type.full_name == "tensorflow.DataType":
            for place, each in enumerate(several):
                if each in _OTHER:
                    yield partial(_set, message, field, place)


def _forget_full_types(graph: Any) -> None:
    """Take out what says the same types once more: TensorFlow infers it by itself."""
    for node in _nodes(graph):
        node.ClearField("experimental_type")
    for function in graph.library.function:
        for argument in (*function.signature.input_arg, *function.signature.output_arg):
            argument.ClearField("experimental_full_type")


def _nodes(graph: Any) -> list[Any]:
    return [*graph.node, *(n for function in graph.library.function for n in function.node_def)]


def _rename_functions(graph: Any) -> None:
    """Loops' bodies under names of their own: those of the original are taken in this process."""
    names = {function.signature.name for function in graph.library.function}
    for node in _nodes(graph):
        if node.op in names:
            node.op = f"{node.op}_float32"
        for attribute in node.attr.values():
            for function in (attribute.func, *attribute.list.func):
                if function.name in names:
                    function.name = f"{function.name}_float32"
    for function in graph.library.function:
        function.signature.name = f"{function.signature.name}_float32"


def _set(message: Any, field: Any, place: int) -> None:
    if field.is_repeated:
        getattr(message, field.name)[place] = _FLOAT32
    else:
        setattr(message, field.name, _FLOAT32)


def _widen(tensor: Any) -> None:
    tf = require("tensorflow", "export", _PURPOSE)
    values = tf.make_ndarray(tensor)
    tensor.CopyFrom(tf.make_tensor_proto(values.astype(np.float32), shape=values.shape))
