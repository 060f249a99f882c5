"""A sample as something to look at: an image, a waveform, a series or a text of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.report.png import png_address

# Pixels of the longer side at most, and points of a line: what a page needs and no more.
_PIXELS, _POINTS, _LINES, _NUMBERS = 112, 240, 5, 24
# A line of fewer values than this is a row of numbers, not a course.
_COURSE = 16


@dataclass(frozen=True)
class Picture:
    """One of `image` (an address), `lines` (points in a box of 100 by 100) and `text`.

    Attributes:
        about: what it is, in words: ``"image of 28 x 28"``.
    """

    about: str
    image: str = ""
    lines: tuple[str, ...] = ()
    text: str = ""


def picture(inputs: Mapping[str, NDArray[Any]], sample: int) -> Picture:
    """Of one sample: its first input that is an image or a course, else the first."""
    found = [_of(np.asarray(x[sample])) for x in inputs.values()]
    return next((each for each in found if not each.text), found[0])


def _of(x: NDArray[Any]) -> Picture:
    axes = tuple(size for size in x.shape if size != 1)
    if not np.issubdtype(x.dtype, np.number):
        return _numbers(x)
    values = np.nan_to_num(x.astype(np.float64), posinf=0.0, neginf=0.0)
    if len(axes) == 1 and axes[0] >= _COURSE and not np.issubdtype(x.dtype, np.integer):
        return _course(values.reshape(axes[0], 1))
    if len(axes) == 2 and x.ndim == 2 and min(axes) <= _LINES * 2 and axes[0] >= _COURSE:
        return _course(values.reshape(axes))
    if len(axes) == 2 and min(axes) > 3:
        return _image(values.reshape(*axes, 1), x.dtype)
    if len(axes) == 3 and axes[2] in (3, 4) and min(axes[:2]) > 3:
        return _image(values.reshape(axes), x.dtype)
    if len(axes) == 3 and axes[0] in (3, 4) and min(axes[1:]) > 4:
        return _image(values.reshape(axes).transpose(1, 2, 0), x.dtype)
    return _numbers(x)


def _image(values: NDArray[np.float64], dtype: np.dtype[Any]) -> Picture:
    height, width = values.shape[:2]
    step = -(-max(height, width) // _PIXELS)
    low, high = _range(values, dtype)
    shown = (values[::step, ::step] - low) / ((high - low) or 1.0)
    pixels = np.clip(np.round(255 * shown), 0, 255).astype(np.uint8)
    return Picture(f"image of {height} x {width}", image=png_address(pixels))


def _range(values: NDArray[np.float64], dtype: np.dtype[Any]) -> tuple[float, float]:
    """The range that pixels of these values most likely have."""
    if dtype == np.uint8:
        return 0.0, 255.0
    low, high = float(values.min()), float(values.max())
    # One that fills little of a usual range would be black: it has another.
    for known in ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)):
        if known[0] <= low and known[1] / 4 <= high <= known[1]:
            return known
    return low, high


def _course(values: NDArray[np.float64]) -> Picture:
    """Lines over time, at most `_LINES`, each from its lowest to its highest value in every part."""
    steps, channels = values.shape
    shown = values[:, :_LINES]
    low, span = float(shown.min()), float(shown.max() - shown.min()) or 1.0
    lines = tuple(_line(shown[:, at], low, span) for at in range(shown.shape[1]))
    what = "waveform" if channels == 1 else f"series of {channels}"
    return Picture(f"{what}, {steps:,} steps", lines=lines)


def _line(values: NDArray[np.float64], low: float, span: float) -> str:
    parts = np.array_split(values, min(len(values), _POINTS // 2))
    points = []
    for at, part in enumerate(parts):
        x = 100 * at / max(1, len(parts) - 1)
        # What lies between two points of the page: both its ends, in their order.
        ends = (
            [part[0]]
            if len(part) == 1
            else [part[i] for i in sorted((part.argmin(), part.argmax()))]
        )
        points += [f"{x:.2f},{100 * (1 - (value - low) / span):.1f}" for value in ends]
    return " ".join(points)


def _numbers(x: NDArray[Any]) -> Picture:
    flat = x.reshape(-1)
    shown = " ".join(
        f"{value:.4g}" if isinstance(value, float) else str(value)
        for value in flat[:_NUMBERS].tolist()
    )
    more = f" … ({flat.size:,} in all)" if flat.size > _NUMBERS else ""
    return Picture(f"values of shape {list(x.shape)}", text=f"{shown}{more}")
