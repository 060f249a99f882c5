"""Step: what every step of a preprocessing can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import RecipeError, TensorError

Shape = tuple[int | None, ...]
Floats = NDArray[np.float32]
Points = NDArray[np.float64]

_FLOAT32_MAX = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Step(ABC):
    """One step. A subclass is a frozen dataclass that checks its values when it is made."""

    name: ClassVar[str]

    @abstractmethod
    def apply(self, x: NDArray[Any]) -> Floats:
        """The step's result for `x`: numbers, batch axis first.

        Raises:
            TensorError: the step cannot take the shape or the dtype.
        """

    @abstractmethod
    def output_shape(self, input_shape: Shape) -> Shape:
        """The result's shape; None for a dynamic dimension.

        Raises:
            TensorError: the step cannot take the shape.
        """

    def points_back(self, points: Points, height: int, width: int) -> Points:  # noqa: ARG002
        """Where points of the result lie in the image that the step was given.

        Args:
            points: (n, 2): x and y in pixels from the left upper corner's outer edge.
            height, width: of that image.
        """
        return points

    def to_json(self) -> dict[str, Any]:
        return {"step": self.name, **asdict(self)}

    def _check(self, key: str, holds: bool, expected: str) -> None:
        if not holds:
            raise RecipeError(
                f"{self.name}: {key}: received {getattr(self, key)!r:.80}, expected {expected}."
            )

    def _refuse(self, shape: Shape, expected: str) -> TensorError:
        return TensorError(f"{self.name}: received shape {list(shape)}, expected {expected}.")


def finite(value: float) -> bool:
    """Whether float32 can hold it."""
    # Comparisons with NaN are false.
    return abs(value) <= _FLOAT32_MAX


def whole(value: int, most: int) -> bool:
    """Whether it is an integer from 1 to `most`."""
    return type(value) is int and 0 < value <= most


def floats(x: NDArray[Any]) -> Floats:
    """As float32; `x` itself where it is."""
    return x.astype(np.float32, copy=False)
