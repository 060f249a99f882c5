"""Frames: what goes through the pipes between caller and child: a length of four bytes, and so many bytes."""

from __future__ import annotations

import os

_HEAD = 4
# The frame of an empty message, which says: as before. Most have no other.
AS_BEFORE = bytes(_HEAD)


def framed(message: bytes) -> bytes:
    """A message as it is written."""
    return len(message).to_bytes(_HEAD, "little") + message


def length_of(data: bytes | bytearray) -> int | None:
    """How many bytes the frame has that begins with `data`; None as long as too few are there to tell."""
    return _HEAD + int.from_bytes(data[:_HEAD], "little") if len(data) >= _HEAD else None


def message_in(frame: bytes | bytearray) -> bytes:
    """The message of a whole frame."""
    return bytes(frame[_HEAD:])


def read_frame(descriptor: int) -> bytes | None:
    """The next message of a pipe, waited for; None where nobody writes to it any more."""
    data = os.read(descriptor, _HEAD)
    if data == AS_BEFORE:
        return b""
    wanted = length_of(data) or _HEAD
    while len(data) < wanted:
        more = os.read(descriptor, wanted - len(data))
        if not more:
            return None
        data += more
        wanted = length_of(data) or _HEAD
    return message_in(data)


def write_frame(descriptor: int, message: bytes) -> None:
    """Write a message to a pipe, however long that takes."""
    data = framed(message)
    while data:
        data = data[os.write(descriptor, data) :]
