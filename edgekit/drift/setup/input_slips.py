"""Slips of a model's inputs: samples in another unit, order, layout or size, and what takes each back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.drift.setup.slips import SLIPS, Slip

Array = NDArray[Any]

# A factor, and what is added after it.
_SCALES = {
    "divided_by_255": (1 / 255, 0.0),
    "multiplied_by_255": (255.0, 0.0),
    "unit_to_signed": (2.0, -1.0),
    "signed_to_unit": (0.5, 0.5),
    "bytes_to_signed": (1 / 127.5, -1.0),
    "signed_to_bytes": (127.5, 127.5),
}
# Means and deviations that networks of ImageNet take their channels by, from 0..1; and means of blue, green and red
# from 0..255, which the older ones take away.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_BLUE_GREEN_RED = (103.939, 116.779, 123.68)
_PCM = 32768.0
# A side of an image that can be turned or cropped; steps of a series that can be resampled, of a sound, and columns
# that have a mean each.
_SIDE, _STEPS, _SOUND, _COLUMNS = 4, 16, 256, 64
# What is left of a side that was cropped: as networks of ImageNet are judged, and less.
_KEPT = (7 / 8, 3 / 4)
# What the pixels of a border differ by at most, of all values' range.
_SAME = 1e-3


def input_slips(x: Array) -> Iterator[tuple[Slip, Callable[[Array], Array]]]:
    """The slips that samples of an input may have, with what takes each back.

    Args:
        x: numbers, (samples, ...).

    Yields:
        A slip, and a function from samples to samples of the same shape.
    """
    if x.dtype.kind not in "iuf":
        return
    for name, (factor, offset) in _SCALES.items():
        yield SLIPS[name], _scaling(factor, offset)
    shape = x.shape[1:]
    if len(shape) >= 2 and shape[-1] in (3, 4):
        yield SLIPS["channels_reversed"], _channels_reversed
    if len(shape) >= 2 and shape[0] == shape[1]:
        yield SLIPS["transposed"], lambda values: values.swapaxes(1, 2)
    if len(shape) >= 2 and shape[-1] > 1 and max(shape[:-1]) > 1:
        yield SLIPS["from_nchw"], _from_channels_first
        yield SLIPS["to_nchw"], _to_channels_first
    yield SLIPS["standardised"], _standardised
    if len(shape) == 3 and shape[-1] <= 4:
        yield from _of_images(x)
    elif shape and shape[0] >= _STEPS:
        yield from _of_series(shape)


def _of_images(x: Array) -> Iterator[tuple[Slip, Callable[[Array], Array]]]:
    shape = x.shape[1:]
    if shape[-1] == 3:
        mean, std = np.asarray(_MEAN, np.float32), np.asarray(_STD, np.float32)
        blues = np.asarray(_BLUE_GREEN_RED, np.float32)
        yield SLIPS["imagenet_standardised"], lambda x: (x.astype(np.float32) - mean) / std
        yield (
            SLIPS["imagenet_standardised_from_bytes"],
            lambda x: (x.astype(np.float32) / 255 - mean) / std,
        )
        yield (
            SLIPS["imagenet_standardised_from_signed"],
            lambda x: ((x.astype(np.float32) + 1) / 2 - mean) / std,
        )
        yield SLIPS["imagenet_undone"], lambda x: x.astype(np.float32) * std + mean
        yield (
            SLIPS["imagenet_undone_to_signed"],
            lambda x: 2 * (x.astype(np.float32) * std + mean) - 1,
        )
        yield (
            SLIPS["imagenet_undone_to_bytes"],
            lambda x: 255 * (x.astype(np.float32) * std + mean),
        )
        yield SLIPS["means_of_bgr"], lambda x: x[..., ::-1].astype(np.float32) - blues
    yield SLIPS["negative"], lambda x: (x.max() + x.min()) - x.astype(np.float32)
    if min(shape[:2]) < _SIDE:
        return
    yield SLIPS["upside_down"], lambda x: x[:, ::-1]
    yield SLIPS["mirrored"], lambda x: x[:, :, ::-1]
    yield SLIPS["half_turn"], lambda x: x[:, ::-1, ::-1]
    if shape[0] == shape[1]:
        yield SLIPS["turned_left"], lambda x: np.rot90(x, 1, (1, 2))
        yield SLIPS["turned_right"], lambda x: np.rot90(x, -1, (1, 2))
    # Enlarging smooths as well, and should not pass for the cropping that comes with it.
    yield SLIPS["smoothed"], _smoothed
    inner = _bordered(x)
    if inner is not None:
        yield SLIPS["unbordered"], partial(_stretched, inner=inner)
    for part in _KEPT:
        yield SLIPS["cropped"], partial(_zoomed, part=part)
        yield SLIPS["shrunk"], partial(_zoomed, part=1 / part)


def _of_series(shape: tuple[int, ...]) -> Iterator[tuple[Slip, Callable[[Array], Array]]]:
    if len(shape) > 1:
        yield SLIPS["backwards"], lambda x: x[:, ::-1]
    yield SLIPS["half_the_rate"], _every_second
    yield SLIPS["twice_the_rate"], _between
    if shape[0] >= _SOUND and int(np.prod(shape[1:])) <= 2:
        yield SLIPS["divided_by_32768"], _scaling(1 / _PCM, 0.0)
        yield SLIPS["multiplied_by_32768"], _scaling(_PCM, 0.0)


def _standardised(x: Array) -> Array:
    """Each channel, or column, by its own mean and deviation; of long rows all values together."""
    apart = x.shape[-1] <= _COLUMNS and x.ndim > 1
    values = x.astype(np.float64)
    axes = tuple(range(x.ndim - 1)) if apart else None
    # What never changes has no deviation, and stays where its mean is taken to.
    spread = values.std(axes)
    with np.errstate(over="ignore", invalid="ignore"):
        centred = (values - values.mean(axes)) / np.where(spread > 0, spread, 1.0)
    found: Array = centred.astype(np.float32)
    return found


def _zoomed(x: Array, part: float) -> Array:
    """The middle of images, `part` of each side, in their own size; beyond the edges the last pixels go on."""
    for axis in (1, 2):
        size = x.shape[axis]
        x = _sampled(x, axis, (np.arange(size) + 0.5 - size / 2) * part + size / 2 - 0.5)
    return x


def _sampled(x: Array, axis: int, at: NDArray[np.float64]) -> Array:
    """Values at places along an axis, between two pixels a mean of both; beyond the ends the last one."""
    size = x.shape[axis]
    at = np.clip(at, 0, size - 1)
    low = np.minimum(at.astype(np.intp), max(size - 2, 0))
    shape = [1] * x.ndim
    shape[axis] = len(at)
    share = np.float32(at - low).reshape(shape)
    first, second = (x.take(np.minimum(low + k, size - 1), axis) for k in (0, 1))
    found: Array = first * (1 - share) + second * share
    return found


def _bordered(x: Array) -> tuple[slice, slice] | None:
    """Which rows and columns a border leaves, of one colour in all images and on two opposite sides; None without one.

    Pixels of the border differ by no more than a rounding.
    """
    colour = x[0, 0, 0].astype(np.float64)
    spread = float(x.max()) - float(x.min())
    found = []
    for other in (2, 1):
        most, least = (np.float64(reach((0, other))) for reach in (x.max, x.min))
        off = np.maximum(most - colour, colour - least).max(-1)
        shown = np.flatnonzero(off > _SAME * spread)
        if not len(shown):
            return None
        both = shown[0] > 0 and shown[-1] < len(off) - 1
        found.append(slice(int(shown[0]), int(shown[-1]) + 1) if both else slice(0, len(off)))
    rows, columns = found
    if (rows.stop - rows.start, columns.stop - columns.start) == x.shape[1:3]:
        return None
    return rows, columns


def _stretched(x: Array, inner: tuple[slice, slice]) -> Array:
    """A part of images in the images' own size."""
    for axis, part in zip((1, 2), inner, strict=True):
        size, kept = x.shape[axis], part.stop - part.start
        x = x[(slice(None),) * axis + (part,)]
        x = _sampled(x, axis, (np.arange(size) + 0.5) * kept / size - 0.5)
    return x


def _smoothed(x: Array) -> Array:
    """Each pixel with a sixth of both neighbours in each direction: noise as in the mean of four pixels, in place."""
    for axis in (1, 2):
        last = x.shape[axis] - 1
        sides = [x.take(np.clip(np.arange(last + 1) + k, 0, last), axis) for k in (-1, 1)]
        x = (4 * x.astype(np.float32) + sides[0] + sides[1]) / 6
    return x


def _every_second(x: Array) -> Array:
    """Every second step, and zeros behind."""
    found = np.zeros_like(x)
    some = x[:, ::2]
    found[:, : some.shape[1]] = some
    return found


def _between(x: Array) -> Array:
    """The first half of the steps, a mean of both neighbours between any two."""
    half = x[:, : (x.shape[1] + 1) // 2].astype(np.float32)
    after = np.concatenate([half[:, 1:], half[:, -1:]], 1)
    found = np.stack([half, (half + after) / 2], 2)
    return found.reshape(len(x), -1, *x.shape[2:])[:, : x.shape[1]]


def _scaling(factor: float, offset: float) -> Callable[[Array], Array]:
    def apply(x: Array) -> Array:
        # Absurd samples become infinite, which no model answers better to.
        with np.errstate(over="ignore"):
            scaled: Array = x.astype(np.float32) * np.float32(factor) + np.float32(offset)
        return scaled

    return apply


def _channels_reversed(x: Array) -> Array:
    # A fourth channel is transparency, and stays where it is.
    return np.concatenate([x[..., 2::-1], x[..., 3:]], axis=-1)


def _from_channels_first(x: Array) -> Array:
    """Bytes of (channels, height, width) that were given the shape (height, width, channels)."""
    return np.moveaxis(x.reshape(len(x), x.shape[-1], *x.shape[1:-1]), 1, -1)


def _to_channels_first(x: Array) -> Array:
    """Bytes of (height, width, channels) that were given the shape (channels, height, width)."""
    return np.moveaxis(x, -1, 1).reshape(x.shape)
