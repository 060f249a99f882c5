"""Ends: what each output of a file is made of, so that it can be judged as what it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgekit.formats.graph import Model, Operator, Tensor
from edgekit.formats.onnx_schema import GraphProto, ModelProto, TensorProto
from edgekit.formats.protobuf import Message

VALUES, SOFTMAX, SIGMOID, INTEGERS = "values", "softmax", "sigmoid", "integers"

_KINDS = {"SOFTMAX": SOFTMAX, "Softmax": SOFTMAX, "LOGISTIC": SIGMOID, "Sigmoid": SIGMOID}
# What hands values on, in another shape or number format.
_CARRIERS = {
    *("DEQUANTIZE", "QUANTIZE", "RESHAPE", "SQUEEZE", "EXPAND_DIMS", "CAST"),
    *("DequantizeLinear", "QuantizeLinear", "Reshape", "Squeeze", "Unsqueeze", "Identity", "Cast"),
}

# TensorProto's code of a float32, and its size.
_FLOAT, _FLOAT_BYTES = 1, 4


@dataclass(frozen=True)
class End:
    """What an output is made of.

    Attributes:
        kind: ``"softmax"`` or ``"sigmoid"``, whatever shape or number format it then gets;
            ``"integers"`` of an integer output; else ``"values"``.
        step: of the integers that the output is rounded to, in its own unit; 0 for float.
        logits: of a softmax or sigmoid that is rounded: what goes into it; None where the
            probabilities tell that themselves.
        logits_step: of what goes into a softmax or sigmoid, as `step`.
    """

    kind: str
    step: float = 0.0
    logits: Tensor | None = None
    logits_step: float = 0.0


def ends_of(model: Model, content: bytes) -> dict[str, End]:
    """What each output of a file is made of, by the name that callers use.

    Args:
        model: the file's graphs.
        content: the whole file.
    """
    made = {t.key: o for o in model.graphs[model.main].operators for t in o.outputs if t}
    scales = _scales(content) if model.format == "onnx" else {}
    return {name: _end(tensor, made, scales) for name, tensor in model.outputs.items()}


def _end(output: Tensor, made: Mapping[str, Operator], scales: Mapping[str, float]) -> End:
    step = _step(output, made, scales)
    tensor: Tensor | None = output
    while tensor and (operator := made.get(tensor.key)) and operator.op in _CARRIERS:
        tensor = operator.inputs[0] if operator.inputs else None
    maker = made.get(tensor.key) if tensor else None
    kind = _KINDS.get(maker.op) if maker else None
    if maker is None or kind is None or not maker.inputs:
        whole = output.quantization is None and output.dtype.lstrip("u").startswith("int")
        return End(INTEGERS if whole or output.dtype == "bool" else VALUES, step)
    logits = maker.inputs[0]
    logits_step = _step(logits, made, scales) if logits else 0.0
    return End(kind, step, logits if step else None, logits_step)


def _step(tensor: Tensor, made: Mapping[str, Operator], scales: Mapping[str, float]) -> float:
    """Of the integers that a tensor is rounded to, also where they were made float again since."""
    current: Tensor | None = tensor
    for _ in range(len(_CARRIERS)):
        if current is None:
            return 0.0
        if current.quantization is not None:
            return float(current.quantization.scale[0])
        maker = made.get(current.key)
        if maker is None or maker.op not in _CARRIERS or not maker.inputs:
            return 0.0
        scale = maker.inputs[1] if len(maker.inputs) > 1 else None
        if maker.op == "DequantizeLinear" and scale is not None:
            return scales.get(scale.name, 0.0)
        current = maker.inputs[0]
    return 0.0


def _scales(content: bytes) -> dict[str, float]:
    """The single float constants of an ONNX file, by name, however they are stored."""
    found = {}
    for graph in Message.whole(content).messages(ModelProto.GRAPH):
        for tensor in graph.messages(GraphProto.INITIALIZER):
            if tensor.number(TensorProto.DATA_TYPE) != _FLOAT:
                continue
            for field in (TensorProto.RAW_DATA, TensorProto.FLOAT_DATA):
                # A field of other sizes is one of other constants.
                held = [block for block in tensor.blocks(field) if len(block) == _FLOAT_BYTES]
                if held:
                    found[tensor.text(TensorProto.NAME)] = float(np.frombuffer(held[0], "<f4")[0])
    return found
