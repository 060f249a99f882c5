"""Files of images and sound, made here."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from support import needs

FLOAT, PCM = 3, 1


def wav_bytes(
    values: np.ndarray,
    rate: int = 8000,
    kind: int = PCM,
    bits: int = 16,
    extensible: bool = False,
    before: bytes = b"",
) -> bytes:
    """A WAV file of raw `values`, (time,) or (time, channels), which are stored as they are."""
    channels = 1 if values.ndim == 1 else values.shape[1]
    block = channels * bits // 8
    tag = 0xFFFE if extensible else kind
    layout = struct.pack("<HHIIHH", tag, channels, rate, rate * block, block, bits)
    if extensible:
        layout += struct.pack("<HHIH14s", 22, bits, 0, kind, bytes(14))
    if bits == 24:
        raw = (values.astype("<i4")[..., None] >> np.array([0, 8, 16])).astype(np.uint8).tobytes()
    else:
        dtype = {(PCM, 8): "u1", (PCM, 16): "<i2", (PCM, 32): "<i4", (FLOAT, 32): "<f4"}
        raw = values.astype({**dtype, (FLOAT, 64): "<f8"}[kind, bits]).tobytes()
    chunks = b"fmt " + struct.pack("<I", len(layout)) + layout + before
    chunks += b"data" + struct.pack("<I", len(raw)) + raw
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


Write = Callable[..., Path]


@pytest.fixture
def write_wav(tmp_path: Path) -> Write:
    """`write_wav(name, values, ...)`, as `wav_bytes`, below the test's folder."""

    def write(name: str, values: Sequence[float] | np.ndarray, **options: int) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(wav_bytes(np.asarray(values), **options))
        return path

    return write


@pytest.fixture
def write_image(tmp_path: Path) -> Write:
    """`write_image(name, pixels)`: (height, width) grey or (height, width, 3), below the test's folder."""
    module = needs.package("PIL.Image")

    def write(name: str, pixels: np.ndarray, **options: object) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        module.fromarray(pixels).save(path, **options)
        return path

    return write


def pixels(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
