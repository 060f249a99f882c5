"""Read FlatBuffers without their package: tables, vectors and texts, every step inside the file.

The layout is that of FlatBuffers' "Internals" page: a table begins with a signed offset back to its
vtable, which says where each field lies; references are unsigned 32-bit offsets forward from where
they stand; all numbers are little-endian.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass

from edgekit.errors import ArtifactError

Bytes = bytes | bytearray | mmap.mmap


def number(data: Bytes, at: int, code: str) -> int:
    """The integer at byte `at`, of the type that `struct` calls `code`.

    Raises:
        ArtifactError: it lies outside the file.
    """
    if not 0 <= at <= len(data) - struct.calcsize(code):
        raise ArtifactError(
            f"a reference leads to byte {at} of a file of {len(data)} bytes. The file is damaged."
        )
    (value,) = struct.unpack_from(f"<{code}", data, at)
    return int(value)


def follow(data: Bytes, at: int) -> int:
    """Where the reference at byte `at` leads."""
    return at + number(data, at, "I")


@dataclass(frozen=True)
class Table:
    """A table at byte `position` of `data`. Fields are counted from 0, as in the schema.

    Raises:
        ArtifactError: in any method, where the file says what cannot be.
    """

    data: Bytes
    position: int

    @classmethod
    def root(cls, data: Bytes, identifier: bytes) -> Table:
        """The outermost table of a file that carries `identifier`, four bytes."""
        found = data[4:8]
        if found != identifier:
            raise ArtifactError(
                f"received a file marked {found!r}, expected {identifier!r}: it is of another kind."
            )
        return cls(data, follow(data, 0))

    @property
    def fields(self) -> int:
        """How many fields the table's vtable has room for."""
        return max(0, number(self.data, self._vtable, "H") // 2 - 2)

    @property
    def _vtable(self) -> int:
        return self.position - number(self.data, self.position, "i")

    def find(self, field: int) -> int | None:
        """Where a field lies; None if it was left out."""
        if field >= self.fields:
            return None
        offset = number(self.data, self._vtable + 4 + 2 * field, "H")
        return self.position + offset if offset else None

    def number(self, field: int, code: str, default: int = 0) -> int:
        """An integer field of the type that `struct` calls `code`."""
        at = self.find(field)
        return default if at is None else number(self.data, at, code)

    def vector(self, field: int, item_bytes: int) -> tuple[int, int]:
        """Where the first item of a vector lies, and how many there are."""
        at = self.find(field)
        if at is None:
            return 0, 0
        start = follow(self.data, at)
        count = number(self.data, start, "I")
        if start + 4 + count * item_bytes > len(self.data):
            raise ArtifactError(
                f"a list of {count} items begins at byte {start} of a file of {len(self.data)} "
                "bytes. The file is damaged or cut off."
            )
        return start + 4, count

    def content(self, field: int) -> bytes:
        """A text, or a vector of bytes; empty if it was left out."""
        start, count = self.vector(field, 1)
        return bytes(self.data[start : start + count])

    def tables(self, field: int) -> list[Table]:
        """The tables of a vector, in its order."""
        start, count = self.vector(field, 4)
        return [Table(self.data, follow(self.data, start + 4 * i)) for i in range(count)]
