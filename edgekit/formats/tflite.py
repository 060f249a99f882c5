"""The graphs of a .tflite file, read with the standard library alone."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import TypeVar

from edgekit.errors import ArtifactError, TensorError
from edgekit.formats.flatbuffer import Table, follow, number
from edgekit.formats.graph import Graph, Model, Operator, Tensor
from edgekit.formats.metadata import TFLITE_IDENTIFIER
from edgekit.formats.tflite_check import tflite_fault
from edgekit.tensor import QuantParams

T = TypeVar("T")

# TensorType in schema.fbs, in its order.
_TYPES = [
    "float32",
    "float16",
    "int32",
    "uint8",
    "int64",
    "string",
    "bool",
    "int16",
    "complex64",
    "int8",
    "float64",
    "complex128",
    "uint64",
    "resource",
    "variant",
    "uint32",
    "uint16",
    "int4",
    "bfloat16",
    "int2",
    "uint4",
    "float8e4m3",
    "float8e5m2",
]
# Codes in schema.fbs: BuiltinOperator.CUSTOM, QuantizationDetails.BlockwiseQuantization.
_CUSTOM, _BLOCKWISE = 32, 2

# Fields of the tables in schema.fbs, counted from 0.
_MODEL_CODES, _MODEL_GRAPHS, _MODEL_BUFFERS, _MODEL_SIGNATURES = 1, 2, 4, 7
_GRAPH_TENSORS, _GRAPH_INPUTS, _GRAPH_OUTPUTS, _GRAPH_OPERATORS = 0, 1, 2, 3
_OPERATOR_CODE, _OPERATOR_INPUTS, _OPERATOR_OUTPUTS, _OPERATOR_OPTIONS = 0, 1, 2, 4
_SHAPE, _TYPE, _BUFFER, _NAME, _QUANTIZATION, _VARIABLE, _SIGNATURE = 0, 1, 2, 3, 4, 5, 7
_BUFFER_DATA, _BUFFER_OFFSET, _BUFFER_SIZE = 0, 1, 2
_SCALE, _ZERO_POINT, _QUANTIZATION_KIND, _AXIS = 2, 3, 4, 6
_CODE_OLD, _CODE_CUSTOM, _CODE_VERSION, _CODE_BUILTIN = 0, 1, 2, 3
_SIGNATURE_INPUTS, _SIGNATURE_OUTPUTS, _SIGNATURE_GRAPH = 0, 1, 4
# Options that are one flag each, by operator: {field: name}.
_FLAGS = {"BATCH_MATMUL": {0: "adj_x", 1: "adj_y"}}


def read_tflite(content: bytes, builtins: Sequence[str]) -> Model:
    """Read a file's graphs.

    Args:
        content: the whole file.
        builtins: names of TFLite's built-in operators, by code.

    Raises:
        ArtifactError: the file is damaged or of another kind.
    """
    fault = tflite_fault(content)
    if fault:
        raise ArtifactError(f"not a whole tflite file: {fault}. Get it anew or make it again.")
    model = Table.root(content, TFLITE_IDENTIFIER)
    codes = [_code(code, builtins) for code in model.tables(_MODEL_CODES)]
    sizes = [
        b.number(_BUFFER_SIZE, "Q")
        if b.number(_BUFFER_OFFSET, "Q") > 1
        else b.vector(_BUFFER_DATA, 1)[1]
        for b in model.tables(_MODEL_BUFFERS)
    ]
    read = [_graph(i, graph, codes, sizes) for i, graph in enumerate(model.tables(_MODEL_GRAPHS))]
    graphs = tuple(graph for graph, _ in read)
    for signature in model.tables(_MODEL_SIGNATURES):
        main = signature.number(_SIGNATURE_GRAPH, "I")
        tensors = _at(read, main, "subgraph")[1]
        inputs = _named(signature, _SIGNATURE_INPUTS, tensors)
        outputs = _named(signature, _SIGNATURE_OUTPUTS, tensors)
        return Model("tflite", graphs, main, inputs, outputs)
    main_graph = graphs[0]
    return Model(
        "tflite",
        graphs,
        0,
        {t.name: t for t in main_graph.inputs},
        {t.name: t for t in main_graph.outputs},
    )


def _graph(
    index: int, graph: Table, codes: Sequence[tuple[str, int]], sizes: Sequence[int]
) -> tuple[Graph, list[Tensor]]:
    tensors = [
        _tensor(f"{index}:{i}", table, sizes)
        for i, table in enumerate(graph.tables(_GRAPH_TENSORS))
    ]

    def those(table: Table, field: int) -> tuple[Tensor | None, ...]:
        return tuple(None if i < 0 else tensors[i] for i in _indices(table, field, len(tensors)))

    operators = []
    for table in graph.tables(_GRAPH_OPERATORS):
        op, version = _at(codes, table.number(_OPERATOR_CODE, "I"), "operator code")
        inputs, outputs = those(table, _OPERATOR_INPUTS), those(table, _OPERATOR_OUTPUTS)
        operators.append(Operator(op, inputs, outputs, version, _attributes(op, table)))
    found = Graph(
        tuple(t for t in those(graph, _GRAPH_INPUTS) if t),
        tuple(t for t in those(graph, _GRAPH_OUTPUTS) if t),
        tuple(operators),
        tuple(t for t in tensors if t.constant),
    )
    return found, tensors


def _tensor(key: str, table: Table, sizes: Sequence[int]) -> Tensor:
    kind = table.number(_TYPE, "b")
    buffer = table.number(_BUFFER, "I")
    # The signature of a shape has -1 for open axes; a file without open ones leaves it out.
    shape = _integers(table, _SHAPE, "i")
    signature = _integers(table, _SIGNATURE, "i")
    if len(signature) == len(shape):
        shape = signature
    at = table.find(_QUANTIZATION)
    quantization = None if at is None else Table(table.data, follow(table.data, at))
    return Tensor(
        key,
        table.content(_NAME).decode("utf-8", "replace"),
        _TYPES[kind] if 0 <= kind < len(_TYPES) else f"type {kind}",
        tuple(None if n < 0 else n for n in shape),
        _scales(quantization) if quantization else "",
        constant=_at(sizes, buffer, "buffer") > 0,
        variable=table.number(_VARIABLE, "B") != 0,
        stored=str(buffer),
        stored_bytes=sizes[buffer],
        quantization=_params(quantization) if quantization else None,
    )


def _params(table: Table) -> QuantParams | None:
    start, count = table.vector(_SCALE, 4)
    # Weights have thousands; nobody who asks for inputs and outputs needs them.
    if count != 1:
        return None
    (scale,) = struct.unpack_from("<f", table.data, start)
    zeros = _integers(table, _ZERO_POINT, "q") or [0]
    try:
        return QuantParams((scale,), (zeros[0],))
    except TensorError as error:
        raise ArtifactError(f"{error} The file is damaged.") from error


def _attributes(op: str, operator: Table) -> Mapping[str, int | str]:
    at = operator.find(_OPERATOR_OPTIONS)
    if op not in _FLAGS or at is None:
        return {}
    options = Table(operator.data, follow(operator.data, at))
    return {name: options.number(field, "B") for field, name in _FLAGS[op].items()}


def _integers(table: Table, field: int, code: str) -> list[int]:
    width = struct.calcsize(code)
    start, count = table.vector(field, width)
    return [number(table.data, start + width * i, code) for i in range(count)]


def _named(signature: Table, field: int, tensors: Sequence[Tensor]) -> dict[str, Tensor]:
    return {
        entry.content(0).decode("utf-8", "replace"): _at(tensors, entry.number(1, "I"), "tensor")
        for entry in signature.tables(field)
    }


def _code(code: Table, builtins: Sequence[str]) -> tuple[str, int]:
    builtin = max(code.number(_CODE_OLD, "b"), code.number(_CODE_BUILTIN, "i"))
    version = code.number(_CODE_VERSION, "i", 1)
    if builtin == _CUSTOM:
        return code.content(_CODE_CUSTOM).decode("utf-8", "replace"), version
    # A newer schema's operator has no name here, and no interpreter that is known to run it.
    return (builtins[builtin] if builtin < len(builtins) else f"operator {builtin}"), version


def _scales(quantization: Table) -> str:
    if quantization.number(_QUANTIZATION_KIND, "B") == _BLOCKWISE:
        return "/block"
    start, count = quantization.vector(_SCALE, 4)
    if count < 2:
        return "/tensor" if count else ""
    scales = bytes(quantization.data[start : start + 4 * count])
    # tflite-runtime takes equal scales for one, and gives other answers.
    return "/equal channels" if scales == scales[:4] * count else "/channel"


def _indices(table: Table, field: int, count: int) -> list[int]:
    start, length = table.vector(field, 4)
    indices = [number(table.data, start + 4 * i, "i") for i in range(length)]
    if any(not -1 <= i < count for i in indices):
        raise ArtifactError(f"an operator names a tensor beyond {count}. The file is damaged.")
    return indices


def _at(items: Sequence[T], index: int, what: str) -> T:
    if index >= len(items):
        raise ArtifactError(f"names {what} {index} of {len(items)}. The file is damaged.")
    return items[index]
