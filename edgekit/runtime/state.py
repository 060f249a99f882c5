"""Whether a .tflite file keeps state from one inference to the next."""

from __future__ import annotations

import mmap
from pathlib import Path

from edgekit.flatbuffer import Table

# Fields of schema.fbs.
_MODEL_OPERATOR_CODES, _MODEL_SUBGRAPHS = 1, 2
_SUBGRAPH_TENSORS, _TENSOR_IS_VARIABLE = 0, 5
_CODE_BUILTIN, _CODE_BUILTIN_WIDE = 0, 3
# CALL_ONCE, VAR_HANDLE, READ_VARIABLE, ASSIGN_VARIABLE
_STATEFUL = {129, 142, 143, 144}


def keeps_state(path: Path) -> bool:
    """Whether the file holds variables, as tensors or as resources.

    Raises:
        ArtifactError: the file is damaged.
    """
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        model = Table.root(data, b"TFL3")
        codes = {
            # Old converters wrote the narrow field alone; new ones write 127 there for more.
            max(
                code.number(_CODE_BUILTIN, "b"),
                code.number(_CODE_BUILTIN_WIDE, "i"),
            )
            for code in model.tables(_MODEL_OPERATOR_CODES)
        }
        return bool(codes & _STATEFUL) or any(
            tensor.number(_TENSOR_IS_VARIABLE, "b")
            for subgraph in model.tables(_MODEL_SUBGRAPHS)
            for tensor in subgraph.tables(_SUBGRAPH_TENSORS)
        )
