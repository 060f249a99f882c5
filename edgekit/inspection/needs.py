"""Needs: what a model file asks of its interpreter, operator by operator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# They take any number of tensors of one type: how many does not matter.
_VARIADIC = {"CONCATENATION", "PACK", "ADD_N", "SPLIT", "SPLIT_V", "UNPACK"}
_VARIADIC |= {"Concat", "Sum", "Split", "Max", "Min"}
# What they hand to the graphs inside of them is asked of the operators there.
_NESTING = {"WHILE", "IF", "CALL", "CALL_ONCE", "STABLEHLO_COMPOSITE", "Loop", "Scan", "If"}


@dataclass(frozen=True)
class Need:
    """One operator, as far as it decides which interpreters can run it.

    Attributes:
        op: its name; for operators beside the standard's, the custom code, or domain and name.
        types: of its inputs and outputs, as ``"float32, const int8/channel > float32"``.
        version: of the operator in TFLite, the opset of its domain in ONNX.
        rank: the most axes among its tensors; in ONNX, which says of no others, among constants.
        tensor: the name of its first output.
    """

    op: str
    types: str
    version: int
    rank: int
    tensor: str


def signature(op: str, inputs: Sequence[str], outputs: Sequence[str]) -> str:
    """The `Need.types` of an operator with these types."""
    if op in _NESTING:
        return ""
    if op in _VARIADIC:
        inputs, outputs = list(dict.fromkeys(inputs)), list(dict.fromkeys(outputs))
    return f"{', '.join(inputs)} > {', '.join(outputs)}"
