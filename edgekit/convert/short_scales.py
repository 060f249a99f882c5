"""Short scales: quantised files whose scales have few digits, since a small file consists of scales.

A network of 64 channels a layer has two scales, a bias and four zero points for each channel, and no
compressor finds anything in 24 bits of a measured range. What eight bits cannot say of a scale is at
most 0.8 % of a step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.flatbuffer import Table, follow
from edgekit.metadata import BUFFER_OFFSET, MODEL_BUFFERS, TFLITE_IDENTIFIER

# Significant bits of a scale: those of a bfloat16, so that half of its bytes are zero.
BITS = 8
# Fields of the tables in schema.fbs, counted from 0.
_MODEL_CODES, _MODEL_GRAPHS = 1, 2
_CODE_SHORT, _CODE = 0, 3
_GRAPH_TENSORS, _GRAPH_OPERATORS = 0, 3
_OPERATOR_CODE, _OPERATOR_INPUTS, _OPERATOR_OUTPUTS = 0, 1, 2
_SHAPE, _TYPE, _BUFFER, _NAME, _QUANTIZATION = 0, 1, 2, 3, 4
_SCALE, _ZERO_POINT, _AXIS = 2, 3, 6
_DATA = 0
# Types of tensors, by code.
_FLOAT32 = 0
_INTEGERS = {7: "<i2", 9: "<i1"}
_BIASES = {2: "<i4", 4: "<i8"}
# Operators with a bias, by code, and which inputs are what they take, the kernel and the bias.
_WITH_BIAS = {3: (0, 1, 2), 4: (0, 1, 2), 9: (0, 1, 2), 67: (2, 1, 3)}
# How far integers times a scale may lie beside weights, in steps, to be these weights.
_BESIDE = 0.01
_NONE = np.zeros(0, np.float32)


def shorten_scales(content: bytes, float_file: bytes, bits: int = BITS) -> bytes:
    """The same quantised TFLite file with scales of `bits` significant bits.

    Scales grow, so that ranges stay covered; zero points stay. Weights are rounded anew from the
    float file, biases go along with the scales of their operators. Weights that lie on the steps of
    a scale, as trained ones do, keep it, unless they share it with what is computed of them, and so
    do those of four bits. Files whose weights lie behind the FlatBuffer, of more than 2 GiB, stay as
    they are.

    Args:
        content: as ai-edge-quantizer makes it of `float_file`.
        float_file: has the weights, under the same names.
        bits: 1 to 24, a float32's.
    """
    model = Table.root(content, TFLITE_IDENTIFIER)
    buffers = model.tables(MODEL_BUFFERS)
    if any(buffer.number(BUFFER_OFFSET, "Q") > 1 for buffer in buffers):
        return content
    result = bytearray(content)
    weights = _weights(float_file)
    codes = [
        max(c.number(_CODE_SHORT, "b"), c.number(_CODE, "i")) for c in model.tables(_MODEL_CODES)
    ]
    for graph in model.tables(_MODEL_GRAPHS):
        # Read from the file as it was, since tensors may share what they hold; write to the new one.
        tensors = [
            _Tensor(old, Table(result, old.position), buffers)
            for old in graph.tables(_GRAPH_TENSORS)
        ]
        operators = graph.tables(_GRAPH_OPERATORS)
        bound = {index for operator in operators for index in _of_one_scale(operator, tensors)}
        for index, tensor in enumerate(tensors):
            _shorten(tensor, weights, bits, index in bound)
        for operator in operators:
            roles = _WITH_BIAS.get(codes[operator.number(_OPERATOR_CODE, "I")])
            inputs = _array(operator, _OPERATOR_INPUTS, "<i4")
            if roles and len(inputs) > roles[2] and inputs[roles[2]] >= 0:
                _follow(*(tensors[inputs[role]] for role in roles))
    return bytes(result)


@dataclass(frozen=True)
class _Tensor:
    """A tensor in the file as it was and in the new one, at the same place."""

    old: Table
    new: Table
    buffers: Sequence[Table]

    @property
    def type(self) -> int:
        return self.old.number(_TYPE, "b")

    def scales(self, table: Table) -> NDArray[Any]:
        return _array(_quantization(table), _SCALE, "<f4") if self._quantized else _NONE

    def constant(self, table: Table, kind: str) -> NDArray[Any]:
        """What it holds, flat; of size 0 if it is computed."""
        buffer = self.buffers[self.old.number(_BUFFER, "I")]
        return _content(Table(table.data, buffer.position), kind)

    @property
    def _quantized(self) -> bool:
        return self.old.find(_QUANTIZATION) is not None


def _of_one_scale(operator: Table, tensors: Sequence[_Tensor]) -> list[int]:
    """Which of its inputs have the scale of an output, as a concatenation's must."""
    inputs = _array(operator, _OPERATOR_INPUTS, "<i4")
    scales = [
        tensors[index].scales(tensors[index].old)
        for index in _array(operator, _OPERATOR_OUTPUTS, "<i4")
    ]
    return [
        index
        for index in map(int, inputs)
        if index >= 0
        and any(np.array_equal(tensors[index].scales(tensors[index].old), s) for s in scales)
    ]


def _shorten(
    tensor: _Tensor, weights: Mapping[bytes, NDArray[Any]], bits: int, bound: bool
) -> None:
    """Give a tensor of integers, constant or computed, its short scales.

    Args:
        bound: it has the scale of another tensor, and must have so afterwards.
    """
    kind = _INTEGERS.get(tensor.type)
    long = tensor.scales(tensor.old)
    if kind is None or not long.size:
        return
    short = round_up(long, bits)
    ints = tensor.constant(tensor.old, kind)
    if ints.size:
        shape = _array(tensor.old, _SHAPE, "<i4")
        quantization = _quantization(tensor.old)
        axes = [1] * len(shape)
        if long.size > 1:
            axes[quantization.number(_AXIS, "i")] = long.size
        zeros = _array(quantization, _ZERO_POINT, "<i8").reshape(axes)
        old, new = (scales.astype(np.float64).reshape(axes) for scales in (long, short))
        steps = ints.reshape(shape).astype(np.float64) - zeros
        exact = weights.get(tensor.old.content(_NAME))
        if exact is None or exact.size != ints.size:
            exact = steps * old
        elif not bound and np.abs(exact.reshape(shape) / old - steps).max() <= _BESIDE:
            return
        exact = exact.reshape(shape)
        _round(exact / new + zeros, tensor.constant(tensor.new, kind))
    tensor.scales(tensor.new)[:] = short


def _follow(given: _Tensor, kernel: _Tensor, bias: _Tensor) -> None:
    """Give a bias the scale of what it is added to: the input's times the kernel's."""
    kind = _BIASES.get(bias.type)
    old, new = bias.scales(bias.old), bias.scales(bias.new)
    if kind is None or not old.size:
        return
    exact = bias.constant(bias.old, kind) * old.astype(np.float64)
    new[:] = given.scales(given.new) * kernel.scales(kernel.new)
    _round(exact / new.astype(np.float64), bias.constant(bias.new, kind))


def _round(steps: NDArray[np.float64], to: NDArray[Any]) -> None:
    limits = np.iinfo(to.dtype)
    to[:] = np.clip(np.rint(steps), limits.min, limits.max).ravel()


def round_up(scales: NDArray[np.float32], bits: int = BITS) -> NDArray[np.float32]:
    """The smallest float32 numbers of `bits` significant bits that are no smaller than `scales`."""
    mantissa, exponent = np.frexp(scales)
    steps = np.ceil(np.ldexp(mantissa, bits))
    short: NDArray[np.float32] = np.ldexp(steps, exponent - bits).astype(np.float32)
    return short


def _weights(float_file: bytes) -> dict[bytes, NDArray[Any]]:
    """The float constants of a file by their tensors' names."""
    model = Table.root(float_file, TFLITE_IDENTIFIER)
    buffers = model.tables(MODEL_BUFFERS)
    return {
        tensor.content(_NAME): _content(buffers[tensor.number(_BUFFER, "I")], "<f4")
        for graph in model.tables(_MODEL_GRAPHS)
        for tensor in graph.tables(_GRAPH_TENSORS)
        if tensor.number(_TYPE, "b") == _FLOAT32
    }


def _quantization(tensor: Table) -> Table:
    at = tensor.find(_QUANTIZATION)
    assert at is not None
    return Table(tensor.data, follow(tensor.data, at))


def _array(table: Table, field: int, kind: str) -> NDArray[Any]:
    """A vector of numbers where it lies in the file."""
    start, count = table.vector(field, np.dtype(kind).itemsize)
    return np.frombuffer(table.data, kind, count, start)


def _content(buffer: Table, kind: str) -> NDArray[Any]:
    """The bytes of a buffer as numbers, where they lie in the file."""
    start, count = buffer.vector(_DATA, 1)
    return np.frombuffer(buffer.data, kind, count // np.dtype(kind).itemsize, start)
