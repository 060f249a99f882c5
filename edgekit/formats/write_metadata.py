"""Put metadata into model files without touching the model: its bytes stay as they are.

Neither format needs its packages for it. A FlatBuffer's references point forward only, so a new
root with longer lists goes in front of everything else and points to the old parts; a protocol
buffer may repeat a field at its end.
"""

from __future__ import annotations

import struct

from edgekit.errors import ArtifactError, ExportError
from edgekit.formats import tflite_schema as tflite
from edgekit.formats.flatbuffer import Table, check_identifier, number
from edgekit.formats.metadata import KEY, Metadata
from edgekit.formats.onnx_schema import ModelProto, StringStringEntryProto
from edgekit.formats.protobuf import delimited, fields

# Fields of a model's root that edgekit can carry over.
_MODEL_FIELDS = tflite.Model.EXTERNAL_BUFFERS + 1

# Header of a FlatBuffer: where the root is, and the identifier.
_HEADER = 8
# What was put in front begins with this mark, its own length and where the root was before.
_MARK = struct.Struct("<8sII")
_MARK_NAME = b"edgekit\0"
# No converter aligns weights to more.
_ALIGNMENT = 64
# FlatBuffers end below 2 GiB, whatever their file holds behind them.
_MAX_FLATBUFFER = (1 << 31) - 1


def write_tflite(content: bytes, metadata: Metadata) -> bytes:
    """A ``.tflite`` file with `metadata` in place of those it had.

    Everything that was in the file stays, byte for byte, moved by a multiple of 64: weights keep
    their alignment. What `write_tflite` wrote before is taken out first.

    Raises:
        ArtifactError: `content` is damaged or no TFLite file.
        ExportError: the file is of a kind that cannot be moved, or grows too large.
        UsageError: `metadata` cannot be written.
    """
    text = metadata.to_bytes()
    content = strip_tflite(content)
    model = Table.root(content, tflite.IDENTIFIER)
    places = _absolute_offsets(model)
    front = _front(model, text)
    end = min((number(content, at, "Q") for at in places), default=len(content))
    if end + len(front) > _MAX_FLATBUFFER:
        raise ExportError(
            f"metadata: the file would hold {end + len(front)} bytes of FlatBuffer, and none can "
            f"hold more than {_MAX_FLATBUFFER}."
        )
    root = struct.pack("<I", _HEADER + _MARK.size + _vtable_size())
    result = bytearray(b"".join((root, content[4:_HEADER], front, content[_HEADER:])))
    _shift(result, [at + len(front) for at in places], len(front))
    return bytes(result)


def strip_tflite(content: bytes) -> bytes:
    """The file as it was before `write_tflite`; `content` itself if that never saw it.

    Raises:
        ArtifactError: `content` is damaged or no TFLite file.
        ExportError: the file is of a kind that cannot be moved.
    """
    check_identifier(content, tflite.IDENTIFIER)
    if content[_HEADER : _HEADER + len(_MARK_NAME)] != _MARK_NAME:
        return content
    if len(content) < _HEADER + _MARK.size:
        raise ArtifactError("metadata: the file is cut off.")
    _, length, root = _MARK.unpack_from(content, _HEADER)
    if length % _ALIGNMENT or not _MARK.size <= length <= len(content) - _HEADER:
        raise ArtifactError(f"metadata: {length} bytes of them in a file of {len(content)} bytes.")
    result = bytearray(
        b"".join((struct.pack("<I", root), content[4:_HEADER], content[_HEADER + length :]))
    )
    _shift(result, _absolute_offsets(Table.root(result, tflite.IDENTIFIER)), -length)
    return bytes(result)


def _vtable_size() -> int:
    # Two bytes a field after two of the vtable's own, filled up to four.
    return (4 + 2 * _MODEL_FIELDS + 3) // 4 * 4


def _front(old: Table, text: bytes) -> bytes:
    """Root, lists, entry and buffer to go in behind the header, filled up to the alignment.

    Args:
        old: the root as it is.
        text: the bytes of the metadata.
    """
    if any(old.find(field, 1) is not None for field in range(_MODEL_FIELDS, old.fields)):
        raise ExportError(
            f"metadata: the file has {old.fields} fields at its root, of which edgekit knows "
            f"{_MODEL_FIELDS}: a newer schema of TFLite's than it can carry over."
        )
    metadata = [
        entry.position
        for entry in old.tables(tflite.Model.METADATA)
        if entry.content(tflite.Metadata.NAME) != KEY.encode()
    ]
    buffers = [buffer.position for buffer in old.tables(tflite.Model.BUFFERS)]

    # Positions in the new file, one part after the other, each at a multiple of four.
    vtable = _HEADER + _MARK.size
    root = vtable + _vtable_size()
    lists = {tflite.Model.BUFFERS: root + 4 + 4 * _MODEL_FIELDS}
    lists[tflite.Model.METADATA] = lists[tflite.Model.BUFFERS] + 4 * (len(buffers) + 2)
    entry_vtable = lists[tflite.Model.METADATA] + 4 * (len(metadata) + 2)
    entry = entry_vtable + 8
    name = entry + 12
    buffer_vtable = name + 4 + (len(KEY) + 1 + 3) // 4 * 4
    buffer = buffer_vtable + 8
    # The bytes themselves begin at a multiple of 16, as the schema demands of all buffers.
    data = (buffer + 8 + 4 + 15) // 16 * 16 - 4
    end = data + 4 + len(text)
    length = (end - _HEADER + _ALIGNMENT - 1) // _ALIGNMENT * _ALIGNMENT

    new = bytearray(_HEADER + length)
    _MARK.pack_into(new, _HEADER, _MARK_NAME, length, old.position)
    struct.pack_into("<HH", new, vtable, 4 + 2 * _MODEL_FIELDS, 4 + 4 * _MODEL_FIELDS)
    struct.pack_into("<i", new, root, root - vtable)
    for field in range(_MODEL_FIELDS):
        at = root + 4 + 4 * field
        if field in lists:
            value = lists[field] - at
        elif old.find(field, 4) is None:
            continue
        elif field == tflite.Model.VERSION:
            value = old.number(field, "I")
        else:
            value = (old.follow(field) or 0) + length - at
        struct.pack_into("<H", new, vtable + 4 + 2 * field, at - root)
        struct.pack_into("<I", new, at, value)
    for start, positions in (
        (lists[tflite.Model.BUFFERS], [*(p + length for p in buffers), buffer]),
        (lists[tflite.Model.METADATA], [*(p + length for p in metadata), entry]),
    ):
        offsets = [p - (start + 4 + 4 * i) for i, p in enumerate(positions)]
        struct.pack_into(f"<{1 + len(offsets)}I", new, start, len(offsets), *offsets)
    struct.pack_into("<HHHH", new, entry_vtable, 8, 12, 4, 8)
    struct.pack_into("<iII", new, entry, entry - entry_vtable, name - (entry + 4), len(buffers))
    struct.pack_into(f"<I{len(KEY) + 1}s", new, name, len(KEY), KEY.encode())
    struct.pack_into("<HHH", new, buffer_vtable, 6, 8, 4)
    struct.pack_into("<iI", new, buffer, buffer - buffer_vtable, data - (buffer + 4))
    struct.pack_into(f"<I{len(text)}s", new, data, len(text), text)
    return bytes(new[_HEADER:])


def _absolute_offsets(model: Table) -> list[int]:
    """Where the file says at which of its own bytes something lies behind the FlatBuffer.

    The schema has two such fields, for large models; 0 and 1 in them mean nothing.
    """
    for code in model.tables(tflite.Model.OPERATOR_CODES):
        if code.content(tflite.OperatorCode.CUSTOM_CODE) == b"DISPATCH_OP":
            raise ExportError(
                "metadata: the file was compiled for an accelerator, whose code it finds by its "
                "place in the file. Write the metadata before compiling."
            )
    buffers = model.tables(tflite.Model.BUFFERS)
    found = [buffer.find(tflite.Buffer.OFFSET, 8) for buffer in buffers]
    for graph in model.tables(tflite.Model.SUBGRAPHS):
        operators = graph.tables(tflite.SubGraph.OPERATORS)
        found += [each.find(tflite.Operator.LARGE_CUSTOM_OPTIONS_OFFSET, 8) for each in operators]
    # A table may stand in a list twice; its offset is to be moved once.
    places = sorted({at for at in found if at is not None})
    return [at for at in places if number(model.data, at, "Q") > 1]


def _shift(content: bytearray, places: list[int], by: int) -> None:
    for at in places:
        value = number(content, at, "Q") + by
        if not 1 < value <= len(content):
            raise ArtifactError(
                f"received a buffer at byte {value} of a file of {len(content)} bytes. The file "
                "is damaged or cut off."
            )
        struct.pack_into("<Q", content, at, value)


_MAX_PROTO = (1 << 31) - 1


def write_onnx(content: bytes, metadata: Metadata) -> bytes:
    """An ``.onnx`` file with `metadata` in place of those it had, everything else byte for byte.

    Raises:
        ArtifactError: `content` is damaged or no protocol buffer.
        ExportError: the file grows too large.
        UsageError: `metadata` cannot be written.
    """
    entry = delimited(StringStringEntryProto.KEY, KEY.encode())
    entry += delimited(StringStringEntryProto.VALUE, metadata.to_bytes())
    result = strip_onnx(content) + delimited(ModelProto.METADATA_PROPS, entry)
    if len(result) > _MAX_PROTO:
        raise ExportError(
            f"metadata: the file would hold {len(result)} bytes, and no protocol buffer can hold "
            f"more than {_MAX_PROTO}."
        )
    return result


def strip_onnx(content: bytes) -> bytes:
    """The file without edgekit's metadata.

    Raises:
        ArtifactError: `content` is damaged or no protocol buffer.
    """
    kept, begin = [], 0
    for field, start, body, end in fields(content, 0, len(content)):
        if field != ModelProto.METADATA_PROPS:
            continue
        inside = fields(content, body, end)
        keys = [content[b:e] for f, _, b, e in inside if f == StringStringEntryProto.KEY]
        if keys[-1:] == [KEY.encode()]:
            kept.append(content[begin:start])
            begin = end
    return b"".join((*kept, content[begin:]))
