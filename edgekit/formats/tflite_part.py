"""A part of a .tflite file's main graph as a file of its own: some of its operators, in their order."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from edgekit.formats import tflite_schema as schema
from edgekit.formats.tflite_file import TfliteFile


def part_of(
    file: TfliteFile, operators: Sequence[int], inputs: Sequence[int], outputs: Sequence[int]
) -> bytes:
    """The file with these operators alone; tensors and buffers keep their numbers, signatures go.

    Args:
        file: the whole one.
        operators: places in the main graph, ascending.
        inputs, outputs: tensors that the part takes and gives.

    Raises:
        DamagedError: the file says what cannot be.
    """
    part, graph = bytearray(file.content), file.graphs[0].table
    start, _ = graph.vector(schema.SubGraph.OPERATORS, 4)
    leads = [
        at + struct.unpack_from("<I", part, at)[0] for at in (start + 4 * i for i in operators)
    ]
    # Ascending: each reference stands where it stood or before, and still leads forward.
    for place, lead in enumerate(leads):
        struct.pack_into("<I", part, start + 4 * place, lead - (start + 4 * place))
    struct.pack_into("<I", part, start - 4, len(leads))
    signatures, _ = file.table.vector(schema.Model.SIGNATURE_DEFS, 4)
    if signatures:
        struct.pack_into("<I", part, signatures - 4, 0)
    for field, tensors in ((schema.SubGraph.INPUTS, inputs), (schema.SubGraph.OUTPUTS, outputs)):
        at = graph.find(field, 4)
        assert at is not None, "a graph without inputs or outputs is refused when a file is read"
        part += bytes(-len(part) % 4)
        struct.pack_into("<I", part, at, len(part) - at)
        part += struct.pack(f"<I{len(tensors)}i", len(tensors), *tensors)
    return bytes(part)
