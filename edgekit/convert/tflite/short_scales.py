"""Short scales: quantised files whose scales have few digits, since a small file consists of scales.

A network of 64 channels a layer has two scales, a bias and four zero points for each channel, and no
compressor finds anything in 24 bits of a measured range. What eight bits cannot say of a scale is at
most 0.8 % of a step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.calibration.rounding import are_shared, balanced
from edgekit.formats.tflite_patch import (
    BIASES,
    Operator,
    Tensor,
    float_constants,
    opened,
    write_rounded,
)

# Significant bits of a scale: those of a bfloat16, so that half of its bytes are zero.
BITS = 8
# Types of integers that stand for reals, by code.
_INTEGERS = {7: "<i2", 9: "<i1"}
# Operators with a bias, by code, and which inputs are what they take, the kernel and the bias.
_WITH_BIAS = {3: (0, 1, 2), 4: (0, 1, 2), 9: (0, 1, 2), 67: (2, 1, 3)}
# How far integers times a scale may lie beside weights, in steps, to be these weights.
_BESIDE = 0.01


def shorten_scales(content: bytes, float_file: bytes, bits: int = BITS) -> bytes:
    """The same quantised TFLite file with scales of `bits` significant bits.

    Scales grow, so that ranges stay covered; zero points stay. Weights are rounded anew from the
    float file, biases go along with the scales of their operators. Weights that lie on the steps of
    a scale, as trained ones do, keep it, unless they share it with what is computed of them, and so
    do those of four bits.

    Args:
        content: as ai-edge-quantizer makes it of `float_file`.
        float_file: has the weights, under the same names.
        bits: 1 to 24, a float32's.
    """
    result = bytearray(content)
    weights = float_constants(float_file)
    for graph in opened(content, result):
        bound = {
            index
            for operator in graph.operators
            for index in _of_one_scale(operator, graph.tensors)
        }
        kernels = {
            operator.inputs[_WITH_BIAS[operator.code][1]]
            for operator in graph.operators
            if operator.code in _WITH_BIAS
        }
        for index, tensor in enumerate(graph.tensors):
            _shorten(tensor, weights, bits, index in bound, index in kernels)
        for operator in graph.operators:
            roles, inputs = _WITH_BIAS.get(operator.code), operator.inputs
            if roles and len(inputs) > roles[2] and inputs[roles[2]] >= 0:
                _follow(*(graph.tensors[inputs[role]] for role in roles))
    return bytes(result)


def _of_one_scale(operator: Operator, tensors: Sequence[Tensor]) -> list[int]:
    """Which of its inputs have the scale of an output, as a concatenation's must."""
    scales = [tensors[index].scales(tensors[index].old) for index in operator.outputs]
    return [
        index
        for index in operator.inputs
        if index >= 0
        and any(np.array_equal(tensors[index].scales(tensors[index].old), s) for s in scales)
    ]


def _shorten(
    tensor: Tensor, weights: Mapping[bytes, NDArray[Any]], bits: int, bound: bool, kernel: bool
) -> None:
    """Give a tensor of integers, constant or computed, its short scales.

    Args:
        bound: it has the scale of another tensor, and must have so afterwards.
        kernel: sums are made of it.
    """
    kind = _INTEGERS.get(tensor.type)
    long = tensor.scales(tensor.old)
    if kind is None or not long.size:
        return
    short = round_up(long, bits)
    ints = tensor.constant(tensor.old, kind)
    if ints.size:
        shape = tensor.shape
        axes = [1] * len(shape)
        if long.size > 1:
            axes[tensor.axis] = long.size
        zeros = tensor.zero_points.reshape(axes)
        old, new = (scales.astype(np.float64).reshape(axes) for scales in (long, short))
        steps = ints.reshape(shape).astype(np.float64) - zeros
        exact = weights.get(tensor.name)
        if exact is None or exact.size != ints.size:
            exact = steps * old
        elif not bound and np.abs(exact.reshape(shape) / old - steps).max() <= _BESIDE:
            return
        wanted = exact.reshape(shape) / new
        if kernel and len(shape) in (2, 4) and not are_shared(exact):
            wanted = balanced(wanted)
        write_rounded(wanted + zeros, tensor.constant(tensor.new, kind))
    tensor.scales(tensor.new)[:] = short


def _follow(given: Tensor, kernel: Tensor, bias: Tensor) -> None:
    """Give a bias the scale of what it is added to: the input's times the kernel's."""
    kind = BIASES.get(bias.type)
    old, new = bias.scales(bias.old), bias.scales(bias.new)
    if kind is None or not old.size:
        return
    exact = bias.constant(bias.old, kind) * old.astype(np.float64)
    new[:] = given.scales(given.new) * kernel.scales(kernel.new)
    write_rounded(exact / new.astype(np.float64), bias.constant(bias.new, kind))


def round_up(scales: NDArray[np.float32], bits: int = BITS) -> NDArray[np.float32]:
    """The smallest float32 numbers of `bits` significant bits that are no smaller than `scales`."""
    mantissa, exponent = np.frexp(scales)
    steps = np.ceil(np.ldexp(mantissa, bits))
    short: NDArray[np.float32] = np.ldexp(steps, exponent - bits).astype(np.float32)
    return short
