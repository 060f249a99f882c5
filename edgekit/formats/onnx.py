"""The graphs of an .onnx file, read with the standard library alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from edgekit.errors import ArtifactError
from edgekit.formats.graph import Graph, Model, Operator, Shape, Tensor
from edgekit.formats.onnx_schema import (
    AttributeProto,
    GraphProto,
    ModelProto,
    NodeProto,
    OperatorSetIdProto,
    StringStringEntryProto,
    TensorProto,
    TensorShapeProto,
    TypeProto,
    ValueInfoProto,
    short_names,
    type_name,
)
from edgekit.formats.protobuf import Message

_INTEGERS = {"transA", "transB"}
_SAME_SHAPE = {"QuantizeLinear", "DequantizeLinear", "Relu", "Cast", "Identity", "Clip", "Softmax"}
_MOST_BITS = 63

# What comes out where it is not what goes in first.
_BOOLEAN = {"Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual", "And", "Or", "Xor", "Not"}
_BOOLEAN |= {"IsNaN", "IsInf"}
_WHOLE = {"Shape", "Size", "NonZero", "ArgMax", "ArgMin"}
_FIXED = {
    "DynamicQuantizeLinear": ["uint8", "float32", "uint8"],
    "MatMulInteger": ["int32"],
    "ConvInteger": ["int32"],
}
_SECOND_OUTPUT = {"TopK": "int64", "MaxPool": "int64", "Dropout": "bool"}
# The input that has the output's type.
_LIKE = {"Where": 1, "CastLike": 1, "DequantizeLinear": 1, "OneHot": 2, "QuantizeLinear": 2}
_QLINEAR = {"QLinearConv": 7, "QLinearMatMul": 7, "QLinearAdd": 7, "QLinearMul": 7}
_LIKE |= _QLINEAR

# What another reader found out: {tensor: (dtype, shape)}.
Known = Mapping[str, tuple[str, Shape]]


def read_onnx(content: bytes) -> Model:
    """Read a file's graphs.

    Types of inner tensors follow from those that the file declares; a file need not say them.

    Raises:
        ArtifactError: the file is damaged or of another kind.
    """
    model = Message.whole(content)
    opsets = {
        o.text(OperatorSetIdProto.DOMAIN): o.number(OperatorSetIdProto.VERSION)
        for o in model.messages(ModelProto.OPSET_IMPORT)
    }
    # Both are names of ONNX's own operators.
    opsets = {"" if domain == "ai.onnx" else domain: v for domain, v in sorted(opsets.items())}
    graphs: list[Graph] = []
    try:
        for graph in model.messages(ModelProto.GRAPH):
            _read(graph, {}, opsets, graphs)
    except RecursionError as error:
        raise ArtifactError("graphs lie in graphs too deep to be read. It is hostile.") from error
    if not graphs:
        raise ArtifactError("holds no graph: damaged or no ONNX file.")
    return _model(graphs, model.number(ModelProto.IR_VERSION), opsets)


def completed(model: Model, known: Known) -> Model:
    """A file's graphs with what it does not declare itself: dtypes, and shapes where there are none."""

    def tensor(given: Tensor | None) -> Tensor | None:
        if given is None or given.constant or given.name not in known:
            return given
        dtype, shape = known[given.name]
        return replace(given, dtype=dtype, shape=shape if given.shape is None else given.shape)

    def those(tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
        return tuple(found for each in tensors if (found := tensor(each)))

    graphs: list[Graph] = []

    def graph(given: Graph) -> Graph:
        operators = tuple(
            replace(
                each,
                inputs=tuple(map(tensor, each.inputs)),
                outputs=tuple(map(tensor, each.outputs)),
                bodies=tuple(map(graph, each.bodies)),
            )
            for each in given.operators
        )
        found = Graph(those(given.inputs), those(given.outputs), operators, given.constants)
        graphs.append(found)
        return found

    graph(model.graphs[model.main])
    return _model(graphs, model.ir_version, model.opsets)


def _model(graphs: Sequence[Graph], ir_version: int, opsets: Mapping[str, int]) -> Model:
    main = graphs[-1]
    return Model(
        "onnx",
        tuple(graphs),
        len(graphs) - 1,
        _by_name(main.inputs),
        _by_name(main.outputs),
        ir_version,
        opsets,
    )


def _by_name(tensors: tuple[Tensor, ...]) -> dict[str, Tensor]:
    names = short_names([t.name for t in tensors])
    return dict(zip(names, tensors, strict=True))


def _read(
    graph: Message, tensors: dict[str, Tensor], opsets: Mapping[str, int], graphs: list[Graph]
) -> Graph:
    """Read a graph, and append it to `graphs` behind its bodies.

    Args:
        graph: the message.
        tensors: those of the graphs around it, by name; its own are added.
        opsets: of the file.
        graphs: those that were read before.
    """
    for field in (GraphProto.VALUE_INFO, GraphProto.OUTPUT, GraphProto.INPUT):
        for value in graph.messages(field):
            name = value.text(ValueInfoProto.NAME)
            dtype, shape = _declared(value)
            old = tensors.get(name, Tensor(name, name, "?"))
            tensors[name] = Tensor(
                name, name, dtype or old.dtype, old.shape if shape is None else shape
            )
    constants = [
        _constant(t, t.text(TensorProto.NAME)) for t in graph.messages(GraphProto.INITIALIZER)
    ]
    tensors.update((t.name, t) for t in constants)
    operators = [
        _operator(node, tensors, constants, opsets, graphs)
        for node in graph.messages(GraphProto.NODE)
    ]
    held = {t.name for t in constants}
    inputs, outputs = (
        [
            tensors[name]
            for value in graph.messages(field)
            if (name := value.text(ValueInfoProto.NAME)) in tensors
        ]
        for field in (GraphProto.INPUT, GraphProto.OUTPUT)
    )
    found = Graph(
        tuple(t for t in inputs if t.name not in held),
        tuple(outputs),
        tuple(operators),
        tuple(constants),
    )
    graphs.append(found)
    return found


def _operator(
    node: Message,
    tensors: dict[str, Tensor],
    constants: list[Tensor],
    opsets: Mapping[str, int],
    graphs: list[Graph],
) -> Operator:
    """Read a node; what it gives is added to `tensors`, and to `constants` if it is one."""
    op, domain = node.text(NodeProto.OP_TYPE), node.text(NodeProto.DOMAIN)
    domain = "" if domain == "ai.onnx" else domain
    inputs = tuple(
        tensors.get(name, Tensor(name, name, "?")) if name else None
        for name in node.texts(NodeProto.INPUT)
    )
    attributes = {a.text(AttributeProto.NAME): a for a in node.messages(NodeProto.ATTRIBUTE)}
    bodies = [
        _read(body, dict(tensors), opsets, graphs)
        for _, attribute in sorted(attributes.items())
        for body in attribute.messages(AttributeProto.GRAPH)
    ]
    names = node.texts(NodeProto.OUTPUT)
    kinds = ["none" if t is None else t.dtype for t in inputs]
    given = _given(
        op, kinds, attributes, [[t.dtype for t in b.outputs] for b in bodies], len(names)
    )
    same = inputs[0].shape if op in _SAME_SHAPE and inputs and inputs[0] else None
    held = attributes.values() if op == "Constant" else ()
    values = [tensor for attribute in held for tensor in attribute.messages(AttributeProto.TENSOR)]
    for i, (name, dtype) in enumerate(zip(names, given, strict=True)):
        old = tensors.get(name, Tensor(name, name, "?"))
        new = Tensor(
            name,
            name,
            dtype if old.dtype == "?" else old.dtype,
            same if old.shape is None and i == 0 else old.shape,
        )
        if values:
            new = _constant(values[0], name)
            constants.append(new)
        tensors[name] = new
    return Operator(
        f"{domain}.{op}" if domain else op,
        inputs,
        tuple(tensors[name] if name else None for name in names),
        opsets.get(domain, 1),
        _attributes(attributes),
        tuple(bodies),
    )


def _constant(tensor: Message, name: str) -> Tensor:
    dtype = type_name(tensor.number(TensorProto.DATA_TYPE))
    shape = tuple(_whole(n) for n in tensor.numbers(TensorProto.DIMS))
    known = tuple(0 if n is None else n for n in shape)
    size = Tensor(name, name, dtype, known).size_bytes or 0
    return Tensor(name, name, dtype, known, constant=True, stored=name, stored_bytes=size)


def _declared(value: Message) -> tuple[str, Shape | None]:
    for kind in value.messages(ValueInfoProto.TYPE):
        for tensor in kind.messages(TypeProto.TENSOR_TYPE):
            dtype = type_name(tensor.number(TypeProto.Tensor.ELEM_TYPE))
            for shape in tensor.messages(TypeProto.Tensor.SHAPE):
                return dtype, tuple(map(_size, shape.messages(TensorShapeProto.DIM)))
            return dtype, None
    return "", None


def _size(axis: Message) -> int | None:
    field = TensorShapeProto.Dimension.DIM_VALUE
    return _whole(axis.number(field)) if field in axis else None


def _whole(size: int) -> int | None:
    """A size; None for a dynamic one, which some write as a negative number."""
    return None if size >> _MOST_BITS else size


def _attributes(attributes: Mapping[str, Message]) -> dict[str, int | str]:
    found: dict[str, int | str] = {
        name: a.number(AttributeProto.INT) for name, a in attributes.items() if name in _INTEGERS
    }
    if "equation" in attributes:
        found["equation"] = attributes["equation"].text(AttributeProto.TEXT)
    return found


def properties(content: bytes) -> dict[str, str]:
    """What a file says about itself, by key."""
    pairs = Message.whole(content).messages(ModelProto.METADATA_PROPS)
    entry = StringStringEntryProto
    return {pair.text(entry.KEY): pair.text(entry.VALUE) for pair in pairs}


def _given(
    op: str,
    inputs: list[str],
    attributes: dict[str, Message],
    bodies: list[list[str]],
    count: int,
) -> list[str]:
    """Types of an operator's `count` outputs, as ONNX's "Operators" page has them."""
    if bodies:
        # A Loop's body gives its condition before the values.
        inner = bodies[0][1:] if op == "Loop" else bodies[0]
        return (inner + ["?"] * count)[:count]
    if op in _FIXED:
        return (_FIXED[op] + ["?"] * count)[:count]
    if op in _BOOLEAN:
        first = "bool"
    elif op in _WHOLE:
        first = "int64"
    elif op == "Cast" or (op == "QuantizeLinear" and len(inputs) < 3):
        number = attributes.get("to", attributes.get("output_dtype"))
        first = type_name(number.number(AttributeProto.INT)) if number else "uint8"
    elif op in ("Constant", "ConstantOfShape"):
        tensors = [t for a in attributes.values() for t in a.messages(AttributeProto.TENSOR)]
        first = type_name(tensors[0].number(TensorProto.DATA_TYPE)) if tensors else "float32"
        if {"value_int", "value_ints"} & set(attributes):
            first = "int64"
    else:
        like = _LIKE.get(op, 0)
        first = inputs[like] if like < len(inputs) else "?"
    return [first, *[_SECOND_OUTPUT.get(op, first)] * (count - 1)][:count]
