"""A .tflite file as a network: the interpreter keeps every tensor, and runs single operators."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgekit.convert.tflite.path import TflitePath
from edgekit.diagnose.network import Array, Constant, Grid, Node, Values
from edgekit.errors import ArtifactError, one_line, require
from edgekit.formats.tflite import model_of
from edgekit.formats.tflite_check import read_file
from edgekit.formats.tflite_file import TfliteFile, TfliteTensor

_PURPOSE = "Looking into a TFLite file"
# What turns floats into integers, and back.
_BRIDGES = ("QUANTIZE", "DEQUANTIZE")
# What reads or keeps a state, or runs other graphs.
_NOT_ALONE = frozenset(
    [
        "CALL",
        "CALL_ONCE",
        "IF",
        "WHILE",
        "VAR_HANDLE",
        "READ_VARIABLE",
        "ASSIGN_VARIABLE",
        "STABLEHLO_WHILE",
        "STABLEHLO_COMPOSITE",
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        "UNIDIRECTIONAL_SEQUENCE_RNN",
        "SVDF",
        "LSTM",
        "RNN",
    ]
)
_NUMBERS = {"float32": "<f4", "float16": "<f2", "int8": "<i1", "uint8": "<u1", "int16": "<i2"}
_NUMBERS |= {"int32": "<i4", "int64": "<i8"}
_INTEGERS = ("int8", "uint8", "int16")


class TfliteNetwork:
    """`edgekit.diagnose.network.Network`.

    Args:
        content: the whole file.

    Raises:
        ArtifactError: it is damaged, has open sizes, or the interpreter does not run it.
    """

    format = "tflite"

    def __init__(self, content: bytes) -> None:
        self.file: TfliteFile = read_file(content)
        model = model_of(self.file)
        if model.main != 0:
            raise ArtifactError(
                "its main graph is not the first one. Convert the model anew with one signature."
            )
        graph = self.file.graphs[0]
        self._names = _unique([tensor.name for tensor in graph.tensors])
        self._steps = TflitePath(self.file)
        self._values: dict[int, str] = {}
        grids: dict[str, list[Grid]] = {}
        nodes: list[Node] = []
        self._place: dict[int, int] = {}
        for i in graph.inputs:
            self._add(i, self._names[i], grids)
        for place, operator in enumerate(graph.operators):
            if place not in self._steps.numbers:
                continue
            if operator.op in _BRIDGES and operator.inputs[0] in self._values:
                self._add(operator.outputs[0], self._values[operator.inputs[0]], grids)
                continue
            for i in operator.outputs:
                self._add(i, self._names[i], grids)
            reads = [i for i in operator.inputs if i in self._values]
            constants = [
                constant
                for slot, i in enumerate(operator.inputs)
                if i >= 0 and (constant := self._constant(slot, i)) is not None
            ]
            first = graph.tensors[operator.outputs[0]]
            self._place[len(nodes)] = place
            nodes.append(
                Node(
                    len(nodes),
                    operator.op,
                    first.name,
                    tuple(self._values[i] for i in reads),
                    tuple(self._values[i] for i in operator.outputs),
                    tuple(constants),
                    first.dtype,
                    operator.op not in _NOT_ALONE,
                )
            )
        self.nodes: Sequence[Node] = nodes
        self.grids: Mapping[str, Sequence[Grid]] = grids
        self.inputs: Mapping[str, str] = {
            n: self._values[_index(t.key)] for n, t in model.inputs.items()
        }
        self.outputs: Mapping[str, str] = {
            n: self._values[_index(t.key)]
            for n, t in model.outputs.items()
            if _index(t.key) in self._values
        }
        self._given = {n: _index(t.key) for n, t in model.inputs.items()}
        self._interpreter = self._open()
        first = graph.tensors[next(iter(self._given.values()))]
        self.batch: int = int((first.shape or (1,))[0])
        self._shown = self._first_tensors()
        self._parts: dict[Any, Any] = {}
        self._changed: tuple[Mapping[int, Array], Any] | None = None

    def run(self, inputs: Values) -> Values:
        tensors = self.file.graphs[0].tensors
        for name, i in self._given.items():
            grid, x = self._grid(i), inputs[name]
            given = grid.steps(x) if grid else x.astype(_numpy(tensors[i].dtype), copy=False)
            self._interpreter.set_tensor(i, given)
        self._interpreter.invoke()
        found: Values = {}
        for value, i in self._shown.items():
            grid, x = self._grid(i), self._interpreter.get_tensor(i)
            found[value] = grid.values(x) if grid else x
        return found

    def alone(
        self, node: Node, given: Sequence[Array], constants: Mapping[int, Array] | None = None
    ) -> list[Array]:
        operator = self.file.graphs[0].operators[self._place[node.at]]
        reads = [i for i in operator.inputs if i in self._values]
        taken = []
        for i, x in zip(reads, given, strict=True):
            grid = self._grid(i)
            dtype = _numpy(self.file.graphs[0].tensors[i].dtype)
            taken.append(grid.steps(x) if grid else x.astype(dtype, copy=False))
        unique = dict(zip(reads, taken, strict=True))
        part = self._part(node, tuple(unique), operator.outputs, constants)
        made = part(list(unique.values()))
        found = []
        for i, x in zip(operator.outputs, made, strict=True):
            grid = self._grid(i)
            found.append(grid.values(x) if grid else np.array(x))
        return found

    def _part(
        self,
        node: Node,
        reads: Sequence[int],
        outputs: Sequence[int],
        constants: Mapping[int, Array] | None,
    ) -> Any:
        steps, number = self._steps, self._steps.numbers[self._place[node.at]]
        if constants:
            # Asked for one inference after the other with the same ones.
            if self._changed is None or self._changed[0] is not constants:
                path = _patched(self.file, node, constants).path
                part = path.open(range(number, number + 1), reads, outputs)
                self._changed = constants, part
            return self._changed[1]
        if node.at not in self._parts:
            self._parts[node.at] = steps.path.open(range(number, number + 1), reads, outputs)
        return self._parts[node.at]

    def _add(self, i: int, value: str, grids: dict[str, list[Grid]]) -> None:
        self._values[i] = value
        if grid := self._grid(i):
            grids.setdefault(value, []).append(grid)

    def _grid(self, i: int) -> Grid | None:
        return grid_of(self.file.graphs[0].tensors[i], str(i))

    def _constant(self, slot: int, i: int) -> Constant | None:
        tensors = self.file.graphs[0].tensors
        i = self._steps.unpacked.get(i, i)
        tensor = tensors[i]
        if i in self._values or tensor.dtype not in _NUMBERS or tensor.blockwise:
            return None
        span = tensor.constant(_NUMBERS[tensor.dtype])
        if span.count != int(np.prod(tensor.shape, dtype=np.int64)) or not span.count:
            return None
        content = self.file.content
        stored = span.of(content).reshape(tensor.shape)
        scales = tensor.scales.of(content).astype(np.float64)
        if not scales.size:
            return Constant(slot, str(i), stored, tensor.dtype, scales, 0)
        zeros = np.resize(tensor.zero_points.of(content), scales.size).astype(np.float64)
        shape = [1] * stored.ndim
        if scales.size > 1:
            shape[tensor.axis] = -1
        elif not shape:
            scales, zeros = scales.reshape(()), zeros.reshape(())
        values = (stored - zeros.reshape(shape)) * scales.reshape(shape)
        return Constant(
            slot,
            str(i),
            values.astype(np.float32),
            tensor.dtype,
            np.atleast_1d(scales),
            tensor.axis,
        )

    def _open(self) -> Any:
        module = require("ai_edge_litert.interpreter", "export", _PURPOSE)
        graph = self.file.graphs[0]
        for i in self._given.values():
            tensor = graph.tensors[i]
            if any(n < 0 for n in tensor.signature[1:]):
                raise ArtifactError(
                    f"its input {tensor.name!r} has open sizes, {list(tensor.signature)}, expected sizes that are "
                    "fixed but for the batch. Convert the model with fixed sizes: edgekit export --shape"
                )
        try:
            with warnings.catch_warnings():
                # Says that keeping every tensor takes memory.
                warnings.simplefilter("ignore", UserWarning)
                interpreter = module.Interpreter(
                    model_content=bytes(self.file.content),
                    num_threads=1,
                    experimental_preserve_all_tensors=True,
                )
                interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise ArtifactError(
                f"the interpreter does not run it with every tensor kept: {one_line(error)}"
            ) from error
        return interpreter

    def _first_tensors(self) -> dict[str, int]:
        """For each value, the tensor that shows it: the first one of integers, or of floats."""
        tensors = self.file.graphs[0].tensors
        held = {row["index"] for row in self._interpreter.get_tensor_details()}
        found: dict[str, int] = {}
        for i, value in self._values.items():
            if i not in held or tensors[i].dtype not in (*_NUMBERS, "bool"):
                continue
            better = tensors[i].dtype in _INTEGERS and value in self.grids
            if value not in found or (better and tensors[found[value]].dtype not in _INTEGERS):
                found[value] = i
        return found


def _patched(file: TfliteFile, node: Node, constants: Mapping[int, Array]) -> TflitePath:
    """The file's path with other numbers in a node's constants."""
    content = bytearray(file.content)
    tensors = file.graphs[0].tensors
    for constant in node.constants:
        if constant.slot in constants:
            tensor = tensors[int(constant.key)]
            span = tensor.constant(_NUMBERS[tensor.dtype])
            span.of(content)[:] = constants[constant.slot].astype(_NUMBERS[tensor.dtype]).ravel()
    return TflitePath(file.over(content))


def grid_of(tensor: TfliteTensor, key: str) -> Grid | None:
    """The grid of a tensor of integers with one scale; None of any other."""
    scales = tensor.scales.of(tensor.table.data)
    if tensor.dtype not in _INTEGERS or len(scales) != 1 or not scales[0] > 0:
        return None
    zeros = tensor.zero_points.of(tensor.table.data)
    return Grid(key, tensor.dtype, float(scales[0]), int(zeros[0]) if len(zeros) else 0)


def _numpy(dtype: str) -> Any:
    return np.dtype("bool" if dtype == "bool" else _NUMBERS.get(dtype, dtype))


def _index(key: str) -> int:
    return int(key.partition(":")[2])


def _unique(names: Sequence[str]) -> list[str]:
    """The names, with a number behind those that occur again."""
    seen: Counter[str] = Counter()
    found = []
    for name in names:
        seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return found
