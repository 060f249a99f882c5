"""Inspect: which operators a file holds, the dtype each computes in, and what stays in float."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from edgekit.errors import require

# Operators that carry values between integers and reals and compute nothing.
_BRIDGES = {"QUANTIZE", "DEQUANTIZE", "QuantizeLinear", "DequantizeLinear"}
_PURPOSE = "Inspecting a file"


@dataclass(frozen=True)
class Operators:
    """The operators of one file.

    Attributes:
        counts: how often each occurs, by the dtype it computes in.
        float_ops: ``{"op", "tensor", "reason"}`` of those that compute in float although the scheme
            asks for integers.
    """

    counts: dict[str, dict[str, int]]
    float_ops: list[dict[str, str]]


def inspect(content: bytes, format: str, scheme: str) -> Operators:
    """Count the operators of a file that edgekit made.

    Args:
        content: the whole file.
        format: ``"tflite"`` or ``"onnx"``.
        scheme: as in `edgekit.artifact.SCHEMES`.
    """
    rows = list(_tflite_rows(content) if format == "tflite" else _onnx_rows(content))
    counts: dict[str, Counter[str]] = {}
    for op, dtype, _ in rows:
        counts.setdefault(dtype, Counter())[op] += 1
    float_ops = []
    if scheme in ("int8", "int16x8"):
        float_ops = [
            {"op": op, "tensor": tensor, "reason": _reason(op, scheme)}
            for op, dtype, tensor in rows
            if dtype == "float32" and op not in _BRIDGES
        ]
    ordered = {dtype: dict(sorted(counts[dtype].items())) for dtype in sorted(counts)}
    return Operators(ordered, float_ops)


def _reason(op: str, scheme: str) -> str:
    return f"the quantiser has no {scheme} version of {op}"


def _tflite_rows(content: bytes) -> Any:
    """(operator, dtype of its first output, name of that output) for each operator."""
    schema = require("ai_edge_litert.schema_py_generated", "export", _PURPOSE)
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    operators = {value: name for name, value in vars(schema.BuiltinOperator).items()}
    types = {value: name.lower() for name, value in vars(schema.TensorType).items()}
    for graph in model.subgraphs:
        for operator in graph.operators:
            code = model.operatorCodes[operator.opcodeIndex]
            builtin = max(code.builtinCode, code.deprecatedBuiltinCode)
            name = operators[builtin]
            if name == "CUSTOM":
                name = code.customCode.decode()
            tensor = graph.tensors[operator.outputs[0]] if len(operator.outputs) else None
            yield name, types[tensor.type] if tensor else "none", _text(tensor)


def _text(tensor: Any) -> str:
    return tensor.name.decode("utf-8", "replace") if tensor is not None and tensor.name else ""


def _onnx_rows(content: bytes) -> Any:
    """(operator, int8 if integers go in and come out, name of its first output)."""
    onnx = require("onnx", "export", _PURPOSE)
    graph = onnx.load_from_string(content).graph
    producers = {name: node.op_type for node in graph.node for name in node.output}
    consumers: dict[str, list[str]] = {}
    for node in graph.node:
        for name in node.input:
            consumers.setdefault(name, []).append(node.op_type)
    for node in graph.node:
        output = node.output[0]
        if node.op_type in _BRIDGES:
            yield node.op_type, "int8", output
            continue
        # The runtime fuses DequantizeLinear, operator, QuantizeLinear into one integer kernel.
        fed = [producers[name] for name in node.input if name in producers]
        read = consumers.get(output, [])
        integer = (
            bool(fed)
            and all(op == "DequantizeLinear" for op in fed)
            and bool(read)
            and all(op == "QuantizeLinear" for op in read)
        )
        yield node.op_type, "int8" if integer else "float32", output
