"""Steps on images, (batch, height, width, channels)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import nearest
from edgekit.preprocess.step import Floats, Points, Shape, Step, finite, floats, whole

# A description comes with a model file, and a file may ask for anything. This bounds its cost.
_MAX_PIXELS = 1 << 24


@dataclass(frozen=True)
class Resize(Step):
    """Resize images (batch, height, width, channels) with half-pixel centres, without antialiasing.

    Output pixel ``i`` is taken at ``(i + 0.5) * input / output - 0.5``: between the two pixels
    around it, or from the nearest one. That is tf.image.resize and keras.layers.Resizing on float
    images; on integer images Keras' layer rounds its result to integers again, this one does not.

    Attributes:
        height, width: of the result, in pixels.
        method: ``"bilinear"`` or ``"nearest"``.
    """

    height: int
    width: int
    method: str = "bilinear"

    name: ClassVar[str] = "resize"

    def __post_init__(self) -> None:
        _check_size(self, self.height, self.width)
        known = ("bilinear", "nearest")
        hint = nearest(str(self.method), known)
        self._check("method", self.method in known, f"one of {', '.join(known)}{hint}")

    def apply(self, x: NDArray[Any]) -> Floats:
        self.output_shape(x.shape)
        if 0 in x.shape[1:3]:
            raise self._refuse(x.shape, "images with at least one pixel")
        if self.method == "nearest":
            rows = _nearest_pixels(x.shape[1], self.height)
            columns = _nearest_pixels(x.shape[2], self.width)
            return floats(x[:, rows[:, None], columns])
        above, below, down = _neighbours(x.shape[1], self.height)
        left, right, across = _neighbours(x.shape[2], self.width)

        def between_columns(rows: NDArray[Any]) -> Floats:
            start = floats(rows[:, :, left])
            result: Floats = start + (floats(rows[:, :, right]) - start) * across[:, None]
            return result

        top = between_columns(x[:, above])
        result: Floats = top + (between_columns(x[:, below]) - top) * down[:, None, None]
        return result

    def output_shape(self, input_shape: Shape) -> Shape:
        return _image_shape(self, input_shape, self.height, self.width)

    def points_back(self, points: Points, height: int, width: int) -> Points:
        result: Points = points * (width / self.width, height / self.height)
        return result


@dataclass(frozen=True)
class Letterbox(Step):
    """Resize images (batch, height, width, channels) as a whole, and fill up the rest on both sides.

    The image is made as large as fits (bilinear, as `Resize`; sizes rounded to whole pixels) and put
    in the middle; of an odd number of rows or columns to fill, the end gets one more.

    Attributes:
        height, width: of the result, in pixels.
        fill: the value around the image, as it is before later steps.
    """

    height: int
    width: int
    fill: float = 114.0

    name: ClassVar[str] = "letterbox"

    def __post_init__(self) -> None:
        _check_size(self, self.height, self.width)
        self._check("fill", finite(self.fill), "a number")

    def apply(self, x: NDArray[Any]) -> Floats:
        self.output_shape(x.shape)
        if 0 in x.shape[1:3]:
            raise self._refuse(x.shape, "images with at least one pixel")
        top, left, height, width = self._place(x.shape[1], x.shape[2])
        shape = (len(x), self.height, self.width, x.shape[3])
        result = np.full(shape, self.fill, np.float32)
        inner = Resize(height, width).apply(x)
        result[:, top : top + height, left : left + width] = inner
        return result

    def output_shape(self, input_shape: Shape) -> Shape:
        return _image_shape(self, input_shape, self.height, self.width)

    def points_back(self, points: Points, height: int, width: int) -> Points:
        top, left, inner_height, inner_width = self._place(height, width)
        ratio = (width / inner_width, height / inner_height)
        result: Points = (points - (left, top)) * ratio
        return result

    def _place(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Of an image's pixels in the result: top, left, height and width."""
        scale = min(self.height / height, self.width / width)
        inner_height = min(max(round(height * scale), 1), self.height)
        inner_width = min(max(round(width * scale), 1), self.width)
        top, left = (self.height - inner_height) // 2, (self.width - inner_width) // 2
        return top, left, inner_height, inner_width


@dataclass(frozen=True)
class CenterCrop(Step):
    """The middle of images (batch, height, width, channels); the odd pixel is cut at the end.

    That is keras.layers.CenterCrop, which however enlarges an image that is too small; it is
    refused here.

    Attributes:
        height, width: of the result, in pixels.
    """

    height: int
    width: int

    name: ClassVar[str] = "center_crop"

    def __post_init__(self) -> None:
        _check_size(self, self.height, self.width)

    def apply(self, x: NDArray[Any]) -> Floats:
        self.output_shape(x.shape)
        top, left = (x.shape[1] - self.height) // 2, (x.shape[2] - self.width) // 2
        return floats(x[:, top : top + self.height, left : left + self.width])

    def output_shape(self, input_shape: Shape) -> Shape:
        shape = _image_shape(self, input_shape, self.height, self.width)
        for n, wanted in zip(input_shape[1:3], (self.height, self.width), strict=True):
            if n is not None and n < wanted:
                raise self._refuse(input_shape, f"at least {self.height} x {self.width} pixels")
        return shape

    def points_back(self, points: Points, height: int, width: int) -> Points:
        top, left = (height - self.height) // 2, (width - self.width) // 2
        return points + np.asarray([left, top], np.float64)


def _check_size(step: Step, height: int, width: int) -> None:
    for key, value, other in (("height", height, 1), ("width", width, height)):
        step._check(key, whole(value, _MAX_PIXELS // other), f"1 to {_MAX_PIXELS // other} pixels")


def _image_shape(step: Step, shape: Shape, height: int, width: int) -> Shape:
    if len(shape) != 4:
        raise step._refuse(shape, "[batch, height, width, channels]")
    return (shape[0], height, width, shape[3])


def _centres(size: int, wanted: int) -> Floats:
    """Where the centre of each wanted pixel lies, in pixels of the input, from its edge."""
    ratio = np.float32(size) / np.float32(wanted)
    centres: Floats = (np.arange(wanted, dtype=np.float32) + np.float32(0.5)) * ratio
    return centres


@lru_cache(maxsize=32)
def _nearest_pixels(size: int, wanted: int) -> NDArray[np.intp]:
    pixels: NDArray[np.intp] = np.floor(_centres(size, wanted)).astype(np.intp)
    return np.minimum(pixels, size - 1, out=pixels)


@lru_cache(maxsize=32)
def _neighbours(size: int, wanted: int) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
    """For each wanted pixel the one before, the one after, and how far between them it lies."""
    at = _centres(size, wanted) - np.float32(0.5)
    before = np.floor(at)
    return (
        np.maximum(before, 0).astype(np.intp),
        np.minimum(np.ceil(at), size - 1).astype(np.intp),
        at - before,
    )
