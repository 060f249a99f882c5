"""Short scales: quantised files whose scales have few digits, since a small file consists of scales.

A network of 64 channels a layer has two scales, a bias and four zero points for each channel, and no
compressor finds anything in 24 bits of a measured range. What eight bits cannot say of a scale is at
most 0.8 % of a step.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgekit.calibration.rounding import are_shared, balanced, round_up
from edgekit.formats.tflite_file import TfliteFile, TfliteTensor
from edgekit.formats.tflite_patch import (
    BIASES,
    QUANTIZED,
    KernelIntegers,
    float_constants,
    write_rounded,
)

# Significant bits of a scale: those of a bfloat16, so that half of its bytes are zero.
BITS = 8
# Operators with a bias, and which inputs are what they take, the kernel and the bias.
_WITH_BIAS = {
    "CONV_2D": (0, 1, 2),
    "DEPTHWISE_CONV_2D": (0, 1, 2),
    "FULLY_CONNECTED": (0, 1, 2),
    "TRANSPOSE_CONV": (2, 1, 3),
}
# How far integers times a scale may lie beside weights, in steps, to be these weights.
_BESIDE = 0.01


def shorten_scales(file: TfliteFile, float_file: TfliteFile, bits: int = BITS) -> None:
    """Give a quantised TFLite file scales of `bits` significant bits, in place.

    Scales grow, so that ranges stay covered; zero points stay. Weights are rounded anew from the
    float file, biases go along with the scales of their operators. Weights that lie on the steps of
    a scale, as trained ones do, keep it, unless they share it with what is computed of them, and so
    do those of four bits, which are rounded anew alone.

    Args:
        file: as ai-edge-quantizer makes it of `float_file`; its content is a bytearray.
        float_file: has the weights, under the same names.
        bits: 1 to 24, a float32's.
    """
    rescaling = _Rescaling(file, float_file, bits)
    for graph in file.graphs:
        operators = [(each.op, each.inputs, each.outputs) for each in graph.operators]
        bound = {
            i
            for _, inputs, outputs in operators
            for i in rescaling.bound(graph.tensors, inputs, outputs)
        }
        kernels = {inputs[_WITH_BIAS[op][1]] for op, inputs, _ in operators if op in _WITH_BIAS}
        # Where weights alone are integers, an operator turns them into floats in front.
        kernels |= {
            inputs[0]
            for op, inputs, outputs in operators
            if op == "DEQUANTIZE" and outputs[0] in kernels
        }
        for index, tensor in enumerate(graph.tensors):
            rescaling.shorten(tensor, index in bound, index in kernels)
        for op, inputs, _ in operators:
            roles = _WITH_BIAS.get(op)
            if roles and len(inputs) > roles[2] and inputs[roles[2]] >= 0:
                rescaling.follow(*(graph.tensors[inputs[role]] for role in roles))


class _Rescaling:
    """A file's bytes as they were and those to write to, and the weights of the float file.

    Tensors may share what they hold: what one is given must not be what the next is made of.
    """

    def __init__(self, file: TfliteFile, float_file: TfliteFile, bits: int) -> None:
        self._old, self._new = bytes(file.content), file.content
        self._weights = float_constants(float_file)
        self._bits = bits

    def bound(
        self, tensors: Sequence[TfliteTensor], inputs: Sequence[int], outputs: Sequence[int]
    ) -> list[int]:
        """Which inputs of an operator have the scale of an output, as a concatenation's must."""
        scales = [tensors[i].scales.of(self._old) for i in outputs]
        return [
            i
            for i in inputs
            if i >= 0 and any(np.array_equal(tensors[i].scales.of(self._old), s) for s in scales)
        ]

    def shorten(self, tensor: TfliteTensor, bound: bool, kernel: bool) -> None:
        """Give a tensor of integers, constant or computed, its short scales.

        Args:
            tensor: of the file.
            bound: it has the scale of another tensor, and must have so afterwards.
            kernel: sums are made of it.
        """
        kind, scales = QUANTIZED.get(tensor.dtype), tensor.scales
        if kernel and tensor.dtype == "int4":
            self._round(tensor)
        if kind is None or not scales.count:
            return
        long = scales.of(self._old)
        short = round_up(long, self._bits)
        values = tensor.constant(kind)
        if values.count:
            shape = tensor.shape
            axes = [1] * len(shape)
            if long.size > 1:
                axes[tensor.axis] = long.size
            zeros = tensor.zero_points.of(self._old).reshape(axes)
            before, after = (each.astype(np.float64).reshape(axes) for each in (long, short))
            steps = values.of(self._old).reshape(shape).astype(np.float64) - zeros
            exact = self._weights.get(tensor.name)
            if exact is None or exact.size != values.count:
                exact = steps * before
            elif not bound and np.abs(exact.reshape(shape) / before - steps).max() <= _BESIDE:
                return
            wanted = exact.reshape(shape) / after
            if kernel and len(shape) in (2, 4) and not are_shared(exact):
                wanted = balanced(wanted)
            write_rounded(wanted + zeros, values.of(self._new))
        scales.of(self._new)[:] = short

    def _round(self, kernel: TfliteTensor) -> None:
        """Round a kernel of four bits anew; its scales stay."""
        held, exact = KernelIntegers.of(kernel), self._weights.get(kernel.name)
        shape = kernel.shape
        if held is None or exact is None or exact.size != held.count or len(shape) not in (2, 4):
            return
        scales = kernel.scales.of(self._old)
        axes = [1] * len(shape)
        if scales.size > 1:
            axes[kernel.axis] = scales.size
        steps = exact.reshape(shape) / scales.astype(np.float64).reshape(axes)
        if not are_shared(exact):
            held.write(self._new, np.clip(balanced(steps), -held.largest, held.largest).ravel())

    def follow(self, taken: TfliteTensor, kernel: TfliteTensor, bias: TfliteTensor) -> None:
        """Give a bias the scale of what it is added to: the input's times the kernel's."""
        kind = BIASES.get(bias.dtype)
        long, short = bias.scales.of(self._old), bias.scales.of(self._new)
        if kind is None or not long.size:
            return
        exact = bias.constant(kind).of(self._old) * long.astype(np.float64)
        short[:] = taken.scales.of(self._new) * kernel.scales.of(self._new)
        write_rounded(exact / short.astype(np.float64), bias.constant(kind).of(self._new))
