"""A part of a .tflite file's main graph as a file of its own: some of its operators, in their order."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

from edgekit.formats import tflite_schema as schema
from edgekit.formats.flatbuffer import Bytes
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
    whole, graph = file.content, file.graphs[0].table
    start, _ = graph.vector(schema.SubGraph.OPERATORS, 4)
    places = [start + 4 * i for i in operators]
    leads = [at + struct.unpack_from("<I", whole, at)[0] for at in places]
    # Ascending: each reference stands where it stood or before, and still leads forward.
    kept = [lead - (start + 4 * place) for place, lead in enumerate(leads)]
    changes = {start - 4: struct.pack(f"<I{len(kept)}I", len(kept), *kept)}
    signatures, _ = file.table.vector(schema.Model.SIGNATURE_DEFS, 4)
    if signatures:
        changes[signatures - 4] = struct.pack("<I", 0)
    behind = bytes(-len(whole) % 4)
    for field, tensors in ((schema.SubGraph.INPUTS, inputs), (schema.SubGraph.OUTPUTS, outputs)):
        at = graph.find(field, 4)
        assert at is not None, "a graph without inputs or outputs is refused when a file is read"
        changes[at] = struct.pack("<I", len(whole) + len(behind) - at)
        behind += struct.pack(f"<I{len(tensors)}i", len(tensors), *tensors)
    return _joined(whole, changes, behind)


def _joined(whole: Bytes, changes: Mapping[int, bytes], behind: bytes) -> bytes:
    """Bytes with others in their place here and there, and more behind them, copied once."""
    view, at = memoryview(whole), 0
    parts: list[bytes | memoryview] = []
    for place, other in sorted(changes.items()):
        parts += [view[at:place], other]
        at = place + len(other)
    return b"".join([*parts, view[at:], behind])
