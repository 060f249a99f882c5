"""PNG and JPEG images as (height, width, channels), by Pillow."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import SamplesError, require

_FORMATS = ("PNG", "JPEG")
_GREY = ("1", "L", "LA")
_COLOUR = ("RGB", "RGBA", "P", "PA", "CMYK", "YCbCr")
# Whose pixels are one number of up to 8 bits.
_MASKS = ("1", "L", "P")
# The place in a photograph's data that says how the camera was held, and the ways that swap its sides.
_ORIENTATION, _SIDEWAYS = 0x0112, (5, 6, 7, 8)
# Of one image; a file of a few bytes may announce any size.
_MAX_PIXELS = 1 << 27

# What Pillow raises on damaged files.
_UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    TypeError,
    KeyError,
    IndexError,
    OverflowError,
    MemoryError,
    struct.error,
    zlib.error,
)


@dataclass(frozen=True)
class ImageHeader:
    """Height and width as the image is to be seen, in pixels, and whether it has colours."""

    size: tuple[int, int]
    colour: bool


def image_header(path: Path) -> ImageHeader:
    """Read what an image file says of itself.

    Raises:
        SamplesError: no PNG or JPEG, more than 8 bits a value, or absurdly large.
        MissingDependencyError: Pillow is not installed.
    """
    with _opened(path) as image:
        try:
            # Of a PNG, Pillow would decode all of it to find that out.
            sideways = image.format == "JPEG" and image.getexif().get(_ORIENTATION) in _SIDEWAYS
        except _UNREADABLE as error:
            raise SamplesError(f"{path}: cannot be read as an image ({error}).") from error
        width, height = image.size
        size = (width, height) if sideways else (height, width)
        return ImageHeader(size, image.mode in _COLOUR)


def read_image(path: Path, colour: bool) -> NDArray[np.uint8]:
    """An image's pixels: (height, width, 3) if `colour`, else (height, width, 1); 0 to 255.

    A JPEG stands upright as its EXIF data say; what is transparent loses its transparency.

    Raises:
        SamplesError: as `image_header`, or damaged.
    """
    operations = require("PIL.ImageOps", "images", "Reading images")
    with _opened(path) as image:
        try:
            upright = operations.exif_transpose(image) if image.format == "JPEG" else image
            pixels: NDArray[np.uint8] = np.asarray(upright.convert("RGB" if colour else "L"))
        except _UNREADABLE as error:
            raise SamplesError(f"{path}: cannot be read as an image ({error}).") from error
    return pixels if colour else pixels[..., None]


def mask_size(path: Path) -> tuple[int, int]:
    """Height and width of a mask, in pixels.

    Raises:
        SamplesError: as `read_mask`.
    """
    with _opened(path, _MASKS) as image:
        width, height = image.size
        return height, width


def read_mask(path: Path) -> NDArray[np.uint8]:
    """A mask's values: (height, width), 0 to 255; of an image with a palette the palette's numbers.

    Raises:
        SamplesError: no PNG, colours in the place of numbers, absurdly large, or damaged.
        MissingDependencyError: Pillow is not installed.
    """
    with _opened(path, _MASKS) as image:
        try:
            values: NDArray[np.uint8] = np.asarray(image).astype(np.uint8)
        except _UNREADABLE as error:
            raise SamplesError(f"{path}: cannot be read as a mask ({error}).") from error
    return values


def _opened(path: Path, modes: tuple[str, ...] = ()) -> Any:
    module = require("PIL.Image", "images", "Reading images")
    try:
        image = module.open(path, formats=_FORMATS)
    except (*_UNREADABLE, module.DecompressionBombError) as error:
        raise SamplesError(f"{path}: cannot be read as an image ({error}).") from error
    trouble = None
    if modes and image.mode not in modes:
        trouble = (
            f"received pixels of the kind {image.mode!r}, expected a mask with one number a pixel: grey, or "
            "with a palette"
        )
    elif image.mode not in (*_GREY, *_COLOUR):
        trouble = f"received pixels of the kind {image.mode!r}, expected 8 bits a value"
    elif image.size[0] * image.size[1] > _MAX_PIXELS:
        trouble = (
            f"received {image.size[0]} x {image.size[1]} pixels, expected {_MAX_PIXELS} at most"
        )
    if trouble:
        image.close()
        raise SamplesError(f"{path}: {trouble}.")
    return image
