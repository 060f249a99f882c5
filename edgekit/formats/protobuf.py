"""Read protocol buffers without their package: fields by number, every step inside the message.

The layout is that of Protocol Buffers' "Encoding" page: a message is a row of fields, each a tag
(the field's number and how it is written) and a value.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property

from edgekit.errors import ArtifactError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED_BYTES = {_FIXED64: 8, _FIXED32: 4}


def fields(content: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """(number, start, start of the body, end) of each field of the message between `at` and `end`.

    Raises:
        ArtifactError: the bytes are no message.
    """
    while at < end:
        start = at
        tag, at = varint(content, at, end)
        field, wire = tag >> 3, tag & 7
        body = at
        if wire == _VARINT:
            _, at = varint(content, at, end)
        elif wire == _BYTES:
            length, body = varint(content, at, end)
            at = body + length
        elif wire in _FIXED_BYTES:
            at += _FIXED_BYTES[wire]
        else:
            raise ArtifactError(
                f"received wire type {wire} at byte {start}: damaged, or of another format."
            )
        if at > end:
            raise ArtifactError(
                f"the field at byte {start} ends at byte {at} of {end}: damaged, or of another format."
            )
        yield field, start, body, at


def varint(content: bytes, at: int, end: int) -> tuple[int, int]:
    """The integer that begins at byte `at`, and where it ends."""
    # Most are of one byte.
    if at < end and content[at] < 0x80:
        return content[at], at + 1
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            break
        value |= (content[at] & 0x7F) << shift
        at += 1
        if content[at - 1] < 0x80:
            return value, at
    raise ArtifactError(f"an integer before byte {at} has no end: damaged, or of another format.")


def varint_bytes(value: int) -> bytes:
    """An integer, not negative, as it is written."""
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)


def delimited(field: int, body: bytes) -> bytes:
    """A field that holds bytes, as it is written."""
    return varint_bytes(field << 3 | _BYTES) + varint_bytes(len(body)) + body


@dataclass(frozen=True)
class Message:
    """The message between two bytes of `content`.

    Raises:
        ArtifactError: in any method, where the bytes are none.
    """

    content: bytes
    start: int
    end: int

    @classmethod
    def whole(cls, content: bytes) -> Message:
        """The outermost message."""
        return cls(content, 0, len(content))

    @cached_property
    def _places(self) -> dict[int, list[tuple[int, int]]]:
        places: dict[int, list[tuple[int, int]]] = {}
        for field, _, body, end in fields(self.content, self.start, self.end):
            places.setdefault(field, []).append((body, end))
        return places

    def __contains__(self, field: int) -> bool:
        return field in self._places

    def without(self, taken: Collection[int]) -> bytes:
        """The message but for the fields with these numbers."""
        found = fields(self.content, self.start, self.end)
        return b"".join(self.content[start:end] for n, start, _, end in found if n not in taken)

    def messages(self, field: int) -> list[Message]:
        """The messages of a field, in their order."""
        return [Message(self.content, *place) for place in self._places.get(field, [])]

    def blocks(self, field: int) -> list[bytes]:
        """The bytes of a field, in their order."""
        return [self.content[start:end] for start, end in self._places.get(field, [])]

    def texts(self, field: int) -> list[str]:
        """The texts of a field, in their order; what is not UTF-8 is replaced."""
        return [block.decode("utf-8", "replace") for block in self.blocks(field)]

    def text(self, field: int) -> str:
        """The last text of a field; empty if it was left out."""
        return self.texts(field)[-1] if field in self else ""

    def number(self, field: int, default: int = 0) -> int:
        """The last integer of a field."""
        return (self.numbers(field) or [default])[-1]

    def numbers(self, field: int) -> list[int]:
        """The integers of a field, written one by one or packed into one value."""
        found = []
        for start, end in self._places.get(field, []):
            while start < end:
                value, start = varint(self.content, start, end)
                found.append(value)
        return found
