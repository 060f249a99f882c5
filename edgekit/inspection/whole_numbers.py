"""Whole numbers: what decides which place is read, and so may not be rounded on its way there.

Keras takes categories through a float value. Integers of a scale give 4.99 back for a 5, and the cast
cuts that to 4; half precision knows no odd number beyond 2048. The same holds for real numbers that are
cut into buckets, and for what TensorFlow computes of shapes in floats.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from edgekit.formats.graph import Graph, Operator, Tensor

# By TFLite's and ONNX' names. Values that weights, or loops, were multiplied into are rounded anyway:
# what comes before them is not looked at.
_LEARNED = frozenset(
    {
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "CONV_3D",
        "TRANSPOSE_CONV",
        "CONV_3D_TRANSPOSE",
        "FULLY_CONNECTED",
        "BATCH_MATMUL",
        "LSTM",
        "RNN",
        "SVDF",
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        "UNIDIRECTIONAL_SEQUENCE_RNN",
        "BIDIRECTIONAL_SEQUENCE_LSTM",
        "BIDIRECTIONAL_SEQUENCE_RNN",
        "WHILE",
        "IF",
        "CALL_ONCE",
        "STABLEHLO_COMPOSITE",
        "Conv",
        "ConvTranspose",
        "MatMul",
        "Gemm",
        "Einsum",
        "GRU",
        "Loop",
        "If",
        "Scan",
    }
)
# Operators that make a whole number of a real one.
_ROUNDING = frozenset(
    {"FLOOR", "CEIL", "ROUND", "FLOOR_DIV", "FLOOR_MOD", "Floor", "Ceil", "Round", "Mod"}
)
# Those whose angle loses its meaning with the digits behind the point.
_TURNING = frozenset({"SIN", "COS", "Sin", "Cos"})
_COMPARING = frozenset({"EQUAL", "NOT_EQUAL", "Equal"})
# What hands values on as they are, or tells whether they are the same.
_MOVING = frozenset(
    {
        "CONCATENATION",
        "EQUAL",
        "EXPAND_DIMS",
        "GATHER",
        "GATHER_ND",
        "NOT_EQUAL",
        "PACK",
        "RESHAPE",
        "SLICE",
        "SPLIT",
        "SPLIT_V",
        "SQUEEZE",
        "STRIDED_SLICE",
        "TRANSPOSE",
        "UNPACK",
        "Concat",
        "Equal",
        "Gather",
        "Identity",
        "Reshape",
        "Slice",
        "Split",
        "Squeeze",
        "Transpose",
        "Unsqueeze",
    }
)
# What gives integers and does not depend on the last digit of a value, or on no value at all.
_RANKING = frozenset(
    {
        "SHAPE",
        "RANK",
        "ARG_MAX",
        "ARG_MIN",
        "TOPK_V2",
        "QUANTIZE",
        "NON_MAX_SUPPRESSION_V4",
        "NON_MAX_SUPPRESSION_V5",
        "Shape",
        "Size",
        "ArgMax",
        "ArgMin",
        "TopK",
        "NonMaxSuppression",
        "QuantizeLinear",
        "DynamicQuantizeLinear",
    }
)
# Arithmetic that ONNX float16 would do on integers beyond what it holds.
_ARITHMETIC = frozenset(
    {
        "Add",
        "Sub",
        "Mul",
        "Div",
        "Neg",
        "Abs",
        "Min",
        "Max",
        "Pow",
        "Mod",
        "Floor",
        "Ceil",
        "Round",
        "Clip",
        "Where",
        "Cast",
        "Reshape",
        "Squeeze",
        "Unsqueeze",
        "Transpose",
        "Concat",
        "Slice",
        "Gather",
        "GatherND",
        "Split",
        "Expand",
        "Tile",
        "Identity",
        "ReduceSum",
        "ReduceMax",
        "ReduceMin",
    }
)
# Integers up to what half precision holds one by one.
_SHORT = frozenset({"int8", "uint8", "bool"})
_REAL = frozenset({"float32", "float16", "bool"})


def exact_operators(graph: Graph, marks: Collection[str] = ()) -> list[Operator]:
    """The operators that a quantised file leaves in float32, in the graph's order.

    They lead to an integer: to a cast, to a rounding, or, of integers alone, to a sine; or they compare
    with a mark, as a mask of -1 does. What moves or compares such values afterwards belongs to them.

    Args:
        graph: with float values.
        marks: the keys of constants that values may equal and integers of a scale may not: all but 0.
    """
    makers = _makers(graph)
    real = _of_reals(graph, makers)
    found = _behind(
        [
            operator
            for operator in graph.operators
            if _makes_whole(operator)
            or (operator.op in _TURNING and id(operator) not in real)
            or (operator.op in _COMPARING and any(t and t.key in marks for t in operator.inputs))
        ],
        makers,
    )
    whole = {
        t.key
        for o in found.values()
        for t in (*o.inputs, *o.outputs)
        if t and t.dtype == "float32" and not t.constant
    }
    for operator in graph.operators:
        if operator.op in _MOVING and any(t and t.key in whole for t in operator.inputs):
            found[id(operator)] = operator
            whole.update(t.key for t in operator.outputs if t)
    return [operator for operator in graph.operators if id(operator) in found]


def beyond_half(graph: Graph) -> list[Operator]:
    """The operators of an ONNX graph that compute in floats with long integers alone, in its order."""
    long: set[str] = set()
    found = []
    for operator in graph.operators:
        inputs = [t for t in operator.inputs if t]
        if operator.op == "Cast":
            of_integers = any("int" in t.dtype and t.dtype not in _SHORT for t in inputs)
        else:
            of_integers = operator.op in _ARITHMETIC
        reals = [t for t in inputs if t.dtype == "float32"]
        carried = any(t.key in long for t in reals)
        exact = all(t.constant or t.key in long for t in reals)
        if of_integers and exact and (operator.op == "Cast" or carried):
            long.update(t.key for t in operator.outputs if t and t.dtype == "float32")
            found.append(operator)
    return found


def ends_of(graph: Graph, operators: list[Operator]) -> tuple[list[Tensor], list[Tensor]]:
    """The float inputs and outputs of a graph that `operators` read and give."""
    read = {t.key for o in operators for t in o.inputs if t}
    given = {t.key for o in operators for t in o.outputs if t}
    return (
        [t for t in graph.inputs if t.dtype == "float32" and t.key in read],
        [t for t in graph.outputs if t.dtype == "float32" and t.key in given],
    )


def _makers(graph: Graph) -> dict[str, Operator]:
    return {t.key: operator for operator in graph.operators for t in operator.outputs if t}


def _makes_whole(operator: Operator) -> bool:
    """Whether it gives integers, as numbers, that depend on a real value's last digit."""
    if operator.op in _ROUNDING:
        return any(t and t.dtype == "float32" for t in operator.inputs)
    if operator.op in _RANKING or operator.op in _LEARNED:
        return False
    gives = any(t and re.match(r"u?int(16|32|64)", t.dtype) for t in operator.outputs)
    return gives and any(t and t.dtype in _REAL and not t.constant for t in operator.inputs)


def _behind(operators: list[Operator], makers: dict[str, Operator]) -> dict[int, Operator]:
    """Operators and all that their values come from, up to where weights were multiplied in."""
    found: dict[int, Operator] = {}
    waiting = list(operators)
    while waiting:
        each = waiting.pop()
        if id(each) in found or _ends(each):
            continue
        found[id(each)] = each
        waiting.extend(_sources(each, makers))
    return found


def _of_reals(graph: Graph, makers: dict[str, Operator]) -> set[int]:
    """The operators behind which, as `_behind` goes, something reads a float that is not made of integers."""
    readers: dict[int, list[Operator]] = {}
    waiting = []
    for operator in graph.operators:
        if _ends(operator):
            continue
        for source in _sources(operator, makers):
            readers.setdefault(id(source), []).append(operator)
        if not _of_integers(operator, makers):
            waiting.append(operator)
    found: set[int] = set()
    while waiting:
        each = waiting.pop()
        if id(each) not in found:
            found.add(id(each))
            waiting.extend(readers.get(id(each), ()))
    return found


def _ends(operator: Operator) -> bool:
    return operator.op in _LEARNED or operator.op in _RANKING


def _sources(operator: Operator, makers: dict[str, Operator]) -> Iterator[Operator]:
    for tensor in operator.inputs:
        if tensor and tensor.key in makers:
            yield makers[tensor.key]


def _of_integers(operator: Operator, makers: dict[str, Operator]) -> bool:
    """Whether every float that it reads is a constant or made by another operator that reads such."""
    return all(
        t.constant or t.dtype not in _REAL or (t.key in makers and makers[t.key].op not in _LEARNED)
        for t in operator.inputs
        if t
    )


def scope_of(*tensors: Tensor | None) -> str:
    """A pattern for what ai-edge-quantizer calls an operator: the names of what it gives."""
    names = ";".join(tensor.name for tensor in tensors if tensor)
    return f"^{re.escape(names)};?$"
