"""What a .tflite file remembers from one inference to the next."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from edgekit.formats import tflite_schema as schema
from edgekit.formats.flatbuffer import Table, mapped, number
from edgekit.formats.tflite_file import name_of

# Operators that read a whole sequence in one inference, and keep their state in variables even so.
_SEQUENCES = frozenset(
    {
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        "BIDIRECTIONAL_SEQUENCE_LSTM",
        "UNIDIRECTIONAL_SEQUENCE_RNN",
        "BIDIRECTIONAL_SEQUENCE_RNN",
    }
)
# Operators that read one step in one inference.
_STEPS = frozenset({"LSTM", "RNN", "SVDF"})


class State(NamedTuple):
    """Where a file keeps state; false throughout for one that keeps none.

    Attributes:
        tensors: in tensors that are marked as variables, as fused LSTM and SVDF operators do.
        resources: in variables that operators assign to. What is written only once, when the file
            is loaded (weights, lookup tables), is no state.
    """

    tensors: bool
    resources: bool


def state_of(source: Path | bytes) -> State:
    """Where a file, or what is given of its content, keeps state.

    Raises:
        ArtifactError: the file is damaged.
    """
    with mapped(source) as data:
        model = Table.root(data, schema.IDENTIFIER)
        graphs = list(model.tables(schema.Model.SUBGRAPHS))
        tensors = any(
            tensor.number(schema.Tensor.IS_VARIABLE, "B")
            for graph in graphs
            for tensor in graph.tables(schema.SubGraph.TENSORS)
        )
        return State(tensors, _assigns(model, graphs))


def reads_sequences(source: Path | bytes) -> bool:
    """Whether what the file remembers is left over from a sequence that was read to its end.

    Fused recurrent operators take several steps in one inference and keep their state in variables;
    the model that such a file was made of began each sequence with zeros.

    Raises:
        ArtifactError: the file is damaged.
    """
    with mapped(source) as data:
        model = Table.root(data, schema.IDENTIFIER)
        names = [name_of(code) for code in model.tables(schema.Model.OPERATOR_CODES)]
        if _SEQUENCES.isdisjoint(names) or not _STEPS.isdisjoint(names):
            return False
        graphs = list(model.tables(schema.Model.SUBGRAPHS))
        return not _assigns(model, graphs) and any(
            math.prod(steps) > 1 for graph in graphs for steps in _steps_of(graph, names)
        )


def _steps_of(graph: Table, names: list[str]) -> Iterator[list[int]]:
    """Samples and steps, in either order, that each fused operator of a graph reads."""
    tensors = list(graph.tables(schema.SubGraph.TENSORS))
    for operator in graph.tables(schema.SubGraph.OPERATORS):
        index = operator.number(schema.Operator.OPCODE_INDEX, "I")
        inputs = _numbers(operator, schema.Operator.INPUTS)
        if index < len(names) and names[index] in _SEQUENCES and inputs:
            yield _numbers(tensors[inputs[0]], schema.Tensor.SHAPE)[:-1]


def _numbers(table: Table, field: int) -> list[int]:
    start, count = table.vector(field, 4)
    return [number(table.data, start + 4 * index, "i") for index in range(count)]


def _assigns(model: Table, graphs: list[Table]) -> bool:
    """Whether a graph that runs more than once assigns to a variable."""
    names = [name_of(code) for code in model.tables(schema.Model.OPERATOR_CODES)]
    if "ASSIGN_VARIABLE" not in names:
        return False

    def operators(graph: Table, wanted: str) -> Iterator[Table]:
        for operator in graph.tables(schema.SubGraph.OPERATORS):
            index = operator.number(schema.Operator.OPCODE_INDEX, "I")
            if index < len(names) and names[index] == wanted:
                yield operator

    calls = [each for graph in graphs for each in operators(graph, "CALL_ONCE")]
    once = {
        options.number(schema.CallOnceOptions.INIT_SUBGRAPH_INDEX, "i")
        for call in calls
        if (options := call.table(schema.Operator.BUILTIN_OPTIONS))
    }
    return any(
        True
        for index, graph in enumerate(graphs)
        if index not in once
        for _ in operators(graph, "ASSIGN_VARIABLE")
    )
