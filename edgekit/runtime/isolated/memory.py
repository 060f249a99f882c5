"""Memory: what a caller and its child share, and how arrays lie in it."""

from __future__ import annotations

import mmap
import os
import weakref
from collections.abc import Iterable, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.errors import ArtifactError, UnsupportedError

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Arrays begin where the vector units of all processors like them to.
_ALIGNED = 64


class Memory:
    """A file without a name that two processes map; it only ever grows.

    Attributes:
        descriptor: of the file.
        size: bytes that are mapped here.
    """

    def __init__(self, descriptor: int) -> None:
        """Map what is there."""
        self.descriptor = descriptor
        self.size: int = 0
        self.follow()

    @classmethod
    def made(cls) -> Memory:
        """A new one of one page, which no process can make smaller under another's feet.

        Raises:
            UnsupportedError: the system has no such memory.
        """
        try:
            import fcntl

            flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
            descriptor = os.memfd_create("edgekit", flags)
            os.ftruncate(descriptor, mmap.PAGESIZE)
            seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
        # Linux has all of it, no other system has.
        except (ModuleNotFoundError, AttributeError) as error:
            raise UnsupportedError(
                "isolated: needs memory that processes share without a name (memfd_create), which Linux "
                "has and this system has not. Leave it out, and load files of others with verify=True."
            ) from error
        memory = cls(descriptor)
        weakref.finalize(memory, os.close, descriptor)
        return memory

    def grow(self, size: int) -> None:
        """Have at least so many bytes, for the other process as well once it calls `follow`.

        Raises:
            ArtifactError: the machine has no room for them.
        """
        if size <= self.size:
            return
        try:
            os.ftruncate(self.descriptor, -(-size // mmap.PAGESIZE) * mmap.PAGESIZE)
            self.follow()
        except (OSError, OverflowError) as error:
            raise ArtifactError(
                f"isolated: there is no room for {size // 1_000_000} MB of memory to share: {error}."
            ) from error

    def follow(self) -> None:
        """Map all that is there now. Views of what was mapped before stay good."""
        there = os.fstat(self.descriptor).st_size
        if there > self.size:
            self._map = mmap.mmap(self.descriptor, there)
            self.size = there

    def view(self, offset: int, shape: Sequence[int], dtype: Any) -> NDArray[Any]:
        """An array that lies in it; for texts (``object``) `shape` is of their bytes."""
        kind = np.uint8 if dtype == "object" else dtype
        view: NDArray[Any] = np.ndarray(tuple(shape), kind, self._map, offset)
        return view


def size_of(shape: Iterable[int], dtype: str) -> int:
    """Bytes of an array of numbers."""
    return prod(shape) * np.dtype(dtype).itemsize


def places(sizes: Iterable[int], start: int = 0) -> tuple[list[int], int]:
    """Offsets of arrays of `sizes` bytes that lie one behind the other, and the end of the last one."""
    offsets = []
    for size in sizes:
        start = -(-start // _ALIGNED) * _ALIGNED
        offsets.append(start)
        start += size
    return offsets, start


def packed(texts: NDArray[Any]) -> NDArray[np.uint8]:
    """An array of texts or bytes as bytes: twice the length of each, plus one if it was bytes; then all."""
    parts = [
        x if isinstance(x, bytes) else x.encode("utf-8", "surrogateescape") for x in texts.flat
    ]
    marks = [2 * len(part) + isinstance(x, bytes) for part, x in zip(parts, texts.flat)]
    head = np.array(marks, "<u4").tobytes()
    return np.frombuffer(bytearray(head + b"".join(parts)), np.uint8)


def unpacked(data: bytes, shape: Sequence[int]) -> NDArray[Any]:
    """The array that `packed` made `data` of.

    Raises:
        ValueError, TypeError: it made no such data.
    """
    count = prod(shape)
    marks = np.ndarray((count,), "<u4", data)
    texts = np.empty(count, object)
    at = marks.nbytes
    for i, mark in enumerate(marks.tolist()):
        part = data[at : at + mark // 2]
        texts[i] = part if mark % 2 else part.decode("utf-8", "surrogateescape")
        at += mark // 2
    if at != len(data):
        raise ValueError(f"texts of {at} bytes in {len(data)}")
    return texts.reshape(tuple(shape))
