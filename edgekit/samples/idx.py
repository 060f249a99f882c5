"""The IDX format, from the description on the MNIST database's page."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import SamplesError
from edgekit.samples.limits import most_bytes, require_file, too_large

# By the header's type byte.
_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


def read_idx_pair(path: Path) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """The images of a file, grey ones as (samples, height, width, 1), and the labels beside it.

    They lie in the file that has ``labels`` and ``idx1`` where this one has ``images`` and ``idx3``.

    Raises:
        SamplesError: no IDX file, or one that was cut.
        Exception: what gzip and zlib raise on damaged files.
    """
    images = _read(path)
    if images.ndim == 3:
        images = images[..., None]
    labels = labels_beside(path)
    return images, None if labels is None else _read(labels).astype(np.int64)


def labels_beside(path: Path) -> Path | None:
    """The file of labels that belongs to the one of images at `path`; None where there is none."""
    twin = path.with_name(path.name.replace("images", "labels").replace("idx3", "idx1"))
    return None if twin == path or not twin.exists() else twin


def _unpacked(path: Path) -> bytes:
    most = most_bytes(path)
    with gzip.open(path) as stream:
        raw = stream.read(most + 1)
    if len(raw) > most:
        raise too_large(path, len(raw))
    return raw


def _read(path: Path) -> NDArray[Any]:
    require_file(path)
    raw = path.read_bytes()
    if raw[:2] == b"\x1f\x8b":
        raw = _unpacked(path)
    if len(raw) < 4 or raw[:2] != b"\0\0" or raw[2] not in _TYPES:
        raise SamplesError(
            f"{path.name}: no IDX file (its first four bytes are {raw[:4].hex(' ')})."
        )
    ndim = raw[3]
    dtype = np.dtype(_TYPES[raw[2]])
    header = 4 + 4 * ndim
    if len(raw) < header:
        raise SamplesError(f"{path.name}: ends within its header.")
    shape = tuple(int(n) for n in np.frombuffer(raw, ">u4", ndim, 4))
    # Python's integers: a product of four sizes read from a file must not wrap around.
    expected = header + dtype.itemsize * int(np.prod([*map(int, shape), 1], dtype=object))
    if len(raw) != expected:
        raise SamplesError(
            f"{path.name}: received {len(raw)} bytes, expected {expected} for shape {list(shape)}."
        )
    return np.frombuffer(raw, dtype, offset=header).reshape(shape).astype(dtype.newbyteorder("="))
