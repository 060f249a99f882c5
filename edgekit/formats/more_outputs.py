"""A model file that also gives inner tensors, made of its bytes. What it gives otherwise stays the same."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from edgekit.formats import tflite_schema as schema
from edgekit.formats.flatbuffer import Table
from edgekit.formats.onnx_schema import GraphProto, ModelProto, ValueInfoProto
from edgekit.formats.protobuf import Message, delimited, fields


def tflite_with_outputs(content: bytes, graph: int, places: Sequence[int]) -> bytes:
    """The file whose graph gives these tensors too, behind its own outputs.

    Its signatures stay as they are: the further outputs have no names there.

    Args:
        content: a file that was read before.
        graph: of the file.
        places: of tensors in that graph; with none, `content` itself is returned.

    Raises:
        DamagedError: the file says what cannot be.
    """
    if not places:
        return content
    table = Table.root(content, schema.IDENTIFIER).nth_table(schema.Model.SUBGRAPHS, graph)
    at = table.find(schema.SubGraph.OUTPUTS, 4)
    own = table.span(schema.SubGraph.OUTPUTS, "<i4").of(content).tolist()
    if at is None:
        return content
    # References lead forward alone: the longer list lies behind everything else.
    longer = bytearray(content)
    longer += bytes(-len(longer) % 4)
    struct.pack_into("<I", longer, at, len(longer) - at)
    wanted = [*own, *places]
    longer += struct.pack(f"<I{len(wanted)}i", len(wanted), *wanted)
    return bytes(longer)


def onnx_with_outputs(content: bytes, names: Sequence[str]) -> bytes:
    """The file that gives these tensors too, behind its own outputs; onnxruntime finds out their types.

    Args:
        content: a ModelProto.
        names: of tensors of the main graph; with none, `content` itself is returned.

    Raises:
        ArtifactError: the bytes are no ModelProto.
    """
    if not names:
        return content
    added = b"".join(
        delimited(GraphProto.OUTPUT, delimited(ValueInfoProto.NAME, name.encode()))
        for name in names
    )
    parts = []
    for field, start, body, end in fields(content, 0, len(content)):
        whole = content[start:end]
        if field == ModelProto.GRAPH:
            whole = delimited(field, Message(content, body, end).without(()) + added)
        parts.append(whole)
    return b"".join(parts)
