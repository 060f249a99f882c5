"""PNG of small pictures, and as an address that a page holds in itself. Needs no package but numpy.

https://www.w3.org/TR/png-3/
"""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np
from numpy.typing import NDArray

_COLOUR_TYPES = {1: 0, 3: 2, 4: 6}


def to_png(pixels: NDArray[np.uint8]) -> bytes:
    """Encode uint8 pixels of (height, width, channels), 1 for grey, 3 for RGB or 4 for RGBA."""
    height, width, channels = pixels.shape
    # Each row after a byte that says it is not filtered.
    rows = np.zeros((height, 1 + width * channels), np.uint8)
    rows[:, 1:] = pixels.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", header),
            _chunk(b"IDAT", zlib.compress(rows.tobytes(), 9)),
            _chunk(b"IEND", b""),
        )
    )


def png_address(pixels: NDArray[np.uint8]) -> str:
    """As `to_png`, as an address that a page holds in itself."""
    return f"data:image/png;base64,{base64.b64encode(to_png(pixels)).decode()}"


def _chunk(kind: bytes, data: bytes) -> bytes:
    return (
        struct.pack(">I", len(data))
        + kind
        + data
        + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))
    )
