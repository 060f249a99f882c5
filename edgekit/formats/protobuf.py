"""Read protocol buffers without their package: fields by number, every step inside the message.

The layout is that of Protocol Buffers' "Encoding" page: a message is a row of fields, each a tag
(the field's number and how it is written) and a value.
"""

from __future__ import annotations

from collections.abc import Iterator
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
            raise ArtifactError(f"received wire type {wire} at byte {start}: not an ONNX file.")
        if at > end:
            raise ArtifactError(
                f"the field at byte {start} ends at byte {at} of {end}: damaged or no ONNX file."
            )
        yield field, start, body, at


def varint(content: bytes, at: int, end: int) -> tuple[int, int]:
    """The integer that begins at byte `at`, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            break
        value |= (content[at] & 0x7F) << shift
        at += 1
        if content[at - 1] < 0x80:
            return value, at
    raise ArtifactError(f"an integer before byte {at} has no end: damaged or no ONNX file.")


def delimited(field: int, body: bytes) -> bytes:
    """A field that holds bytes, as it is written."""
    head = bytearray([field << 3 | _BYTES])
    length = len(body)
    while length > 0x7F:
        head.append(length & 0x7F | 0x80)
        length >>= 7
    head.append(length)
    return bytes(head) + body


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

    def messages(self, field: int) -> list[Message]:
        """The messages of a field, in their order."""
        return [Message(self.content, *place) for place in self._places.get(field, [])]

    def texts(self, field: int) -> list[str]:
        """The texts of a field, in their order; what is not UTF-8 is replaced."""
        places = self._places.get(field, [])
        return [self.content[start:end].decode("utf-8", "replace") for start, end in places]

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
