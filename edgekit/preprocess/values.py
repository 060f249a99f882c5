"""Steps on each value by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgekit.preprocess.step import Floats, Shape, Step, finite, floats

# keras.config.epsilon(), as it comes.
_KERAS_EPSILON = 1e-7


@dataclass(frozen=True)
class Rescale(Step):
    """``x * scale + offset``, any shape: keras.layers.Rescaling."""

    scale: float
    offset: float = 0.0

    name: ClassVar[str] = "rescale"

    def __post_init__(self) -> None:
        self._check("scale", self.scale != 0 and finite(self.scale), "a number other than 0")
        self._check("offset", finite(self.offset), "a number")

    def apply(self, x: NDArray[Any]) -> Floats:
        result: Floats = floats(x) * np.float32(self.scale)
        result += np.float32(self.offset)
        return result

    def output_shape(self, input_shape: Shape) -> Shape:
        return input_shape


@dataclass(frozen=True)
class Standardize(Step):
    """``(x - mean) / max(sqrt(variance), 1e-7)`` along the last axis.

    That is keras.layers.Normalization(axis=-1) with Keras' own epsilon.

    Attributes:
        mean, variance: a value for each index of the last axis, or one for all.
    """

    mean: tuple[float, ...]
    variance: tuple[float, ...]

    name: ClassVar[str] = "standardize"

    def __post_init__(self) -> None:
        self._check("mean", bool(self.mean) and all(map(finite, self.mean)), "numbers")
        same = len(self.variance) == len(self.mean)
        self._check("variance", same, f"{len(self.mean)} numbers, as many as mean has")
        valid = all(finite(v) and v >= 0 for v in self.variance)
        self._check("variance", valid, "numbers from 0")

    def apply(self, x: NDArray[Any]) -> Floats:
        self.output_shape(x.shape)
        deviation = np.sqrt(np.asarray(self.variance, np.float32))
        result: Floats = floats(x) - np.asarray(self.mean, np.float32)
        result /= np.maximum(deviation, np.float32(_KERAS_EPSILON))
        return result

    def output_shape(self, input_shape: Shape) -> Shape:
        count = len(self.mean)
        if len(input_shape) < 2 or (count > 1 and input_shape[-1] not in (count, None)):
            last = count if count > 1 else "any"
            raise self._refuse(input_shape, f"[batch, ..., {last}]")
        return input_shape
