"""Whether the bytes of a .tflite file are what the interpreter takes them for: it follows offsets unchecked.

The file is a FlatBuffer: tables, vectors and strings that point to each other. An offset that leaves
the file reads whatever the process has there, which differs from process to process: a trial in
another process cannot find that out. So every offset is followed here first. The layout is that of
FlatBuffers' "Internals" page, the tables those of TensorFlow Lite's ``schema.fbs``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

# Parts may be shared, but a file that means them over and over is made to exhaust who reads it.
# The sum of vectors and strings as a multiple of the file's size; tables, which take 10 us each here.
_SHARING = 16
_MOST_TABLES = 500_000
_MOST_DIMENSIONS = 64

# Vectors and strings in the options of operators, by the union's type: {field: bytes an element}.
# Options that are not listed hold numbers alone.
_OPTIONS: dict[int, dict[int, int]] = {
    3: {1: 4, 2: 4},  # ConcatEmbeddings
    8: {5: 1},  # FullyConnected
    17: {0: 4},  # Reshape
    30: {0: 4},  # Squeeze
    111: {0: 1, 1: 1},  # VarHandle
    115: {0: 4},  # Bucketize
}
_OPTIONS_2: dict[int, dict[int, int]] = {
    2: {0: 8},  # StablehloBroadcastInDim
    3: {0: 8, 1: 8, 2: 8},  # StablehloSlice
    4: {0: 8, 1: 8, 2: 8, 3: 8, 4: 1, 7: 8, 10: 8, 13: 8, 16: 4},  # StablehloConvolution
    5: {0: 1, 2: 1, 4: 4, 5: 1},  # StablehloCustomCall
    6: {0: 8},  # StablehloReduce
    7: {1: 8, 2: 8, 3: 8},  # StablehloScatter
    9: {0: 8},  # StablehloDynamicSlice
    10: {0: 8, 1: 8, 2: 8},  # StablehloPad
    12: {0: 8, 1: 8, 2: 8, 3: 8, 4: 4},  # StablehloDotGeneral
    13: {0: 8, 1: 8, 2: 8, 3: 8, 4: 8},  # StablehloReduceWindow
    16: {0: 8, 1: 8, 2: 8, 4: 8},  # StablehloGather
    17: {0: 8},  # StablehloTranspose
    21: {0: 1, 2: 1},  # StableHLOComposite
    23: {0: 4},  # StablehloCase
}
_DETAILS: dict[int, dict[int, int]] = {1: {0: 1}, 2: {3: 4}, 3: {3: 4}}
_SPARSE_INDICES: dict[int, dict[int, int]] = {1: {0: 4}, 2: {0: 2}, 3: {0: 1}}


class _BadFile(Exception):
    pass


def tflite_fault(data: bytes) -> str | None:
    """What is wrong with the structure of a .tflite file's bytes; None if nothing was found.

    Offsets, tables, vectors and strings must lie inside the file, indices of tensors, buffers,
    operators and subgraphs must exist, and every tensor an operator reads must be there before it:
    a constant, a variable, an input, or the output of an earlier operator.
    """
    if len(data) < 16:
        return f"received {len(data)} bytes, expected at least 16"
    if data[4:8] != b"TFL3":
        return f"received the identifier {data[4:8]!r}, expected b'TFL3'"
    try:
        _check_model(_File(data).root())
    except _BadFile as error:
        return str(error)
    return None


class _File:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self._elements = _SHARING * len(data)
        # One entry of a vector, 4 bytes, is the least that it takes to name a table.
        self._tables = min(len(data) // 4 + 1000, _MOST_TABLES)

    def read(self, form: str, position: int) -> int:
        size = struct.calcsize(form)
        if position < 0 or position + size > len(self.data):
            raise _BadFile(f"an offset points to byte {position} of {len(self.data)}")
        value: int = struct.unpack_from("<" + form, self.data, position)[0]
        return value

    def vector(self, position: int, width: int) -> tuple[int, int]:
        """Where the elements of the vector at `position` start, and how many there are."""
        if position % 4:
            raise _BadFile(f"a vector starts at byte {position}, expected a multiple of 4")
        count = self.read("I", position)
        start = position + 4
        if start + count * width > len(self.data):
            raise _BadFile(
                f"a vector of {count} elements at byte {position} does not end inside the file"
            )
        return start, count

    def spend(self, elements: int = 0, tables: int = 0) -> None:
        self._elements -= elements
        self._tables -= tables
        if min(self._elements, self._tables) < 0:
            raise _BadFile("its parts are used over and over beyond what its size explains")

    def root(self) -> _Table:
        return _Table(self, self.read("I", 0))


class _Table:
    def __init__(self, file: _File, position: int) -> None:
        file.spend(tables=1)
        self._file = file
        self._position = position
        if position % 4:
            raise _BadFile(f"a table starts at byte {position}, expected a multiple of 4")
        self._vtable = position - file.read("i", position)
        self._fields = (file.read("H", self._vtable) - 4) // 2
        self._size = file.read("H", self._vtable + 2)
        ends = (self._vtable + 4 + 2 * self._fields, position + self._size)
        if self._fields < 0 or self._size < 4 or max(ends) > len(file.data):
            raise _BadFile(f"the table at byte {position} does not lie inside the file")
        for field in range(self._fields):
            if file.read("H", self._vtable + 4 + 2 * field) >= self._size:
                raise _BadFile(f"a field of the table at byte {position} lies outside of it")

    def _at(self, field: int, width: int) -> int | None:
        if field >= self._fields:
            return None
        offset = self._file.read("H", self._vtable + 4 + 2 * field)
        if not offset:
            return None
        if offset < 4 or offset + width > self._size:
            raise _BadFile(
                f"field {field} of the table at byte {self._position} lies outside of it"
            )
        return self._position + offset

    def number(self, field: int, form: str, default: int = 0) -> int:
        position = self._at(field, struct.calcsize(form))
        return default if position is None else self._file.read(form, position)

    def _follow(self, field: int) -> int | None:
        position = self._at(field, 4)
        return None if position is None else position + self._file.read("I", position)

    def table(self, field: int) -> _Table | None:
        position = self._follow(field)
        return None if position is None else _Table(self._file, position)

    def tables(self, field: int) -> Iterator[_Table]:
        position = self._follow(field)
        if position is None:
            return
        start, count = self._file.vector(position, 4)
        for place in range(start, start + 4 * count, 4):
            yield _Table(self._file, place + self._file.read("I", place))

    def length(self, field: int, width: int) -> int:
        """Elements of a vector of numbers or bytes in a string; 0 if it is not there."""
        position = self._follow(field)
        return 0 if position is None else self._file.vector(position, width)[1]

    def integers(self, field: int) -> NDArray[np.int32]:
        position = self._follow(field)
        if position is None:
            return np.empty(0, np.int32)
        start, count = self._file.vector(position, 4)
        self._file.spend(count)
        return np.frombuffer(self._file.data, "<i4", count, start)

    def string(self, field: int) -> str:
        position = self._follow(field)
        if position is None:
            return ""
        start, count = self._file.vector(position, 1)
        if self._file.read("B", start + count):
            raise _BadFile(f"the string at byte {position} has no end")
        self._file.spend(count)
        try:
            return self._file.data[start : start + count].decode("utf-8")
        except UnicodeDecodeError as error:
            raise _BadFile(f"the string at byte {position} is not UTF-8: {error}") from error

    def union(self, field: int, known: dict[int, dict[int, int]]) -> None:
        """The type of a union stands one field before its table."""
        table = self.table(field)
        if table is not None:
            for vector, width in known.get(self.number(field - 1, "B"), {}).items():
                table.length(vector, width)


def _check_model(model: _Table) -> None:
    codes = 0
    for code in model.tables(1):
        code.string(1)
        codes += 1
    model.string(3)
    filled = [_filled(buffer, model) for buffer in model.tables(4)]
    _inside(model.integers(5), len(filled), "a metadata entry names buffer")
    for entry in model.tables(6):
        entry.string(0)
        _inside([entry.number(1, "I")], len(filled), "a metadata entry names buffer")
    tensors = [_check_subgraph(graph, codes, filled) for graph in model.tables(2)]
    if not tensors:
        raise _BadFile("it holds no subgraph")
    for signature in model.tables(7):
        signature.string(2)
        graph = signature.number(4, "I")
        _inside([graph], len(tensors), "a signature names subgraph")
        for field in (0, 1):
            for entry in signature.tables(field):
                entry.string(0)
                _inside([entry.number(1, "I")], tensors[graph], "a signature names tensor")
    for group in model.tables(8):
        group.string(0)
    for external in model.tables(9):
        external.string(4)


def _filled(buffer: _Table, model: _Table) -> bool:
    offset, size = buffer.number(1, "Q"), buffer.number(2, "Q")
    # 0 and 1 are written for "not beside the FlatBuffer".
    if offset > 1 and offset + size > len(model._file.data):
        raise _BadFile(f"a buffer of {size} bytes at byte {offset} does not end inside the file")
    return buffer.length(0, 1) > 0 or (offset > 1 and size > 0)


def _check_subgraph(graph: _Table, codes: int, filled: Sequence[bool]) -> int:
    graph.string(4)
    there = [_check_tensor(tensor, filled) for tensor in graph.tables(0)]
    count = len(there)
    inputs, outputs = graph.integers(1), graph.integers(2)
    _inside(inputs, count, "a subgraph's inputs name tensor", -1)
    _inside(outputs, count, "a subgraph's outputs name tensor", -1)
    present = np.zeros(count + 1, np.bool_)
    present[:count] = there
    # Index -1: an optional tensor left out.
    present[-1] = True
    present[inputs] = True
    for number, operator in enumerate(graph.tables(3)):
        _inside([operator.number(0, "I")], codes, f"operator {number} names operator code")
        reads, writes = operator.integers(1), operator.integers(2)
        for indices in (reads, writes, operator.integers(8)):
            _inside(indices, count, f"operator {number} names tensor", -1)
        early = reads[~present[reads]]
        if early.size:
            raise _BadFile(
                f"operator {number} reads tensor {early[0]} before anything has made it: the "
                "graph has a cycle or a gap"
            )
        present[writes] = True
        operator.union(4, _OPTIONS)
        operator.length(5, 1)
        operator.length(7, 1)
        operator.union(12, _OPTIONS_2)
        offset, size = operator.number(9, "Q"), operator.number(10, "Q")
        if offset > 1 and offset + size > len(graph._file.data):
            raise _BadFile(f"the options of operator {number} do not end inside the file")
    missing = outputs[~present[outputs]]
    if missing.size:
        raise _BadFile(f"nothing makes output tensor {missing[0]}")
    return count


def _check_tensor(tensor: _Table, filled: Sequence[bool]) -> bool:
    """Check one tensor; give whether it has a value before any operator has run."""
    shape, signature = tensor.integers(0), tensor.integers(7)
    if max(len(shape), len(signature)) > _MOST_DIMENSIONS:
        raise _BadFile(f"a tensor has {max(len(shape), len(signature))} dimensions")
    tensor.string(3)
    index = tensor.number(2, "I")
    _inside([index], len(filled), "a tensor names buffer")
    quantization = tensor.table(4)
    if quantization is not None:
        scales, zeros = (quantization.length(field, width) for field, width in ((2, 4), (3, 8)))
        quantization.length(0, 4)
        quantization.length(1, 4)
        quantization.union(5, _DETAILS)
        if zeros not in (0, 1, scales):
            raise _BadFile(f"a tensor has {scales} scales and {zeros} zero points")
        axis = quantization.number(6, "i")
        if scales > 1 and not (0 <= axis < len(shape) and shape[axis] == scales):
            raise _BadFile(f"a tensor has {scales} scales along axis {axis} of {shape.tolist()}")
    sparsity = tensor.table(6)
    if sparsity is not None:
        sparsity.integers(0)
        sparsity.integers(1)
        for dimension in sparsity.tables(2):
            dimension.union(3, _SPARSE_INDICES)
            dimension.union(5, _SPARSE_INDICES)
    for variant in tensor.tables(9):
        variant.integers(0)
    variable = tensor.number(5, "B") != 0
    # An external buffer's group is counted from 1.
    external = tensor.number(10, "I") != 0
    return filled[index] or variable or external or bool((shape == 0).any())


def _inside(
    indices: Sequence[int] | NDArray[np.int32], count: int, what: str, low: int = 0
) -> None:
    found = np.asarray(indices, np.int64)
    wrong = found[(found < low) | (found >= count)]
    if wrong.size:
        raise _BadFile(f"{what} {wrong[0]}, and there are {count}")
