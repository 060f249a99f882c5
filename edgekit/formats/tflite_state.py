"""What a .tflite file remembers from one inference to the next."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from edgekit.formats.flatbuffer import Table, follow

# Fields of schema.fbs.
_MODEL_OPERATOR_CODES, _MODEL_SUBGRAPHS = 1, 2
_SUBGRAPH_TENSORS, _SUBGRAPH_OPERATORS, _TENSOR_IS_VARIABLE = 0, 3, 5
_OPERATOR_CODE, _OPERATOR_OPTIONS, _CALL_ONCE_SUBGRAPH = 0, 4, 0
_CODE_BUILTIN, _CODE_BUILTIN_WIDE = 0, 3
_CALL_ONCE, _ASSIGN_VARIABLE = 129, 144


class State(NamedTuple):
    """Where a file keeps state; false throughout for one that keeps none.

    Attributes:
        tensors: in tensors that are marked as variables, as fused LSTM and SVDF operators do.
        resources: in variables that operators assign to. What is written only once, when the file
            is loaded (weights, lookup tables), is no state.
    """

    tensors: bool
    resources: bool


def state_of(path: Path) -> State:
    """Where the file keeps state.

    Raises:
        ArtifactError: the file is damaged.
    """
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        model = Table.root(data, b"TFL3")
        subgraphs = list(model.tables(_MODEL_SUBGRAPHS))
        tensors = any(
            tensor.number(_TENSOR_IS_VARIABLE, "b")
            for subgraph in subgraphs
            for tensor in subgraph.tables(_SUBGRAPH_TENSORS)
        )
        return State(tensors, _assigns(model, subgraphs))


def _assigns(model: Table, subgraphs: list[Table]) -> bool:
    """Whether a subgraph that runs more than once assigns to a variable."""
    codes = [
        # Old converters wrote the narrow field alone; new ones write 127 there for more.
        max(code.number(_CODE_BUILTIN, "b"), code.number(_CODE_BUILTIN_WIDE, "i"))
        for code in model.tables(_MODEL_OPERATOR_CODES)
    ]
    if _ASSIGN_VARIABLE not in codes:
        return False

    def operators(subgraph: Table, wanted: int) -> Iterator[Table]:
        for operator in subgraph.tables(_SUBGRAPH_OPERATORS):
            index = operator.number(_OPERATOR_CODE, "I")
            if index < len(codes) and codes[index] == wanted:
                yield operator

    options = [
        (operator.data, operator.find(_OPERATOR_OPTIONS))
        for subgraph in subgraphs
        for operator in operators(subgraph, _CALL_ONCE)
    ]
    once = {
        Table(data, follow(data, at)).number(_CALL_ONCE_SUBGRAPH, "i")
        for data, at in options
        if at is not None
    }
    return any(
        True
        for number, subgraph in enumerate(subgraphs)
        if number not in once
        for _ in operators(subgraph, _ASSIGN_VARIABLE)
    )
