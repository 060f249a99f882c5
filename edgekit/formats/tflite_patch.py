"""In place: a quantised TFLite file's numbers, written over where they lie, so that no byte moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.formats.flatbuffer import Table, follow
from edgekit.formats.metadata import (
    BUFFER_DATA,
    BUFFER_OFFSET,
    BUFFER_SIZE,
    MODEL_BUFFERS,
    TFLITE_IDENTIFIER,
)

# Fields of the tables in schema.fbs, counted from 0.
_MODEL_CODES, _MODEL_GRAPHS = 1, 2
_CODE_SHORT, _CODE = 0, 3
_GRAPH_TENSORS, _GRAPH_OUTPUTS, _GRAPH_OPERATORS = 0, 2, 3
_OPERATOR_CODE, _OPERATOR_INPUTS, _OPERATOR_OUTPUTS, _OPERATOR_OPTIONS = 0, 1, 2, 4
_SHAPE, _TYPE, _BUFFER, _NAME, _QUANTIZATION = 0, 1, 2, 3, 4
_SCALE, _ZERO_POINT, _AXIS = 2, 3, 6
_FLOAT32 = 0
# Types of biases, by code.
BIASES = {2: "<i4", 4: "<i8"}
_NONE = np.zeros(0, np.float32)


@dataclass(frozen=True)
class Tensor:
    """A tensor in the file as it was and in the new one, at the same place."""

    old: Table
    new: Table
    buffers: Sequence[Table]

    @property
    def type(self) -> int:
        return self.old.number(_TYPE, "b")

    @property
    def name(self) -> bytes:
        return self.old.content(_NAME)

    @property
    def shape(self) -> NDArray[Any]:
        return _array(self.old, _SHAPE, "<i4")

    @property
    def buffer(self) -> int:
        """The number of what holds its values, which other constants may share."""
        return self.old.number(_BUFFER, "I")

    @property
    def zero_points(self) -> NDArray[Any]:
        return _array(_quantization(self.old), _ZERO_POINT, "<i8")

    @property
    def axis(self) -> int:
        """That its scales run along, if there are several."""
        return _quantization(self.old).number(_AXIS, "i")

    def scales(self, table: Table) -> NDArray[Any]:
        """Of `old` or `new`; of size 0 if it is real."""
        if self.old.find(_QUANTIZATION) is None:
            return _NONE
        return _array(_quantization(table), _SCALE, "<f4")

    def constant(self, table: Table, kind: str) -> NDArray[Any]:
        """What it holds in `old` or `new`, flat; of size 0 if it is computed."""
        return _content(Table(table.data, self.buffers[self.buffer].position), kind)


@dataclass(frozen=True)
class Operator:
    """An operator by its code, with the places of its tensors, -1 for one that is left out."""

    code: int
    table: Table

    @property
    def inputs(self) -> list[int]:
        return [int(i) for i in _array(self.table, _OPERATOR_INPUTS, "<i4")]

    @property
    def outputs(self) -> list[int]:
        return [int(i) for i in _array(self.table, _OPERATOR_OUTPUTS, "<i4")]

    @property
    def options(self) -> Table | None:
        """Those of its kind."""
        at = self.table.find(_OPERATOR_OPTIONS)
        return None if at is None else Table(self.table.data, follow(self.table.data, at))


@dataclass(frozen=True)
class Graph:
    """A graph, of the file as it was, whose tensors lead into the new one as well."""

    tensors: Sequence[Tensor]
    operators: Sequence[Operator]
    outputs: Sequence[int]


def opened(content: bytes, result: bytearray) -> list[Graph]:
    """The graphs of a file.

    Args:
        content: to read from, since tensors may share what they hold.
        result: the same bytes, to write to.
    """
    model = Table.root(content, TFLITE_IDENTIFIER)
    buffers = model.tables(MODEL_BUFFERS)
    codes = [
        max(c.number(_CODE_SHORT, "b"), c.number(_CODE, "i")) for c in model.tables(_MODEL_CODES)
    ]
    return [
        Graph(
            [
                Tensor(old, Table(result, old.position), buffers)
                for old in graph.tables(_GRAPH_TENSORS)
            ],
            [
                Operator(codes[table.number(_OPERATOR_CODE, "I")], table)
                for table in graph.tables(_GRAPH_OPERATORS)
            ],
            [int(i) for i in _array(graph, _GRAPH_OUTPUTS, "<i4")],
        )
        for graph in model.tables(_MODEL_GRAPHS)
    ]


def float_constants(float_file: bytes) -> dict[bytes, NDArray[Any]]:
    """The float constants of a file by their tensors' names."""
    model = Table.root(float_file, TFLITE_IDENTIFIER)
    buffers = model.tables(MODEL_BUFFERS)
    return {
        tensor.content(_NAME): _content(buffers[tensor.number(_BUFFER, "I")], "<f4")
        for graph in model.tables(_MODEL_GRAPHS)
        for tensor in graph.tables(_GRAPH_TENSORS)
        if tensor.number(_TYPE, "b") == _FLOAT32
    }


def write_rounded(steps: NDArray[np.float64], to: NDArray[Any]) -> None:
    """Put real numbers, rounded and cut to what an integer holds, where `to` lies."""
    limits = np.iinfo(to.dtype)
    to[:] = np.clip(np.rint(steps), limits.min, limits.max).ravel()


def _quantization(tensor: Table) -> Table:
    at = tensor.find(_QUANTIZATION)
    assert at is not None
    return Table(tensor.data, follow(tensor.data, at))


def _array(table: Table, field: int, kind: str) -> NDArray[Any]:
    """A vector of numbers where it lies in the file."""
    start, count = table.vector(field, np.dtype(kind).itemsize)
    return np.frombuffer(table.data, kind, count, start)


def _content(buffer: Table, kind: str) -> NDArray[Any]:
    """The bytes of a buffer as numbers, where they lie in the file."""
    start, count = buffer.vector(BUFFER_DATA, 1)
    # ai-edge-quantizer puts what is large behind the FlatBuffer; 1 is a placeholder.
    offset = buffer.number(BUFFER_OFFSET, "Q")
    if offset > 1:
        start, count = offset, buffer.number(BUFFER_SIZE, "Q")
    return np.frombuffer(buffer.data, kind, count // np.dtype(kind).itemsize, start)
