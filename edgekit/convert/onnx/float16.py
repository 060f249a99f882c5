"""Half: ONNX files that store and compute in half precision, by onnxruntime's converter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from edgekit.convert.onnx.beyond_half import beyond_half
from edgekit.convert.onnx.canonical import bodies, make_canonical, rename
from edgekit.convert.onnx.exact import exact_nodes, own_constants, without_rounding
from edgekit.convert.refusals import real_inside_reason
from edgekit.errors import ExportError, one_line, require
from edgekit.formats.onnx import read_onnx
from edgekit.samples import Samples

_PURPOSE = "Making a float16 ONNX file"
# What a rescaling in front of an output is made of, and layers whose bias is an operator of its own.
_SCALING = frozenset({"Add", "Div", "Identity", "Mul", "Reshape", "Sub"})
# What gives numbers of the type that an attribute names: onnxruntime has kernels for float32 alone, and no
# input in half precision, around which it would put casts.
_GIVING = frozenset({"Bernoulli", "EyeLike", "Multinomial", "RandomNormal", "RandomUniform"})
_GIVING |= {"RandomNormalLike", "RandomUniformLike"}
_WITH_BIAS = frozenset({"Conv", "ConvTranspose", "Einsum", "MatMul"})


def float16_onnx(float_file: bytes, samples: Samples | None = None) -> bytes:
    """The file with weights and arithmetic in half precision; inputs and outputs stay float32.

    Args:
        float_file: a ModelProto, serialised.
        samples: to find what half precision has no numbers for, under the file's input names.

    Raises:
        ExportError: onnxruntime's converter cannot treat this model.
    """
    onnx = require("onnx", "export", _PURPOSE)
    converter = require("onnxruntime.transformers.float16", "export", _PURPOSE)
    given = onnx.load_from_string(float_file)
    _leave_out_empty(given.graph)
    _make_constant_outputs(onnx, given.graph)
    exact = exact_nodes(given, read_onnx(float_file), half=True)
    exact += _last_scaling(given.graph)
    exact = sorted({*exact, *beyond_half(given, samples)})
    own_constants(given, exact)
    real = {*converter.DEFAULT_OP_BLOCK_LIST, *_without_half(given), *_GIVING}
    inside = [node for outer in given.graph.node for body in bodies(outer) for node in _nodes(body)]
    hidden = next((node for node in inside if node.op_type in real), None)
    try:
        proto = converter.convert_float_to_float16(
            given, keep_io_types=True, op_block_list=sorted(real), node_block_list=exact
        )
        without_rounding(proto)
        make_canonical(proto)
        onnx.checker.check_model(proto)
    # onnxruntime raises whatever it stumbles over.
    except Exception as error:
        reason = f"onnxruntime refuses: {one_line(error)}"
        if hidden is not None:
            reason = real_inside_reason(hidden.op_type, hidden.name)
        raise ExportError(f"scheme 'float16': {reason}") from error
    content: bytes = proto.SerializeToString(deterministic=True)
    return content


def _leave_out_empty(graph: Any) -> None:
    """Leave out, by an empty name, the inputs of Resize that tf2onnx gives as tensors of no values.

    The converter puts a cast before the scales, and what is cast no longer counts as left out: the
    operator then has sizes and scales, of which it takes one.
    """
    empty = {tensor.name for tensor in graph.initializer if 0 in tensor.dims}
    for node in _nodes(graph):
        if node.op_type == "Resize":
            node.input[:] = ["" if name in empty else name for name in node.input]


def _make_constant_outputs(onnx: Any, graph: Any) -> None:
    """Let a node give each output that is a constant of the file.

    The converter puts its cast behind the node that makes an output, and finds none here.
    """
    constants = {tensor.name for tensor in graph.initializer}
    names = [output.name for output in graph.output if output.name in constants]
    inner = {name: f"{name}/constant" for name in names}
    rename(graph, inner)
    for name in names:
        graph.node.append(onnx.helper.make_node("Identity", [inner[name]], [name]))
    for output in graph.output:
        output.name = next((name for name in names if inner[name] == output.name), output.name)


def _last_scaling(graph: Any) -> list[str]:
    """The nodes that bring outputs to the user's unit, by constants: they lead to a float32 output anyway.

    In half precision 52.31 would be one of 52.28 and 52.31. What adds a layer's bias is left to it.
    """
    constants = {tensor.name for tensor in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}
    waiting, found = [output.name for output in graph.output], []
    while waiting:
        node = makers.get(waiting.pop())
        given = [name for name in node.input if name not in constants] if node else []
        if node is None or node.op_type not in _SCALING or len(given) != 1:
            continue
        before = makers.get(given[0])
        if not (node.op_type == "Add" and before and before.op_type in _WITH_BIAS):
            found.append(node.name)
            waiting += given
    return found


def _without_half(proto: Any) -> set[str]:
    """Operators that ONNX defines for float32 and not for float16, in the model's opset."""
    onnx = require("onnx", "export", _PURPOSE)
    opset = next(entry.version for entry in proto.opset_import if not entry.domain)
    found = set()
    for node in _nodes(proto.graph):
        if not node.domain and onnx.defs.has(node.op_type, opset):
            inputs = onnx.defs.get_schema(node.op_type, opset).inputs
            types = inputs[0].types if inputs else ()
            if "tensor(float)" in types and "tensor(float16)" not in types:
                found.add(node.op_type)
    return found


def _nodes(graph: Any) -> Iterator[Any]:
    """All nodes, those of bodies too."""
    for node in graph.node:
        yield node
        for body in bodies(node):
            yield from _nodes(body)
