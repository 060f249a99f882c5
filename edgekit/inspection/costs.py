"""Costs: multiply-accumulates, weights and memory of a graph, worked out and not measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from edgekit.formats.graph import Graph, Operator, Tensor, product

# TFLite aligns tensors to 64 bytes: kDefaultTensorAlignment in tensorflow/lite/util.h.
ALIGNMENT = 64
# Placing n tensors takes on the order of n squared steps; those of all graphs of a file together.
_MOST_STEPS = 5000**2
# What sums of sizes stay below, so that numpy can count them.
_MOST_BYTES = 1 << 62

# Kernel's input, axes of the kernel that one value of the output goes through; the last dimension of
# TFLite's kernels, and all but the first of ONNX's, hold the input channels of one group.
_PER_OUTPUT = {
    "CONV_2D": (1, slice(1, None)),
    "DEPTHWISE_CONV_2D": (1, slice(1, 3)),
    "CONV_3D": (1, slice(0, 4)),
    "FULLY_CONNECTED": (1, slice(1, None)),
    "Conv": (1, slice(1, None)),
    "ConvInteger": (1, slice(1, None)),
    "QLinearConv": (3, slice(1, None)),
}
# Input, kernel's input, axes of the kernel that one value of the input goes through.
_PER_INPUT = {
    "TRANSPOSE_CONV": (2, 1, slice(0, 3)),
    "CONV_3D_TRANSPOSE": (2, 1, slice(0, 4)),
    "ConvTranspose": (0, 1, slice(1, None)),
}
# The input whose last axis is summed over, and the attribute that makes it the last but one.
_PRODUCTS = {
    "BATCH_MATMUL": "adj_x",
    "MatMul": "",
    "MatMulInteger": "",
    "QLinearMatMul": "",
    "Gemm": "transA",
}
# Matrices of one step, by their place among the inputs.
_RECURRENT = {
    "UNIDIRECTIONAL_SEQUENCE_LSTM": (*range(1, 9), 16),
    "UNIDIRECTIONAL_SEQUENCE_RNN": (1, 2),
    "LSTM": (1, 2),
    "GRU": (1, 2),
    "RNN": (1, 2),
}


def macs(operator: Operator) -> int | None:
    """Multiply-accumulates of one run of an operator; 0 for those that multiply no matrices.

    Convolution, grouped and depthwise too, of any rank: values of the output x kernel's size x
    input channels of a group. Transposed: values of the input x kernel's size x output channels of
    a group, those cropped at the border included. Dense layers and products of matrices: values of
    the output x length of the axis summed over. Einsum of n operands: the product of all labels'
    sizes x (n - 1). Recurrent layers: steps x batch x values of the matrices. Axes that the file
    leaves open count as 1, and so does each run of a loop's body.

    Returns:
        None where the file does not say the shapes that it takes.
    """
    op = operator.op
    try:
        if op in _PER_OUTPUT:
            at, axes = _PER_OUTPUT[op]
            return _values(operator.outputs[0]) * product(_shape(operator.inputs[at])[axes])
        if op in _PER_INPUT:
            x, at, axes = _PER_INPUT[op]
            return _values(operator.inputs[x]) * product(_shape(operator.inputs[at])[axes])
        if op in _PRODUCTS:
            flipped = operator.attributes.get(_PRODUCTS[op], 0)
            inner = _shape(operator.inputs[0])[-2 if flipped else -1]
            return _values(operator.outputs[0]) * product((inner,))
        if op in ("Einsum", "EINSUM") and "equation" in operator.attributes:
            return _einsum(operator)
        if op in _RECURRENT:
            steps = product(_shape(operator.inputs[0])[:-1])
            places = [i for i in _RECURRENT[op] if i < len(operator.inputs)]
            # A TFLite file leaves matrices out; ONNX has none to leave out.
            return steps * sum(_values(t) for i in places if (t := operator.inputs[i]))
    except (_Unknown, IndexError):
        return None
    return 0


class _Unknown(Exception):
    pass


def _shape(tensor: Tensor | None) -> tuple[int | None, ...]:
    if tensor is None or tensor.shape is None:
        raise _Unknown
    return tensor.shape


def _values(tensor: Tensor | None) -> int:
    return product(_shape(tensor))


def _einsum(operator: Operator) -> int:
    terms = str(operator.attributes["equation"]).replace(" ", "").split("->")[0].split(",")
    sizes: dict[str, int | None] = {}
    for term, tensor in zip(terms, operator.inputs, strict=False):
        shape, letters = list(_shape(tensor)), term.replace("...", ".")
        hidden = len(shape) - len(letters.replace(".", ""))
        if hidden < 0:
            raise _Unknown
        for letter in letters:
            # The dots stand for axes that are counted from the last.
            labels = [f".{hidden - i}" for i in range(hidden)] if letter == "." else [letter]
            for label in labels:
                sizes[label] = max(sizes.get(label) or 1, (shape.pop(0) if shape else 1) or 1)
    return product(tuple(sizes.values())) * max(len(terms) - 1, 1)


def weights(graphs: Iterable[Graph]) -> dict[str, int]:
    """Bytes that constants take in the file, by dtype; bytes that tensors share count once."""
    found: dict[str, int] = {}
    stored = {t.stored: t for graph in graphs for t in graph.constants}
    for tensor in stored.values():
        found[tensor.dtype] = found.get(tensor.dtype, 0) + tensor.stored_bytes
    return dict(sorted(found.items()))


@dataclass(frozen=True)
class Memory:
    """Memory for what flows, in bytes, dynamic dimensions counted as 1.

    Attributes:
        sum_bytes: of all tensors that operators give and callers hand over.
        peak_arena_bytes: of an arena that they share, as `arena` lays it out; None if they are too
            many, or too large, to be laid out.
        unknown: how many tensors are left out because the file does not say their size.
    """

    sum_bytes: int
    peak_arena_bytes: int | None
    unknown: int


def memory(graphs: Iterable[Graph]) -> Memory:
    """What the tensors of all graphs take; each graph has an arena of its own, as in TFLite."""
    total, peak, unknown, steps = 0, 0, 0, 0
    laid_out = True
    for graph in graphs:
        spans, missing = lifetimes(graph)
        total, unknown = total + sum(size for size, _, _ in spans), unknown + missing
        steps += len(spans) ** 2
        laid_out = laid_out and steps <= _MOST_STEPS and total < _MOST_BYTES
        peak += arena(spans) if laid_out else 0
    return Memory(total, peak if laid_out else None, unknown)


def lifetimes(graph: Graph) -> tuple[list[tuple[int, int, int]], int]:
    """(bytes, first operator, last operator) of each tensor of a graph that is no constant.

    Inputs, outputs and variables are kept to the end, inputs and variables from the beginning, as
    TFLite's ArenaPlanner does it.

    Returns:
        The tensors' spans, and how many tensors have no known size.
    """
    end = len(graph.operators)
    tensors: dict[str, Tensor] = {}
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for tensor in graph.inputs:
        tensors[tensor.key], first[tensor.key], last[tensor.key] = tensor, 0, end
    for i, operator in enumerate(graph.operators):
        made = {t.key for t in operator.outputs if t}
        for tensor in (t for t in (*operator.inputs, *operator.outputs) if t):
            if not tensor.constant and (tensor.variable or tensor.key in made):
                tensors.setdefault(tensor.key, tensor)
                first.setdefault(tensor.key, 0 if tensor.variable else i)
            if tensor.key in tensors:
                kept = end if tensor.variable else i
                last[tensor.key] = max(last.get(tensor.key, 0), kept)
    for tensor in graph.outputs:
        if tensor.key in tensors:
            last[tensor.key] = end
    spans = [
        (size, first[key], last[key])
        for key, tensor in tensors.items()
        if (size := tensor.size_bytes) is not None
    ]
    return spans, len(tensors) - len(spans)


def arena(spans: Sequence[tuple[int, int, int]]) -> int:
    """Bytes of an arena in which no two tensors overlap that live at the same time.

    An estimate: tensors are placed greedily, those that live throughout first, then the larger
    first, each in the smallest gap that holds it, at multiples of `ALIGNMENT`: the order and the
    rule of TFLite's planner (tensorflow/lite/arena_planner.cc, simple_memory_arena.cc). What kernels
    want for themselves, and tensors inside a delegate's partition, which the delegate places, it
    does not know.

    Args:
        spans: (bytes, first operator, last operator) of each tensor, both ends included.
    """
    end = max((last for _, _, last in spans), default=0)
    order = sorted(spans, key=lambda s: ((s[1], s[2]) != (0, end), -s[0], s[1]))
    # Of each tensor that is placed: where it begins and ends, and when.
    starts, stops, firsts, lasts = (np.zeros(len(order), np.int64) for _ in range(4))
    placed = peak = 0
    for size, first, last in order:
        if not size:
            continue
        meets = (firsts[:placed] <= last) & (lasts[:placed] >= first)
        taken = np.argsort(starts[:placed][meets], kind="stable")
        begins = starts[:placed][meets][taken]
        # The first byte behind all that begin before, in front of the first one 0.
        free = np.zeros(len(taken) + 1, np.int64)
        aligned = -(-stops[:placed][meets][taken] // ALIGNMENT) * ALIGNMENT
        np.maximum.accumulate(aligned, out=free[1:])
        gaps = begins - free[:-1]
        fits = np.flatnonzero(gaps >= size)
        place = int(free[fits[np.argmin(gaps[fits])]] if len(fits) else free[-1])
        starts[placed], stops[placed] = place, place + size
        firsts[placed], lasts[placed] = first, last
        placed += 1
        peak = max(peak, place + size)
    return peak
