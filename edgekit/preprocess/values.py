"""Steps on each value by itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import TensorError
from edgekit.preprocess.step import Floats, Shape, Step, finite, floats

# keras.config.epsilon(), as it comes.
_KERAS_EPSILON = 1e-7


@dataclass(frozen=True)
class Rescale(Step):
    """``x * scale + offset``, any shape: keras.layers.Rescaling.

    Attributes:
        scale: the factor, such as 0.00392156862745098 for bytes to 0..1.
        offset: what is added then.
    """

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
        mean, variance: a value for each index of the last axis, or one for all; without both, they
            are still to be found in training samples (`fit`).
    """

    mean: tuple[float, ...] = ()
    variance: tuple[float, ...] = ()

    name: ClassVar[str] = "standardize"

    def __post_init__(self) -> None:
        given = bool(self.mean) or not self.variance
        self._check("mean", given and all(map(finite, self.mean)), "numbers")
        same = len(self.variance) == len(self.mean)
        self._check("variance", same, f"{len(self.mean)} numbers, as many as mean has")
        valid = all(finite(v) and v >= 0 for v in self.variance)
        self._check("variance", valid, "numbers from 0")

    @property
    def fitted(self) -> bool:
        return bool(self.mean)

    def fit(self, blocks: Iterable[NDArray[Any]]) -> Standardize:
        """This step with the mean and the population variance of each index of the last axis.

        Blocks are merged as in Chan, Golub and LeVeque, "Updating Formulae and a Pairwise Algorithm
        for Computing Sample Variances", 1979; in float64, and without keeping a block.

        Args:
            blocks: samples first, all of the same last axis; one at least.

        Raises:
            TensorError: a block without a last axis beside the samples'.
        """
        count = 0
        mean = squares = np.zeros(1)
        for block in blocks:
            self.output_shape(block.shape)
            rows = block.reshape(-1, block.shape[-1]).astype(np.float64)
            its_mean = rows.mean(axis=0)
            rows -= its_mean
            total, apart = count + len(rows), its_mean - mean
            squares = squares + (rows**2).sum(axis=0) + apart**2 * count * len(rows) / total
            mean = mean + apart * len(rows) / total
            count = total
        return Standardize(tuple(mean.tolist()), tuple((squares / count).tolist()))

    def apply(self, x: NDArray[Any]) -> Floats:
        self.output_shape(x.shape)
        if not self.fitted:
            raise TensorError(
                f"{self.name}: has no mean and variance. Fit the step on training samples first."
            )
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
