"""A model file without edgekit's metadata block, and that block: written apart from edgekit, to judge it."""

from __future__ import annotations

import json
import struct
from typing import Any

_KEY = b"edgekit"
# A FlatBuffer's header, and the mark behind it: name, length of what was put in front, the old root.
_HEADER, _MARK = 8, struct.Struct("<8sII")
# ModelProto.metadata_props.
_PROPERTIES = 14


def split(content: bytes, format: str) -> tuple[bytes, dict[str, Any] | None]:
    """The file's other bytes, and its metadata; the file itself and None where it has none.

    Of a file of several hundred megabytes, whose weights lie behind the FlatBuffer, the offsets to
    them still count the block's length.
    """
    return _split_tflite(content) if format == "tflite" else _split_onnx(content)


def _split_tflite(content: bytes) -> tuple[bytes, dict[str, Any] | None]:
    name, length, root = _MARK.unpack_from(content.ljust(_HEADER + _MARK.size, b"\0"), _HEADER)
    if name != _KEY + b"\0":
        return content, None
    block, rest = content[_HEADER : _HEADER + length], content[_HEADER + length :]
    # The JSON ends the block, filled up with zeros, and its length stands before it.
    text = block.rstrip(b"\0")
    start = text.find(b"{")
    while text[start - 4 : start] != struct.pack("<I", len(text) - start):
        start = text.index(b"{", start + 1)
    return struct.pack("<I", root) + content[4:_HEADER] + rest, json.loads(text[start:])


def _split_onnx(content: bytes) -> tuple[bytes, dict[str, Any] | None]:
    kept, found, at = [], None, 0
    while at < len(content):
        field, body, end = _field(content, at)
        entry = content[body:end]
        if field == _PROPERTIES and _KEY in entry[: 2 + len(_KEY)]:
            # A StringStringEntryProto: the key, then the value.
            _, value, stop = _field(entry, _field(entry, 0)[2])
            found = json.loads(entry[value:stop])
        else:
            kept.append(content[at:end])
        at = end
    return b"".join(kept), found


def _field(content: bytes, at: int) -> tuple[int, int, int]:
    """Of the protobuf field at byte `at`: its number, where its body begins, where it ends."""
    tag, at = _varint(content, at)
    if tag & 7 == 2:
        length, at = _varint(content, at)
        return tag >> 3, at, at + length
    if tag & 7 == 0:
        return tag >> 3, at, _varint(content, at)[1]
    return tag >> 3, at, at + {1: 8, 5: 4}[tag & 7]


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (content[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if content[at - 1] < 0x80:
            return value, at
