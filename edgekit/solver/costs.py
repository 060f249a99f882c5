"""Costs: what an operator's kernels cost in float and in int8, and what a conversion between them costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edgekit.config import read_toml
from edgekit.formats.graph import Operator, Tensor
from edgekit.inspection.costs import macs

_TABLES = Path(__file__).parent / "times"
# Of every channel of a kernel in int8: a float32 scale and a zero point, as TFLite stores them.
_CHANNEL_BYTES = 12
# What a file says of an operator more and the tensor that it gives: measured as the mean over borders of
# MobileNetV1 files that were made.
_BORDER_BYTES = {"tflite": 180, "onnx": 330}


class Costs(Protocol):
    """What kernels and conversions cost, all in one unit."""

    def kernels(self, operator: Operator) -> tuple[float, float]:
        """What an operator costs in float, and in int8."""
        ...

    def quantize(self, tensor: Tensor) -> float:
        """What it costs to turn a tensor's floats into integers."""
        ...

    def dequantize(self, tensor: Tensor) -> float:
        """What it costs to turn a tensor's integers into floats."""
        ...


@dataclass(frozen=True)
class Bytes:
    """Bytes in the file.

    Attributes:
        format: ``"tflite"`` or ``"onnx"``.
        floats, integers: what a byte of weights counts, 1 for what lies in the file; less where it is packed.
    """

    format: str
    floats: float = 1.0
    integers: float = 1.0

    def kernels(self, operator: Operator) -> tuple[float, float]:
        in_float = in_int8 = 0.0
        for tensor in operator.inputs:
            if tensor is None or not tensor.constant or tensor.dtype != "float32":
                continue
            count = tensor.elements or 0
            in_float += 4 * count
            shape = tensor.shape or ()
            # A bias keeps four bytes a value.
            in_int8 += count + _CHANNEL_BYTES * (shape[0] or 1) if len(shape) > 1 else 4 * count
        return in_float * self.floats, in_int8 * self.integers

    def quantize(self, tensor: Tensor) -> float:  # noqa: ARG002
        return _BORDER_BYTES[self.format] * self.integers

    def dequantize(self, tensor: Tensor) -> float:  # noqa: ARG002
        return _BORDER_BYTES[self.format] * self.integers


@dataclass(frozen=True)
class Rate:
    """How long kernels of a kind take, in nanoseconds: so much for a multiply-accumulate, so much for a value.

    Attributes:
        float_mac, int8_mac: for each multiply-accumulate.
        float_value, int8_value: for each value read or given, constants left out.
    """

    float_mac: float = 0.0
    float_value: float = 0.0
    int8_mac: float = 0.0
    int8_value: float = 0.0


@dataclass(frozen=True)
class TimeTable:
    """How long kernels take, by kind of operator.

    Attributes:
        source: the processor, interpreter and date of the measurement.
        quantize, dequantize: nanoseconds for each value converted.
        call: nanoseconds that any operator more takes.
        rates: by the operator's name.
        others: of every other operator.
    """

    source: str
    quantize: float
    dequantize: float
    call: float
    rates: Mapping[str, Rate]
    others: Rate


@dataclass(frozen=True)
class Times:
    """Nanoseconds an inference, by a table; where operators were measured one by one, by that.

    Attributes:
        table: of the kinds of operators.
        measured: of single operators, by their first outputs: nanoseconds in float and in int8.
    """

    table: TimeTable
    measured: Mapping[str, tuple[float, float]]

    def kernels(self, operator: Operator) -> tuple[float, float]:
        if (known := self.measured.get(operator.tensor)) is not None:
            return known
        rate = self.table.rates.get(operator.op, self.table.others)
        multiplied = macs(operator) or 0
        values = sum(
            tensor.elements or 0
            for tensor in (*operator.inputs, *operator.outputs)
            if tensor and not tensor.constant
        )
        return (
            self.table.call + multiplied * rate.float_mac + values * rate.float_value,
            self.table.call + multiplied * rate.int8_mac + values * rate.int8_value,
        )

    def quantize(self, tensor: Tensor) -> float:
        return self.table.call + (tensor.elements or 0) * self.table.quantize

    def dequantize(self, tensor: Tensor) -> float:
        return self.table.call + (tensor.elements or 0) * self.table.dequantize


@dataclass(frozen=True)
class Both:
    """One cost first, and a little of another, each as a share of a whole.

    Attributes:
        first, second: the costs.
        wholes: what each is a share of.
        little: how much the second counts.
    """

    first: Costs
    second: Costs
    wholes: tuple[float, float]
    little: float

    def kernels(self, operator: Operator) -> tuple[float, float]:
        one, other = self.first.kernels(operator), self.second.kernels(operator)
        return self._sum(one[0], other[0]), self._sum(one[1], other[1])

    def quantize(self, tensor: Tensor) -> float:
        return self._sum(self.first.quantize(tensor), self.second.quantize(tensor))

    def dequantize(self, tensor: Tensor) -> float:
        return self._sum(self.first.dequantize(tensor), self.second.dequantize(tensor))

    def _sum(self, one: float, other: float) -> float:
        return one / self.wholes[0] + self.little * other / self.wholes[1]


def shipped(format: str) -> TimeTable:
    """The table for a format that came with edgekit."""
    return read_toml(_TABLES / f"{format}.toml", TimeTable)
