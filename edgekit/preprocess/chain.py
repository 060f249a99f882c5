"""Preprocessing: the steps of one input, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.config import from_table
from edgekit.errors import RecipeError, TensorError, nearest
from edgekit.preprocess.audio import FixedLength, LogMel, Mfcc
from edgekit.preprocess.images import CenterCrop, Letterbox, Resize
from edgekit.preprocess.step import Floats, Points, Shape, Step, floats
from edgekit.preprocess.values import Rescale, Standardize

STEPS: dict[str, type[Step]] = {
    cls.name: cls
    for cls in (Rescale, Standardize, Resize, Letterbox, CenterCrop, FixedLength, LogMel, Mfcc)
}


@dataclass(frozen=True)
class Preprocessing:
    """The steps that turn what a sensor gives into what one input of a model takes, in order.

    Raises:
        RecipeError: a step that is none.
    """

    steps: tuple[Step, ...] = ()

    def __post_init__(self) -> None:
        for step in self.steps:
            if not isinstance(step, Step):
                raise RecipeError(f"preprocessing: received {step!r:.80}, expected a step.")

    def apply(self, x: Any) -> Floats:
        """All steps on `x`.

        Args:
            x: numbers, batch axis first; images as (batch, height, width, channels), audio as
                (batch, samples). It is not changed.

        Returns:
            float32, batch axis first; `x` itself if it is float32 and there are no steps.

        Raises:
            TensorError: a shape or a dtype that a step cannot take.
        """
        x = np.asarray(x)
        if x.dtype.kind not in "biuf":
            raise TensorError(f"preprocessing: received dtype {x.dtype}, expected numbers.")
        if x.ndim == 0:
            raise TensorError("preprocessing: received a single number, expected a batch axis.")
        for step in self.steps:
            x = step.apply(x)
        return floats(x)

    @property
    def unfitted(self) -> str | None:
        """The name of a step that is still to be fitted; None if there is none."""
        waiting = (s for s in self.steps if isinstance(s, Standardize) and not s.fitted)
        return next((step.name for step in waiting), None)

    def fit(self, read: Callable[[Preprocessing], Iterable[NDArray[Any]]]) -> Preprocessing:
        """The same steps, those that learn from data fitted one after the other.

        Args:
            read: gives all training samples, some at a time, after the steps it is given.

        Raises:
            TensorError: a step cannot take the data.
        """
        done: tuple[Step, ...] = ()
        for step in self.steps:
            if isinstance(step, Standardize) and not step.fitted:
                step = step.fit(read(Preprocessing(done)))
            done = (*done, step)
        return Preprocessing(done)

    def output_shape(self, input_shape: Shape) -> Shape:
        """The shape that `apply` gives, batch axis first; None for a dynamic dimension.

        Raises:
            TensorError: a step cannot take the shape.
        """
        for step in self.steps:
            input_shape = step.output_shape(input_shape)
        return input_shape

    def points_back(self, points: Points, shape: tuple[int, ...]) -> Points:
        """Where points of the result lie in the images that the steps were given.

        Args:
            points: (n, 2): x and y in pixels of the result, from the left upper corner's outer edge.
            shape: of the raw images, (batch, height, width, channels).

        Raises:
            TensorError: a step cannot take the shape.
        """
        shapes: list[Shape] = [shape]
        for step in self.steps:
            shapes.append(step.output_shape(shapes[-1]))
        for step, (_, height, width, _) in zip(
            reversed(self.steps), reversed(shapes[:-1]), strict=True
        ):
            points = step.points_back(points, height or 0, width or 0)
        return points

    def to_json(self) -> list[dict[str, Any]]:
        """``[{"step": "rescale", "scale": ..., "offset": ...}, ...]``, which `from_json` reads."""
        return [step.to_json() for step in self.steps]

    @classmethod
    def from_json(cls, value: Any, where: str = "preprocessing") -> Preprocessing:
        """Read what `to_json` gives; it need not be trusted.

        Args:
            value: of any type.
            where: what to call it in messages.

        Raises:
            RecipeError: unknown step or key (the nearest known one is named), unusable value.
        """
        if not isinstance(value, list):
            raise RecipeError(f"{where}: received {value!r:.80}, expected a list of steps.")
        return cls(tuple(_step(item, f"{where}[{i}]") for i, item in enumerate(value)))


def _step(value: Any, where: str) -> Step:
    if not isinstance(value, dict) or not isinstance(value.get("step"), str):
        raise RecipeError(f"{where}: received {value!r:.80}, expected a table with a key 'step'.")
    name = value["step"]
    if name not in STEPS:
        raise RecipeError(
            f"{where}: unknown step {name!r:.80}, expected one of {', '.join(STEPS)}."
            f"{nearest(name, STEPS)}"
        )
    table = {key: item for key, item in value.items() if key != "step"}
    try:
        return from_table(STEPS[name], table, where)
    except OverflowError as error:
        raise RecipeError(f"{where}: received a number beyond all bounds.") from error
