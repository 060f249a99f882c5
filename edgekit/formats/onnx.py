"""The graphs of an .onnx file, read with the standard library alone."""

from __future__ import annotations

from collections.abc import Mapping

from edgekit.errors import ArtifactError
from edgekit.formats.graph import Graph, Model, Operator, Shape, Tensor
from edgekit.formats.onnx_schema import short_names
from edgekit.formats.protobuf import Message

# TensorProto.DataType in onnx.proto, in its order.
_TYPES = [
    "?",
    "float32",
    "uint8",
    "int8",
    "uint16",
    "int16",
    "int32",
    "int64",
    "string",
    "bool",
    "float16",
    "float64",
    "uint32",
    "uint64",
    "complex64",
    "complex128",
    "bfloat16",
    "float8e4m3fn",
    "float8e4m3fnuz",
    "float8e5m2",
    "float8e5m2fnuz",
    "uint4",
    "int4",
]

# Fields of the messages in onnx.proto.
_MODEL_IR, _MODEL_GRAPH, _MODEL_OPSETS = 1, 7, 8
_OPSET_DOMAIN, _OPSET_VERSION = 1, 2
_NODES, _CONSTANTS, _INPUTS, _OUTPUTS, _VALUES = 1, 5, 11, 12, 13
_NODE_INPUTS, _NODE_OUTPUTS, _NODE_OP, _NODE_ATTRIBUTES, _NODE_DOMAIN = 1, 2, 4, 5, 7
_ATTRIBUTE_NAME, _ATTRIBUTE_INT, _ATTRIBUTE_TEXT, _ATTRIBUTE_TENSOR, _ATTRIBUTE_GRAPH = (
    1,
    3,
    4,
    5,
    6,
)
_TENSOR_DIMS, _TENSOR_TYPE, _TENSOR_NAME, _TENSOR_RAW = 1, 2, 8, 9
_VALUE_NAME, _VALUE_TYPE, _TYPE_TENSOR, _ELEMENT, _SHAPE, _DIM, _DIM_VALUE = 1, 2, 1, 1, 2, 1, 1

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


def read_onnx(content: bytes, known: Known | None = None) -> Model:
    """Read a file's graphs.

    Args:
        content: the whole file.
        known: dtypes and shapes of tensors that the file itself does not declare.

    Raises:
        ArtifactError: the file is damaged or of another kind.
    """
    model = Message.whole(content)
    opsets = {
        o.text(_OPSET_DOMAIN): o.number(_OPSET_VERSION) for o in model.messages(_MODEL_OPSETS)
    }
    opsets = {"" if domain == "ai.onnx" else domain: v for domain, v in sorted(opsets.items())}
    graphs: list[Graph] = []
    try:
        for graph in model.messages(_MODEL_GRAPH):
            _read(
                graph,
                {n: Tensor(n, n, *what) for n, what in (known or {}).items()},
                opsets,
                graphs,
            )
    except RecursionError as error:
        raise ArtifactError("graphs lie in graphs too deep to be read. It is hostile.") from error
    if not graphs:
        raise ArtifactError("holds no graph: damaged or no ONNX file.")
    main = graphs[-1]
    return Model(
        "onnx",
        tuple(graphs),
        len(graphs) - 1,
        _by_name(main.inputs),
        _by_name(main.outputs),
        model.number(_MODEL_IR),
        opsets,
    )


def _by_name(tensors: tuple[Tensor, ...]) -> dict[str, Tensor]:
    names = short_names([t.name for t in tensors])
    return dict(zip(names, tensors, strict=True))


def _read(
    graph: Message, tensors: dict[str, Tensor], opsets: Mapping[str, int], graphs: list[Graph]
) -> list[Tensor]:
    """Append a graph to `graphs`, its bodies before it; gives its outputs."""
    for field in (_VALUES, _OUTPUTS, _INPUTS):
        for value in graph.messages(field):
            name = value.text(_VALUE_NAME)
            dtype, shape = _declared(value)
            old = tensors.get(name, Tensor(name, name, "?"))
            tensors[name] = Tensor(
                name, name, dtype or old.dtype, old.shape if shape is None else shape
            )
    constants = [_constant(t, t.text(_TENSOR_NAME)) for t in graph.messages(_CONSTANTS)]
    tensors.update((t.name, t) for t in constants)
    operators = []
    for node in graph.messages(_NODES):
        op, domain = node.text(_NODE_OP), node.text(_NODE_DOMAIN)
        domain = "" if domain == "ai.onnx" else domain
        inputs = tuple(
            tensors.get(name, Tensor(name, name, "?")) if name else None
            for name in node.texts(_NODE_INPUTS)
        )
        attributes = {a.text(_ATTRIBUTE_NAME): a for a in node.messages(_NODE_ATTRIBUTES)}
        bodies = [
            _read(body, dict(tensors), opsets, graphs)
            for _, attribute in sorted(attributes.items())
            for body in attribute.messages(_ATTRIBUTE_GRAPH)
        ]
        names = node.texts(_NODE_OUTPUTS)
        kinds = ["none" if t is None else t.dtype for t in inputs]
        given = _given(op, kinds, attributes, [[t.dtype for t in b] for b in bodies], len(names))
        same = inputs[0].shape if op in _SAME_SHAPE and inputs and inputs[0] else None
        for i, (name, dtype) in enumerate(zip(names, given, strict=True)):
            old = tensors.get(name, Tensor(name, name, "?"))
            new = Tensor(
                name,
                name,
                dtype if old.dtype == "?" else old.dtype,
                same if old.shape is None and i == 0 else old.shape,
            )
            values = [t for a in attributes.values() for t in a.messages(_ATTRIBUTE_TENSOR)]
            if op == "Constant" and values:
                new = _constant(values[0], name)
                constants.append(new)
            tensors[name] = new
        operators.append(
            Operator(
                f"{domain}.{op}" if domain else op,
                inputs,
                tuple(tensors[name] if name else None for name in names),
                opsets.get(domain, 1),
                _attributes(attributes),
            )
        )
    held = {t.name for t in constants}
    ends = [
        [tensors[n] for v in graph.messages(field) if (n := v.text(_VALUE_NAME)) in tensors]
        for field in (_INPUTS, _OUTPUTS)
    ]
    graphs.append(
        Graph(
            tuple(t for t in ends[0] if t.name not in held),
            tuple(ends[1]),
            tuple(operators),
            tuple(constants),
        )
    )
    return ends[1]


def _constant(tensor: Message, name: str) -> Tensor:
    dtype = _type(tensor.number(_TENSOR_TYPE))
    shape = tuple(_whole(n) for n in tensor.numbers(_TENSOR_DIMS))
    plain = Tensor(name, name, dtype, tuple(0 if n is None else n for n in shape))
    return Tensor(
        name,
        name,
        dtype,
        plain.shape,
        constant=True,
        stored=name,
        stored_bytes=plain.size_bytes or 0,
    )


def _declared(value: Message) -> tuple[str, Shape | None]:
    for kind in value.messages(_VALUE_TYPE):
        for tensor in kind.messages(_TYPE_TENSOR):
            dtype = _type(tensor.number(_ELEMENT))
            for shape in tensor.messages(_SHAPE):
                axes = shape.messages(_DIM)
                return dtype, tuple(
                    _whole(d.number(_DIM_VALUE)) if _DIM_VALUE in d else None for d in axes
                )
            return dtype, None
    return "", None


def _whole(size: int) -> int | None:
    """A size; None for one that stands for open, which some write as a negative number."""
    return None if size >> _MOST_BITS else size


def _attributes(attributes: Mapping[str, Message]) -> dict[str, int | str]:
    found: dict[str, int | str] = {
        name: a.number(_ATTRIBUTE_INT) for name, a in attributes.items() if name in _INTEGERS
    }
    if "equation" in attributes:
        found["equation"] = attributes["equation"].text(_ATTRIBUTE_TEXT)
    return found


def properties(content: bytes) -> dict[str, str]:
    """What a file says about itself, by key."""
    pairs = Message.whole(content).messages(14)
    return {pair.text(1): pair.text(2) for pair in pairs}


def _given(
    op: str,
    inputs: list[str],
    attributes: dict[str, Message],
    bodies: list[list[str]],
    count: int,
) -> list[str]:
    """Types of an operator's `count` outputs, as ONNX's "Operators" page has them."""
    plain = [kind.split("/")[0] for kind in inputs]
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
        first = _type(number.number(_ATTRIBUTE_INT)) if number else "uint8"
    elif op in ("Constant", "ConstantOfShape"):
        tensors = [t for a in attributes.values() for t in a.messages(_ATTRIBUTE_TENSOR)]
        first = _type(tensors[0].number(_TENSOR_TYPE)) if tensors else "float32"
        if {"value_int", "value_ints"} & set(attributes):
            first = "int64"
    else:
        like = _LIKE.get(op, 0)
        first = plain[like] if like < len(plain) else "?"
    return [first, *[_SECOND_OUTPUT.get(op, first)] * (count - 1)][:count]


def _type(kind: int) -> str:
    return _TYPES[kind] if 0 <= kind < len(_TYPES) else f"type {kind}"
