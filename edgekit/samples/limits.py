"""Limits for data of others: a file of a few bytes may announce any size, and a pipe never ends."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

import numpy as np

from edgekit.errors import SamplesError

# What a packed file may unpack to, whatever its own size; or so many times its own size.
_BYTES, _TIMES = 1 << 30, 16
# numpy looks each of them up in a list of all.
_MOST_ARRAYS = 10_000
# What a text takes beside its letters once it is one of Python's.
_TEXT_BYTES = 64

_allowed: ContextVar[int] = ContextVar("allowed", default=_BYTES)


@contextmanager
def unpacking(limit_bytes: int | None) -> Iterator[None]:
    """Let packed files unpack to `limit_bytes`; to the default, 1 GiB or 16 times their size, if None."""
    token = _allowed.set(_BYTES if limit_bytes is None else limit_bytes)
    try:
        yield
    finally:
        _allowed.reset(token)


def require_file(path: Path) -> None:
    """Refuse what may never end.

    Raises:
        SamplesError: neither a file nor a folder.
    """
    kind = path.stat().st_mode
    if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
        raise SamplesError("is a pipe or a device, expected a file or a folder.")


def most_bytes(path: Path) -> int:
    """How many bytes the packed file at `path` may unpack to."""
    return max(_allowed.get(), _TIMES * path.stat().st_size)


def too_large(path: Path, size: int) -> SamplesError:
    """What to raise for one that unpacks to `size` bytes or more."""
    return SamplesError(
        f"unpacks to {size:,} bytes or more, expected {most_bytes(path):,} at most from a file of "
        f"{path.stat().st_size:,}. If you trust it: --max-unpacked {-(-size // 10**9)}GB."
    )


def check_npz(path: Path, wanted: tuple[str, ...] = ()) -> None:
    """Look at what the arrays of an ``.npz`` say of themselves, before any of them is unpacked.

    Args:
        wanted: how the names of those begin that will be read; all if empty.

    Raises:
        SamplesError: together they are too large, there are too many of them, or one is no array.
        Exception: what zipfile and numpy raise on damaged files.
    """
    total = 0
    with zipfile.ZipFile(path) as archive:
        members = [
            each for each in archive.infolist() if not wanted or each.filename.startswith(wanted)
        ]
        if len(members) > _MOST_ARRAYS:
            raise SamplesError(f"holds {len(members):,} arrays, expected {_MOST_ARRAYS:,} at most.")
        for member in members:
            # numpy gives the bytes of what is called otherwise, or reads what none of this has looked at.
            if not member.filename.endswith(".npy"):
                raise SamplesError(
                    f"holds {member.filename!r:.200}, expected arrays alone, as numpy.savez writes them."
                )
            total += max(member.file_size, _announced(archive, member))
    if total > most_bytes(path):
        raise too_large(path, total)


def _announced(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> int:
    """The bytes of the array that a member's own header announces."""
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        if version == (1, 0):
            shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
        else:
            shape, _, dtype = np.lib.format.read_array_header_2_0(stream)
    size: int = dtype.itemsize + (_TEXT_BYTES if dtype.kind in "SU" else 0)
    for n in shape:
        size *= int(n)
    return size
