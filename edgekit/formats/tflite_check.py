"""Read a .tflite file that need not be trusted: interpreters follow its offsets unchecked.

The file is a FlatBuffer: tables, vectors and strings that point to each other. An offset that leaves
the file reads whatever the process has there, which differs from process to process: a trial in
another process cannot find that out. So every offset is followed here first, once, and what is found
to be whole is handed on as a `TfliteFile`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import ArtifactError
from edgekit.formats import tflite_schema as schema
from edgekit.formats.flatbuffer import Bytes, DamagedError, Table
from edgekit.formats.flatbuffer_walk import Walk
from edgekit.formats.tflite_file import (
    Signature,
    TfliteFile,
    TfliteGraph,
    TfliteOperator,
    TfliteTensor,
)

# Less than this cannot hold a root, an identifier and a table.
_LEAST_BYTES = 16
_MOST_DIMENSIONS = 64


def read_file(content: Bytes) -> TfliteFile:
    """Read a whole file.

    Offsets, tables, vectors and strings must lie inside the file, indices of tensors, buffers,
    operators and subgraphs must exist, and every tensor an operator reads must be there before it:
    a constant, a variable, an input, or the output of an earlier operator.

    Raises:
        ArtifactError: the file is damaged or of another kind; says what is wrong.
    """
    try:
        return _Reader(content).read()
    except DamagedError as error:
        raise ArtifactError(
            f"not a whole tflite file: {error.fault}. Get it anew or make it again."
        ) from error


def tflite_fault(content: Bytes) -> str | None:
    """What is wrong with a .tflite file, as `read_file` finds it; None if nothing was found."""
    try:
        _Reader(content).read()
    except DamagedError as error:
        return error.fault
    return None


class _Reader:
    """Walks through a file once."""

    def __init__(self, content: Bytes) -> None:
        self._content = content
        self._walk = Walk(content)

    def read(self) -> TfliteFile:
        if len(self._content) < _LEAST_BYTES:
            raise DamagedError(
                f"received {len(self._content)} bytes, expected at least {_LEAST_BYTES}"
            )
        model = Table.root(self._content, schema.IDENTIFIER)
        codes = []
        for code in self._walk.tables(model, schema.Model.OPERATOR_CODES):
            self._walk.text(code, schema.OperatorCode.CUSTOM_CODE)
            codes.append(code)
        self._walk.text(model, schema.Model.DESCRIPTION)
        buffers, filled = [], []
        for buffer in self._walk.tables(model, schema.Model.BUFFERS):
            buffers.append(buffer)
            filled.append(self._filled(buffer))
        self._check_metadata(model, len(buffers))
        graphs = [
            self._graph(graph, codes, buffers, filled)
            for graph in self._walk.tables(model, schema.Model.SUBGRAPHS)
        ]
        if not graphs:
            raise DamagedError("it holds no subgraph")
        signatures = [
            self._signature(signature, graphs)
            for signature in self._walk.tables(model, schema.Model.SIGNATURE_DEFS)
        ]
        for group in self._walk.tables(model, schema.Model.EXTERNAL_BUFFER_GROUPS):
            self._walk.text(group, schema.ExternalBufferGroup.NAME)
        for external in self._walk.tables(model, schema.Model.EXTERNAL_BUFFERS):
            self._walk.text(external, schema.ExternalBuffer.PACKING)
        return TfliteFile(model, graphs, buffers, signatures)

    def _check_metadata(self, model: Table, buffers: int) -> None:
        what = "a metadata entry names buffer"
        _inside(self._walk.integers(model, schema.Model.METADATA_BUFFER), buffers, what)
        for entry in self._walk.tables(model, schema.Model.METADATA):
            self._walk.text(entry, schema.Metadata.NAME)
            _one_inside(entry.number(schema.Metadata.BUFFER, "I"), buffers, what)

    def _filled(self, buffer: Table) -> bool:
        """Whether a buffer holds anything."""
        offset = buffer.number(schema.Buffer.OFFSET, "Q")
        size = buffer.number(schema.Buffer.SIZE, "Q")
        # 0 and 1 are written for "not beside the FlatBuffer".
        if offset > 1 and offset + size > len(self._content):
            raise DamagedError(
                f"a buffer of {size} bytes at byte {offset} does not end inside the file"
            )
        inside = buffer.vector(schema.Buffer.DATA, 1)[1]
        return inside > 0 or (offset > 1 and size > 0)

    def _graph(
        self,
        graph: Table,
        codes: Sequence[Table],
        buffers: Sequence[Table],
        filled: Sequence[bool],
    ) -> TfliteGraph:
        self._walk.text(graph, schema.SubGraph.NAME)
        tensors, there = [], []
        for table in self._walk.tables(graph, schema.SubGraph.TENSORS):
            there.append(self._check_tensor(table, filled))
            tensors.append(TfliteTensor(table, buffers[table.number(schema.Tensor.BUFFER, "I")]))
        count = len(tensors)
        inputs = self._walk.integers(graph, schema.SubGraph.INPUTS)
        outputs = self._walk.integers(graph, schema.SubGraph.OUTPUTS)
        _inside(inputs, count, "a subgraph's inputs name tensor", -1)
        _inside(outputs, count, "a subgraph's outputs name tensor", -1)
        present = np.zeros(count + 1, np.bool_)
        present[:count] = there
        # Index -1: an optional tensor left out.
        present[-1] = True
        present[inputs] = True
        operators = [
            self._operator(operator, number, codes, present)
            for number, operator in enumerate(self._walk.tables(graph, schema.SubGraph.OPERATORS))
        ]
        missing = outputs[~present[outputs]]
        if missing.size:
            raise DamagedError(f"nothing makes output tensor {missing[0]}")
        return TfliteGraph(graph, tensors, operators)

    def _operator(
        self,
        operator: Table,
        number: int,
        codes: Sequence[Table],
        present: NDArray[np.bool_],
    ) -> TfliteOperator:
        """Read an operator whose inputs must be `present`; its outputs are afterwards."""
        fields, count = schema.Operator, len(present) - 1
        index = operator.number(fields.OPCODE_INDEX, "I")
        _one_inside(index, len(codes), f"operator {number} names operator code")
        reads = self._walk.integers(operator, fields.INPUTS)
        writes = self._walk.integers(operator, fields.OUTPUTS)
        for indices in (reads, writes, self._walk.integers(operator, fields.INTERMEDIATES)):
            _inside(indices, count, f"operator {number} names tensor", -1)
        early = reads[~present[reads]]
        if early.size:
            raise DamagedError(
                f"operator {number} reads tensor {early[0]} before anything has made it: the "
                "graph has a cycle or a gap"
            )
        present[writes] = True
        self._walk.check_union(operator, fields.BUILTIN_OPTIONS, schema.VECTORS_OF_OPTIONS)
        operator.vector(fields.CUSTOM_OPTIONS, 1)
        operator.vector(fields.MUTATING_VARIABLE_INPUTS, 1)
        self._walk.check_union(operator, fields.BUILTIN_OPTIONS_2, schema.VECTORS_OF_OPTIONS_2)
        offset = operator.number(fields.LARGE_CUSTOM_OPTIONS_OFFSET, "Q")
        size = operator.number(fields.LARGE_CUSTOM_OPTIONS_SIZE, "Q")
        if offset > 1 and offset + size > len(self._content):
            raise DamagedError(f"the options of operator {number} do not end inside the file")
        return TfliteOperator(codes[index], operator)

    def _check_tensor(self, tensor: Table, filled: Sequence[bool]) -> bool:
        """Check one tensor; give whether it has a value before any operator has run."""
        fields = schema.Tensor
        shape = self._walk.integers(tensor, fields.SHAPE)
        dimensions = max(len(shape), len(self._walk.integers(tensor, fields.SHAPE_SIGNATURE)))
        if dimensions > _MOST_DIMENSIONS:
            raise DamagedError(f"a tensor has {dimensions} dimensions")
        self._walk.text(tensor, fields.NAME)
        index = tensor.number(fields.BUFFER, "I")
        _one_inside(index, len(filled), "a tensor names buffer")
        quantization = self._walk.table(tensor, fields.QUANTIZATION)
        if quantization is not None:
            self._check_quantization(quantization, shape)
        sparsity = self._walk.table(tensor, fields.SPARSITY)
        if sparsity is not None:
            self._check_sparsity(sparsity)
        for variant in self._walk.tables(tensor, fields.VARIANT_TENSORS):
            self._walk.integers(variant, schema.VariantSubType.SHAPE)
        variable = tensor.number(fields.IS_VARIABLE, "B") != 0
        # An external buffer's group is counted from 1.
        external = tensor.number(fields.EXTERNAL_BUFFER, "I") != 0
        return filled[index] or variable or external or bool((shape == 0).any())

    def _check_quantization(self, table: Table, shape: NDArray[np.int32]) -> None:
        fields = schema.QuantizationParameters
        scales = table.vector(fields.SCALE, 4)[1]
        zeros = table.vector(fields.ZERO_POINT, 8)[1]
        table.vector(fields.MIN, 4)
        table.vector(fields.MAX, 4)
        self._walk.check_union(table, fields.DETAILS, schema.VECTORS_OF_DETAILS)
        if zeros not in (0, 1, scales):
            raise DamagedError(f"a tensor has {scales} scales and {zeros} zero points")
        axis = table.number(fields.QUANTIZED_DIMENSION, "i")
        if scales > 1 and not (0 <= axis < len(shape) and shape[axis] == scales):
            raise DamagedError(
                f"a tensor has {scales} scales along axis {axis} of {shape.tolist()}"
            )

    def _check_sparsity(self, table: Table) -> None:
        self._walk.integers(table, schema.SparsityParameters.TRAVERSAL_ORDER)
        self._walk.integers(table, schema.SparsityParameters.BLOCK_MAP)
        for dimension in self._walk.tables(table, schema.SparsityParameters.DIM_METADATA):
            for field in (
                schema.DimensionMetadata.ARRAY_SEGMENTS,
                schema.DimensionMetadata.ARRAY_INDICES,
            ):
                self._walk.check_union(dimension, field, schema.VECTORS_OF_SPARSE_INDICES)

    def _signature(self, signature: Table, graphs: Sequence[TfliteGraph]) -> Signature:
        name = self._walk.text(signature, schema.SignatureDef.SIGNATURE_KEY)
        graph = signature.number(schema.SignatureDef.SUBGRAPH_INDEX, "I")
        _one_inside(graph, len(graphs), "a signature names subgraph")
        inputs, outputs = (
            {
                self._walk.text(entry, schema.TensorMap.NAME): self._named(entry, graphs[graph])
                for entry in self._walk.tables(signature, field)
            }
            for field in (schema.SignatureDef.INPUTS, schema.SignatureDef.OUTPUTS)
        )
        return Signature(name, graph, inputs, outputs)

    def _named(self, entry: Table, graph: TfliteGraph) -> int:
        index = entry.number(schema.TensorMap.TENSOR_INDEX, "I")
        _one_inside(index, len(graph.tensors), "a signature names tensor")
        return index


def _inside(indices: NDArray[np.int32], count: int, what: str, low: int = 0) -> None:
    wrong = indices[(indices < low) | (indices >= count)]
    if wrong.size:
        raise DamagedError(f"{what} {wrong[0]}, and there are {count}")


def _one_inside(index: int, count: int, what: str) -> None:
    if index >= count:
        raise DamagedError(f"{what} {index}, and there are {count}")
