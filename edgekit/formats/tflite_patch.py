"""Write other numbers over those of a .tflite file, where they lie: no byte moves.

The file's `content` is a bytearray then, and what was read of it stays true. Tensors may share the bytes
that they hold: who writes to several reads from a copy that was made before.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.formats.tflite_file import TfliteFile

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
