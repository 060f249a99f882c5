"""The graphs of a .tflite file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgekit.errors import ArtifactError, TensorError
from edgekit.formats import tflite_schema as schema
from edgekit.formats.flatbuffer import Bytes, Span
from edgekit.formats.graph import Graph, Model, Operator, Tensor
from edgekit.formats.tflite_check import read_file
from edgekit.formats.tflite_file import (
    TfliteFile,
    TfliteGraph,
    TfliteOperator,
    TfliteTensor,
)
from edgekit.tensor import QuantParams

_CONVOLUTION = {
    "padding": (schema.Conv2DOptions.PADDING, "b"),
    "stride_h": (schema.Conv2DOptions.STRIDE_H, "i"),
    "stride_w": (schema.Conv2DOptions.STRIDE_W, "i"),
}
# Options that decide about costs and needs, by operator: {name: (field, how it is stored)}.
_OPTIONS = {
    "BATCH_MATMUL": {
        "adj_x": (schema.BatchMatMulOptions.ADJ_X, "B"),
        "adj_y": (schema.BatchMatMulOptions.ADJ_Y, "B"),
    },
    "CONV_2D": _CONVOLUTION,
    "DEPTHWISE_CONV_2D": _CONVOLUTION,
}


def read_tflite(content: Bytes) -> Model:
    """Read a file's graphs.

    Raises:
        ArtifactError: the file is damaged or of another kind.
    """
    return model_of(read_file(content))


def model_of(file: TfliteFile) -> Model:
    """The graphs of a file that was read, with the scales that it holds now.

    Raises:
        ArtifactError: scales that cannot be, or a number that does not lie in its table.
    """
    read = [_graph(i, graph) for i, graph in enumerate(file.graphs)]
    graphs = tuple(graph for graph, _ in read)
    signatures = {s.name: (tuple(s.inputs), tuple(s.outputs)) for s in file.signatures}
    for signature in file.signatures:
        tensors = read[signature.graph][1]
        inputs, outputs = (
            {name: tensors[i] for name, i in named.items()}
            for named in (signature.inputs, signature.outputs)
        )
        return Model("tflite", graphs, signature.graph, inputs, outputs, signatures=signatures)
    inputs, outputs = (
        {tensor.name: tensor for tensor in tensors}
        for tensors in (graphs[0].inputs, graphs[0].outputs)
    )
    return Model("tflite", graphs, 0, inputs, outputs)


def _graph(index: int, graph: TfliteGraph) -> tuple[Graph, list[Tensor]]:
    tensors = [_tensor(f"{index}:{i}", tensor) for i, tensor in enumerate(graph.tensors)]

    def those(places: Sequence[int]) -> tuple[Tensor | None, ...]:
        return tuple(None if i < 0 else tensors[i] for i in places)

    operators = []
    for each in graph.operators:
        op, inputs, outputs = each.op, those(each.inputs), those(each.outputs)
        operators.append(Operator(op, inputs, outputs, each.version, _attributes(op, each)))
    found = Graph(
        tuple(t for t in those(graph.inputs) if t),
        tuple(t for t in those(graph.outputs) if t),
        tuple(operators),
        tuple(t for t in tensors if t.constant),
    )
    return found, tensors


def _tensor(key: str, tensor: TfliteTensor) -> Tensor:
    # The signature of a shape has -1 for dynamic dimensions; a file without any leaves it out.
    shape, signature = tensor.shape, tensor.signature
    if len(signature) == len(shape):
        shape = signature
    size, scales = tensor.constant("u1").count, tensor.scales
    return Tensor(
        key,
        tensor.name,
        tensor.dtype,
        tuple(None if n < 0 else n for n in shape),
        _granularity(tensor, scales),
        constant=size > 0,
        variable=tensor.variable,
        stored=str(tensor.buffer_index),
        stored_bytes=size,
        quantization=_quantization(tensor, scales),
    )


def _granularity(tensor: TfliteTensor, scales: Span) -> str:
    if tensor.blockwise:
        return "/block"
    if scales.count < 2:
        return "/tensor" if scales.count else ""
    found = scales.of(tensor.table.data)
    # tflite-runtime takes equal scales for one, and gives other answers.
    return "/equal channels" if (found.view("<u4") == found.view("<u4")[0]).all() else "/channel"


def _quantization(tensor: TfliteTensor, scales: Span) -> QuantParams | None:
    data = tensor.table.data
    # Weights have thousands; nobody who asks for inputs and outputs needs them.
    if scales.count != 1:
        return None
    zeros = [*tensor.zero_points.of(data).tolist(), 0]
    try:
        return QuantParams((scales.of(data).item(),), (zeros[0],))
    except TensorError as error:
        raise ArtifactError(f"{error} The file is damaged.") from error


def _attributes(op: str, operator: TfliteOperator) -> Mapping[str, int | str]:
    known = _OPTIONS.get(op)
    options = operator.options if known else None
    if known is None or options is None:
        return {}
    return {name: options.number(*stored) for name, stored in known.items()}
