"""Write other numbers over those of a .tflite file, where they lie: no byte moves.

The file's `content` is a bytearray then, and what was read of it stays true. Tensors may share the bytes
that they hold: who writes to several reads from a copy that was made before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.formats.flatbuffer import Bytes, Span
from edgekit.formats.tflite_file import TfliteFile, TfliteTensor

# How numpy calls the integers that stand for float values, and those of biases, by the tensor's dtype.
QUANTIZED = {"int16": "<i2", "int8": "<i1"}
BIASES = {"int32": "<i4", "int64": "<i8"}


def float_constants(file: TfliteFile) -> dict[str, NDArray[Any]]:
    """The float32 constants of a file, flat, by their tensors' names."""
    return {
        tensor.name: tensor.constant("<f4").of(file.content)
        for graph in file.graphs
        for tensor in graph.tensors
        if tensor.dtype == "float32"
    }


def write_rounded(steps: NDArray[np.float64], to: NDArray[Any]) -> None:
    """Put float values, rounded and cut to what an integer holds, where `to` lies."""
    limits = np.iinfo(to.dtype)
    to[:] = np.clip(np.rint(steps), limits.min, limits.max).ravel()


@dataclass(frozen=True)
class KernelIntegers:
    """Where the integers of a kernel lie.

    Attributes:
        span: of bytes, an integer each, or two.
        count: of integers.
        bits: of an integer.
    """

    span: Span
    count: int
    bits: int

    @classmethod
    def of(cls, kernel: TfliteTensor) -> KernelIntegers | None:
        """Those of a constant kernel with a scale, or one for each channel; None of another."""
        span, count = kernel.constant("<i1"), int(np.prod(kernel.shape))
        bits = {"int8": 8, "int4": 4}.get(kernel.dtype)
        if bits is None or kernel.blockwise or span.count != -(-count * bits // 8):
            return None
        return cls(span, count, bits)

    @property
    def largest(self) -> int:
        return int(2 ** (self.bits - 1) - 1)

    def read(self, content: Bytes) -> NDArray[np.int8]:
        found = self.span.of(content)
        if self.bits == 8:
            return np.asarray(found)
        # The low half of a byte first; each with its sign.
        return np.stack([found << 4 >> 4, found >> 4], 1).ravel()[: self.count]

    def write(self, content: Bytes, integers: NDArray[Any]) -> None:
        """Take whole numbers into the content of a file, which is a bytearray."""
        whole = integers.astype(np.int8)
        if self.bits == 4:
            whole = np.append(whole, np.zeros(len(whole) % 2, np.int8))
            whole = whole[::2] & 15 | whole[1::2] << 4
        self.span.of(content)[:] = whole
