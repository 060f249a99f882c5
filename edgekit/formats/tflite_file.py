"""A .tflite file, read once: its tables, and where its numbers lie.

Everything else is made of it: `edgekit.formats.tflite` says what the graphs are,
`edgekit.formats.tflite_patch` writes other numbers where the old ones lie. Since no byte moves then,
what was read stays true: names, shapes and operators are read when they are requested, and of numbers
their places are handed out (`Span`).

`edgekit.formats.tflite_check.read_file` makes one, of a file that need not be trusted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from edgekit.formats import tflite_schema as schema
from edgekit.formats.flatbuffer import Bytes, Span, Table

_INDICES = "<i4"


@dataclass(frozen=True)
class TfliteTensor:
    """A tensor, and the table of the buffer that holds its values if it is a constant."""

    table: Table
    buffer: Table

    @property
    def name(self) -> str:
        return self.table.text(schema.Tensor.NAME)

    @property
    def dtype(self) -> str:
        return schema.type_name(self.table.number(schema.Tensor.TYPE, "b"))

    @property
    def shape(self) -> tuple[int, ...]:
        return _integers(self.table, schema.Tensor.SHAPE)

    @property
    def signature(self) -> tuple[int, ...]:
        """The shape with -1 for dynamic dimensions; a file without any leaves it out."""
        return _integers(self.table, schema.Tensor.SHAPE_SIGNATURE)

    @property
    def buffer_index(self) -> int:
        """The number of its buffer, which other constants may share."""
        return self.table.number(schema.Tensor.BUFFER, "I")

    @property
    def variable(self) -> bool:
        """Whether it keeps its values from one inference to the next."""
        return self.table.number(schema.Tensor.IS_VARIABLE, "B") != 0

    @property
    def blockwise(self) -> bool:
        """Whether its scales are those of blocks."""
        found = self._quantization
        kind = found.number(schema.QuantizationParameters.DETAILS_TYPE, "B") if found else 0
        return kind == schema.QuantizationDetails.BLOCKWISE_QUANTIZATION

    @property
    def scales(self) -> Span:
        """None of them if it is of float values."""
        return self._numbers(schema.QuantizationParameters.SCALE, "<f4")

    @property
    def zero_points(self) -> Span:
        return self._numbers(schema.QuantizationParameters.ZERO_POINT, "<i8")

    @property
    def axis(self) -> int:
        """That its scales run along, if there are several."""
        found = self._quantization
        return found.number(schema.QuantizationParameters.QUANTIZED_DIMENSION, "i") if found else 0

    def constant(self, kind: str) -> Span:
        """Its values, flat; none if it is computed."""
        start, size = buffer_place(self.buffer)
        return Span(start, size // np.dtype(kind).itemsize, kind)

    @property
    def _quantization(self) -> Table | None:
        return self.table.table(schema.Tensor.QUANTIZATION)

    def _numbers(self, number: int, kind: str) -> Span:
        found = self._quantization
        return found.span(number, kind) if found else Span(0, 0, kind)


@dataclass(frozen=True)
class TfliteOperator:
    """An operator, and the table of its code."""

    code: Table
    table: Table

    @property
    def op(self) -> str:
        """Its name; the custom code of one that is not TFLite's own."""
        return name_of(self.code)

    @property
    def version(self) -> int:
        return self.code.number(schema.OperatorCode.VERSION, "i", 1)

    @property
    def inputs(self) -> tuple[int, ...]:
        """Places of tensors in the graph, -1 for one that is left out."""
        return _integers(self.table, schema.Operator.INPUTS)

    @property
    def outputs(self) -> tuple[int, ...]:
        return _integers(self.table, schema.Operator.OUTPUTS)

    @property
    def options(self) -> Table | None:
        """Those of its kind."""
        return self.table.table(schema.Operator.BUILTIN_OPTIONS)


@dataclass(frozen=True)
class TfliteGraph:
    """One graph."""

    table: Table
    tensors: Sequence[TfliteTensor]
    operators: Sequence[TfliteOperator]

    @property
    def inputs(self) -> tuple[int, ...]:
        return _integers(self.table, schema.SubGraph.INPUTS)

    @property
    def outputs(self) -> tuple[int, ...]:
        return _integers(self.table, schema.SubGraph.OUTPUTS)

    @property
    def places_of_inputs(self) -> Span:
        """Where `inputs` lie."""
        return self.table.span(schema.SubGraph.INPUTS, _INDICES)

    @property
    def places_of_outputs(self) -> Span:
        """Where `outputs` lie."""
        return self.table.span(schema.SubGraph.OUTPUTS, _INDICES)


@dataclass(frozen=True)
class Signature:
    """A way into the file: the graph, and places of tensors in it by the names that callers use."""

    name: str
    graph: int
    inputs: dict[str, int]
    outputs: dict[str, int]


@dataclass(frozen=True)
class TfliteFile:
    """A whole file.

    Attributes:
        table: the outermost one, of the schema's `Model`, over its bytes.
        graphs: the first is the one that is run where there is no signature.
        buffers: those that hold constants, and others.
        signatures: in the file's order.
    """

    table: Table = field(repr=False)
    graphs: Sequence[TfliteGraph]
    buffers: Sequence[Table]
    signatures: Sequence[Signature]

    @property
    def content(self) -> Bytes:
        """Its bytes; of a bytearray the numbers may be changed where they lie."""
        return self.table.data

    def over(self, content: Bytes) -> TfliteFile:
        """The same file over other bytes, in which numbers may differ where they lie, and nothing else."""
        # Tables are shared: constants name the same buffers.
        moved: dict[int, Table] = {}

        def of(table: Table) -> Table:
            if id(table) not in moved:
                moved[id(table)] = Table(content, table.position)
            return moved[id(table)]

        graphs = [
            TfliteGraph(
                of(graph.table),
                [TfliteTensor(of(each.table), of(each.buffer)) for each in graph.tensors],
                [TfliteOperator(of(each.code), of(each.table)) for each in graph.operators],
            )
            for graph in self.graphs
        ]
        return TfliteFile(
            of(self.table), graphs, [of(each) for each in self.buffers], self.signatures
        )


def buffer_place(buffer: Table) -> tuple[int, int]:
    """Where the bytes of a buffer begin, and how many there are."""
    offset = buffer.number(schema.Buffer.OFFSET, "Q")
    # In files of more than 256 KiB, buffers may lie behind the FlatBuffer; 1 is a placeholder.
    if offset > 1:
        return offset, buffer.number(schema.Buffer.SIZE, "Q")
    return buffer.vector(schema.Buffer.DATA, 1)


def name_of(code: Table) -> str:
    """The operator that an operator code stands for."""
    builtin = max(
        code.number(schema.OperatorCode.DEPRECATED_BUILTIN_CODE, "b"),
        code.number(schema.OperatorCode.BUILTIN_CODE, "i"),
    )
    name = schema.operator_name(builtin)
    return code.text(schema.OperatorCode.CUSTOM_CODE) if name == "CUSTOM" else name


def _integers(table: Table, number: int) -> tuple[int, ...]:
    return tuple(table.span(number, _INDICES).of(table.data).tolist())
