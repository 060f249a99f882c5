"""Stored arrays: large ones wait in a temporary file without a name, small ones in memory.

The values are read, not mapped, so that what was looked at once does not fill the memory.
"""

from __future__ import annotations

import math
import tempfile
import zipfile
from collections.abc import Iterator
from threading import Lock
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import SamplesError
from edgekit.samples.lazy import LazyArray

# Up to this many bytes an array stays in memory.
HELD = 8 << 20
# What is written at a time.
_BLOCK_BYTES = 1 << 20


class _File:
    """A temporary file that several threads read; it is gone when nobody uses it any more."""

    def __init__(self) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self._lock = Lock()

    def write(self, rows: NDArray[Any]) -> None:
        """Append rows."""
        try:
            self._file.write(rows.tobytes())
        except OSError as error:
            raise SamplesError(
                f"an array cannot be kept in a temporary file in {tempfile.gettempdir()}: {error}. Set "
                "TMPDIR to a folder with room."
            ) from error

    def read(self, start: int, into: NDArray[Any]) -> None:
        """Fill an array with what begins at a byte."""
        with self._lock:
            self._file.seek(start)
            content = self._file.read(into.nbytes)
        into[...] = np.frombuffer(content, into.dtype).reshape(into.shape)


class StoredArray(LazyArray):
    """An array whose values lie one sample after the other in a temporary file."""

    def __init__(
        self,
        file: _File,
        count: int,
        sample: tuple[int, ...],
        dtype: np.dtype[Any],
        picked: NDArray[np.intp] | range | None = None,
    ) -> None:
        self._picked = range(count) if picked is None else picked
        super().__init__(len(self._picked), sample, dtype)
        self._file, self._count, self._sample = file, count, sample

    def _pick(self, index: Any) -> StoredArray:
        picked = (
            self._picked[index] if isinstance(index, slice) else np.asarray(self._picked)[index]
        )
        return StoredArray(self._file, self._count, self._sample, self.dtype, picked)

    def _read(self) -> NDArray[Any]:
        values: NDArray[Any] = np.empty((len(self), *self._sample), self.dtype)
        size, done = self.dtype.itemsize * math.prod(self._sample), 0
        for first, count in _runs(self._picked):
            self._file.read(first * size, values[done : done + count])
            done += count
        return values


class Store:
    """Rows of one array on their way: in memory, and beyond 8 MB in a temporary file."""

    def __init__(self) -> None:
        self._rows: list[NDArray[Any]] = []
        self._bytes = self._count = 0
        self._file: _File | None = None

    def add(self, rows: NDArray[Any]) -> None:
        """Rows of the shape and the dtype of those before.

        Raises:
            SamplesError: there is no room for the file.
        """
        rows = np.ascontiguousarray(rows)
        self._bytes += rows.nbytes
        self._count += len(rows)
        if self._file is None and self._bytes > HELD:
            self._file = _File()
            for held in self._rows:
                self._file.write(held)
            # One of no rows tells shape and dtype.
            self._rows = [rows[:0]]
        if self._file is None:
            self._rows.append(rows)
        else:
            self._file.write(rows)

    def array(self) -> NDArray[Any] | StoredArray:
        """All rows. Nothing can be added afterwards."""
        if self._file is None:
            return np.concatenate(self._rows)
        (like,) = self._rows
        return StoredArray(self._file, self._count, like.shape[1:], like.dtype)


def unpacked(archive: zipfile.ZipFile, name: str) -> NDArray[Any] | StoredArray:
    """An array of an ``.npz``, unpacked a block at a time where it is large.

    Args:
        archive: the ``.npz``.
        name: of the array.

    Raises:
        ValueError: pickled objects, or no array.
        Exception: what zipfile, zlib and numpy raise on damaged files.
    """
    with archive.open(f"{name}.npy") as stream:
        version = np.lib.format.read_magic(stream)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(version)
        shape, in_columns, dtype = read(stream) if read else ((), True, np.dtype("V"))
        if not in_columns and not dtype.hasobject and math.prod(shape) * dtype.itemsize > HELD:
            return _stored(stream, tuple(map(int, shape)), dtype)
    with archive.open(f"{name}.npy") as stream:
        found: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
        return found


def _stored(
    stream: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any]
) -> NDArray[Any] | StoredArray:
    store = Store()
    size = dtype.itemsize * math.prod(shape[1:])
    step, left = max(1, _BLOCK_BYTES // size), shape[0]
    while left:
        count = min(step, left)
        parts, wanted = [], count * size
        while wanted:
            part = stream.read(wanted)
            if not part:
                raise EOFError(f"ends {left * size} bytes too early")
            parts.append(part)
            wanted -= len(part)
        store.add(np.frombuffer(b"".join(parts), dtype).reshape(count, *shape[1:]))
        left -= count
    return store.array()


def _runs(picked: NDArray[np.intp] | range) -> Iterator[tuple[int, int]]:
    """Where indices that follow each other begin, and how many they are."""
    if isinstance(picked, range) and (picked.step == 1 or not picked):
        if picked:
            yield picked.start, len(picked)
        return
    places = np.asarray(picked)
    if not len(places):
        return
    ends = np.flatnonzero(np.diff(places) != 1) + 1
    for part in np.split(places, ends):
        yield int(part[0]), len(part)
