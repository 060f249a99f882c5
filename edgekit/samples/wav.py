"""WAV files: uncompressed audio in a RIFF container.

From the description in Microsoft's and IBM's "Multimedia Programming Interface and Data
Specifications 1.0" (1991) and Microsoft's WAVEFORMATEXTENSIBLE.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import SamplesError, placed

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_KINDS = {
    (_PCM, 8): "u1",
    (_PCM, 16): "<i2",
    (_PCM, 24): "u1",
    (_PCM, 32): "<i4",
    (_FLOAT, 32): "<f4",
    (_FLOAT, 64): "<f8",
}


@dataclass(frozen=True)
class Wav:
    """What a WAV file's header says.

    Attributes:
        rate: samples a second.
        frames: how many there are of each channel.
        bits: of a value; `floating` tells whether it is a float.
        offset: where the values begin, in bytes.
    """

    rate: int
    channels: int
    frames: int
    bits: int
    floating: bool
    offset: int


def wav_header(path: Path) -> Wav:
    """Read a file's header.

    Raises:
        SamplesError: no WAV file, a compressed one, one that was cut, or an empty one.
    """
    try:
        with path.open("rb") as stream:
            size = path.stat().st_size
            start = stream.read(12)
            if start[:4] != b"RIFF" or start[8:] != b"WAVE":
                raise SamplesError(f"no WAV file (it begins with {start!r}).")
            layout = None
            while len(head := stream.read(8)) == 8:
                name, length = struct.unpack("<4sI", head)
                if name == b"data":
                    if layout is None:
                        raise SamplesError("its values come before its format.")
                    return _described(layout, stream.tell(), length, size)
                if name == b"fmt ":
                    layout = stream.read(min(length, 40))
                    stream.seek(length - len(layout), 1)
                else:
                    stream.seek(length, 1)
                stream.seek(length % 2, 1)  # Chunks begin at even places.
    except OSError as error:
        raise SamplesError(placed(path, error)) from error
    except SamplesError as error:
        raise SamplesError(placed(path, error)) from error
    raise SamplesError(f"{path}: ends before its values (no 'data' chunk).")


def _described(layout: bytes, offset: int, length: int, size: int) -> Wav:
    if len(layout) < 16:
        raise SamplesError(f"its format has {len(layout)} bytes, expected 16 or more.")
    kind, channels, rate, _, block, bits = struct.unpack("<HHIIHH", layout[:16])
    if kind == _EXTENSIBLE and len(layout) >= 26:
        kind = struct.unpack("<H", layout[24:26])[0]
    if (kind, bits) not in _KINDS:
        raise SamplesError(
            f"received format {kind} with {bits} bits, expected PCM of 8, 16, 24 or 32 bits or floats of "
            "32 or 64. Convert it: compressed audio is not read."
        )
    if not channels or not rate or block != channels * bits // 8:
        raise SamplesError(
            f"its format contradicts itself: {channels} channels of {bits} bits in blocks of {block} "
            f"bytes, {rate} blocks a second."
        )
    if length > size - offset:
        raise SamplesError(f"was cut: received {size - offset} of {length} bytes of values.")
    if length < block:
        raise SamplesError("holds no sound: expected one value at least.")
    return Wav(rate, channels, length // block, bits, kind == _FLOAT, offset)


def read_wav(path: Path) -> NDArray[np.float32]:
    """A file's values: (time,), or (time, channels) if there are several channels.

    Integers are divided by half their range, so that they lie in [-1, 1); floats are taken as they are.

    Raises:
        SamplesError: as `wav_header`, or values that are not finite.
    """
    header = wav_header(path)
    kind = _KINDS[_FLOAT if header.floating else _PCM, header.bits]
    width = header.bits // 8 // np.dtype(kind).itemsize
    count = header.frames * header.channels * width
    raw = np.fromfile(path, kind, count, offset=header.offset)
    if len(raw) != count:
        raise SamplesError(f"{path}: was cut while it was read.")
    values = _scaled(raw, header)
    if not np.isfinite(values).all():
        raise SamplesError(f"{path}: holds values that are not finite, expected sound.")
    return values if header.channels == 1 else values.reshape(-1, header.channels)


def _scaled(raw: NDArray[Any], header: Wav) -> NDArray[np.float32]:
    half, middle = float(1 << (header.bits - 1)), 0.0
    if header.floating:
        half = 1.0
    elif header.bits == 8:
        # The only width that is stored without a sign.
        middle = half
    elif header.bits == 24:
        wide = np.zeros((len(raw) // 3, 4), np.uint8)
        wide[:, 1:] = raw.reshape(-1, 3)
        raw, half = wide.view("<i4")[:, 0], float(1 << 31)
    with np.errstate(over="ignore"):
        values: NDArray[np.float32] = ((raw.astype(np.float64) - middle) / half).astype(np.float32)
    return values
