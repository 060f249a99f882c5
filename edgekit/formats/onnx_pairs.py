"""Pairs of int8 weights that onnxruntime's x86 kernels take at once: which they are, and what fits.

Without VNNI the kernels multiply unsigned activations with signed weights, two neighbours at a time,
and add both products in int16. 255 times a sum of weights up to 128 fits; more saturates. A kernel
whose pairs all stay within that gives the exact sums on every processor: it is pair-safe.

Neighbours are the weights 2k and 2k + 1 of an output channel, in the order (kernel place, input channel)
of a convolution, in the order of the axis that is summed over elsewhere. Depthwise convolutions with one
output channel for each input channel have kernels of their own, which take no pairs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# The largest sum of two neighbours, in steps.
MOST_OF_A_PAIR = 128


def takes_pairs(op: str, shape: tuple[int, ...], groups: int) -> bool:
    """Whether the kernel of such an operator takes weights of this shape in pairs."""
    return not (op in CONVOLUTIONS and shape[1] == 1 and shape[0] == groups)


CONVOLUTIONS = frozenset({"Conv", "QLinearConv"})


def to_columns(op: str, weights: NDArray[Any], groups: int = 1, transposed: bool = False) -> Any:
    """Weights as (groups, what is summed over in the kernel's order, outputs of a group).

    Args:
        op: the operator.
        weights: as the file holds them: (outputs, inputs of a group, ...) of a convolution, else
            (..., summed over, outputs).
        groups: of a convolution.
        transposed: of a Gemm: (outputs, summed over).

    Raises:
        ValueError: no such operator has weights of this shape.
    """
    if op in CONVOLUTIONS:
        rows = np.moveaxis(weights, 1, -1).reshape(groups, len(weights) // groups, -1)
        return rows.transpose(0, 2, 1)
    if transposed:
        weights = weights.T
    stacked = weights.reshape(-1, *weights.shape[-2:]).transpose(1, 0, 2)
    return stacked.reshape(1, len(stacked), -1)


def from_columns(
    op: str, columns: NDArray[Any], shape: tuple[int, ...], transposed: bool = False
) -> Any:
    """Undo `to_columns`: weights of `shape`."""
    if op in CONVOLUTIONS:
        outputs, inputs, *kernel = shape
        rows = columns.transpose(0, 2, 1).reshape(outputs, *kernel, inputs)
        return np.moveaxis(rows, -1, 1)
    if transposed:
        return columns[0].T
    summed, outputs = shape[-2:]
    return columns[0].reshape(summed, -1, outputs).transpose(1, 0, 2).reshape(shape)


def excess(columns: NDArray[Any]) -> NDArray[np.int16]:
    """By how much each pair of integer weights is too large, (groups, pairs, outputs); 0 if it fits."""
    pairs = columns[:, : columns.shape[1] // 2 * 2].astype(np.int16)
    sums = np.abs(pairs[:, ::2] + pairs[:, 1::2])
    return np.asarray(np.maximum(sums - MOST_OF_A_PAIR, 0))
