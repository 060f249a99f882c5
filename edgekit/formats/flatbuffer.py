"""Read FlatBuffers without their package: tables, vectors and texts, every step inside the file.

The layout is that of FlatBuffers' "Internals" page: a table begins with a signed offset back to its
vtable, which says where each field lies; references are unsigned 32-bit offsets forward from where
they stand; all numbers are little-endian. Tables and vectors lie at multiples of four bytes.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import ArtifactError

Bytes = bytes | bytearray | mmap.mmap

_FORMS = {code: struct.Struct(f"<{code}") for code in "bBhHiIqQ"}
_U16 = _FORMS["H"]
# Bytes of a reference, of what begins a table, and of the number that begins a vector.
_REFERENCE = 4


@contextmanager
def mapped(source: Path | bytes) -> Iterator[Bytes]:
    """What a file holds, mapped for as long as the block runs; content as it is.

    Raises:
        OSError, ValueError, OverflowError: it cannot be opened, is empty, or too large to be mapped.
    """
    if isinstance(source, bytes):
        yield source
        return
    with (
        source.open("rb") as stream,
        mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        yield data


class DamagedError(ArtifactError):
    """What a file says of itself cannot be. Its only argument says so in a few words."""

    @property
    def fault(self) -> str:
        return str(self.args[0])

    def __str__(self) -> str:
        return (
            f"{self.fault}. The file is damaged or of another kind: get it anew or make it again."
        )


def number(data: Bytes, at: int, code: str) -> int:
    """The integer at byte `at`, of the type that `struct` calls `code`.

    Raises:
        DamagedError: it lies outside the file.
    """
    form = _FORMS[code]
    if not 0 <= at <= len(data) - form.size:
        raise DamagedError(f"an offset points to byte {at} of {len(data)}")
    value: int = form.unpack_from(data, at)[0]
    return value


def check_identifier(data: Bytes, identifier: bytes) -> None:
    """Refuse a file that is not marked with these four bytes.

    Raises:
        DamagedError: it is not.
    """
    if data[4:8] != identifier:
        raise DamagedError(f"received the identifier {data[4:8]!r}, expected {identifier!r}")


@dataclass(frozen=True)
class Span:
    """Where numbers lie, in a file and in every copy of it that has the same layout.

    Attributes:
        start: the byte at which the first one begins.
        count: how many there are.
        kind: as numpy calls them, such as ``"<f4"``.
    """

    start: int
    count: int
    kind: str

    def of(self, data: Bytes) -> NDArray[Any]:
        """The numbers where they lie in `data`, shape (count,): what is written to them is written there."""
        return np.frombuffer(data, self.kind, self.count, self.start)


class Table:
    """A table at byte `position`, whole and inside the file. Fields are counted from 0, as in the schema.

    Raises:
        DamagedError: when it is made and in any method, where the file says what cannot be.
    """

    __slots__ = ("_fields", "_size", "_vtable", "_vtables", "data", "position")

    def __init__(
        self, data: Bytes, position: int, vtables: dict[int, tuple[int, int]] | None = None
    ) -> None:
        """Args:
        data: the whole file.
        position: where the table begins.
        vtables: those of the file that are known to be whole, which tables share: (fields, bytes of
            the table) by position.
        """
        if position % 4:
            raise DamagedError(f"a table starts at byte {position}, expected a multiple of 4")
        self.data: Bytes = data
        self.position: int = position
        self._vtable = position - number(data, position, "i")
        self._vtables = {} if vtables is None else vtables
        found = self._vtables.get(self._vtable)
        self._fields, self._size = self._read_vtable() if found is None else found
        if position + self._size > len(data):
            raise DamagedError(f"the table at byte {position} does not lie inside the file")
        if found is None:
            self._check_vtable()
            self._vtables[self._vtable] = self._fields, self._size

    @classmethod
    def root(cls, data: Bytes, identifier: bytes) -> Table:
        """The outermost table of a file that is marked with `identifier`, four bytes."""
        check_identifier(data, identifier)
        return cls(data, number(data, 0, "I"))

    def _read_vtable(self) -> tuple[int, int]:
        fields = (number(self.data, self._vtable, "H") - 4) // 2
        size = number(self.data, self._vtable + 2, "H")
        if fields < 0 or size < _REFERENCE or self._vtable + 4 + 2 * fields > len(self.data):
            raise DamagedError(f"the table at byte {self.position} does not lie inside the file")
        return fields, size

    def _check_vtable(self) -> None:
        offsets = struct.unpack_from(f"<{self._fields}H", self.data, self._vtable + 4)
        if max(offsets, default=0) >= self._size:
            raise DamagedError(f"a field of the table at byte {self.position} lies outside of it")

    @property
    def fields(self) -> int:
        """How many fields the table's vtable has room for."""
        return self._fields

    def find(self, field: int, size: int) -> int | None:
        """Where a field of so many bytes lies; None if it was left out."""
        if field >= self._fields:
            return None
        offset: int = _U16.unpack_from(self.data, self._vtable + 4 + 2 * field)[0]
        if not offset:
            return None
        if offset < _REFERENCE or offset + size > self._size:
            raise DamagedError(
                f"field {field} of the table at byte {self.position} lies outside of it"
            )
        return self.position + offset

    def number(self, field: int, code: str, default: int = 0) -> int:
        """An integer field of the type that `struct` calls `code`."""
        at = self.find(field, _FORMS[code].size)
        return default if at is None else number(self.data, at, code)

    def follow(self, field: int) -> int | None:
        """Where the reference in a field leads; None if it was left out."""
        at = self.find(field, _REFERENCE)
        return None if at is None else at + number(self.data, at, "I")

    def table(self, field: int) -> Table | None:
        """The table that a field refers to; None if it was left out."""
        at = self.follow(field)
        return None if at is None else Table(self.data, at, self._vtables)

    def tables(self, field: int) -> Iterator[Table]:
        """The tables of a vector, in its order, each made when it is its turn."""
        start, count = self.vector(field, _REFERENCE)
        for at in range(start, start + _REFERENCE * count, _REFERENCE):
            yield Table(self.data, at + number(self.data, at, "I"), self._vtables)

    def nth_table(self, field: int, index: int) -> Table:
        """One table of a vector, which has more than `index`."""
        at = self.vector(field, _REFERENCE)[0] + _REFERENCE * index
        return Table(self.data, at + number(self.data, at, "I"), self._vtables)

    def vector(self, field: int, width: int) -> tuple[int, int]:
        """Where the first element of a vector lies, and how many of `width` bytes there are."""
        at = self.follow(field)
        if at is None:
            return 0, 0
        if at % 4:
            raise DamagedError(f"a vector starts at byte {at}, expected a multiple of 4")
        count = number(self.data, at, "I")
        if at + 4 + count * width > len(self.data):
            raise DamagedError(
                f"a vector of {count} elements at byte {at} does not end inside the file"
            )
        return at + 4, count

    def span(self, field: int, kind: str) -> Span:
        """Where the numbers of a vector lie."""
        return Span(*self.vector(field, np.dtype(kind).itemsize), kind)

    def content(self, field: int) -> bytes:
        """A vector of bytes, or a text as it is stored; empty if it was left out."""
        start, count = self.vector(field, 1)
        return bytes(self.data[start : start + count])

    def text(self, field: int) -> str:
        """A text, which ends with a zero byte and is UTF-8; empty if it was left out."""
        start, count = self.vector(field, 1)
        if not start:
            return ""
        if number(self.data, start + count, "B"):
            raise DamagedError(f"the string at byte {start - 4} has no end")
        try:
            return bytes(self.data[start : start + count]).decode("utf-8")
        except UnicodeDecodeError as error:
            raise DamagedError(f"the string at byte {start - 4} is not UTF-8: {error}") from error
