"""Loops of a float TFLite file, run a step at a time so that the tensors inside can be looked at."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import ExportError, require
from edgekit.formats import tflite_schema as schema
from edgekit.formats.tflite_file import TfliteFile, TfliteGraph, TfliteOperator

_PURPOSE = "Finding the ranges of activations"
LOOP = "WHILE"
# What runs other graphs, which a graph that stands alone does not have.
_CALLERS = frozenset({LOOP, "IF", "CALL_ONCE", "STABLEHLO_WHILE", "STABLEHLO_COMPOSITE"})

Look = Callable[[str, NDArray[Any]], None]


class Loop:
    """A ``WHILE`` operator of the main graph: its condition and its body, each in an interpreter.

    Args:
        file: the file.
        operator: the loop.

    Raises:
        ExportError: there is a loop or a branch in the loop.
    """

    def __init__(self, file: TfliteFile, operator: TfliteOperator) -> None:
        options = operator.options
        assert options is not None, "a loop without graphs is refused when a file is read"
        self.inputs: tuple[int, ...] = operator.inputs
        self._condition = _Graph(file, options.number(schema.WhileOptions.COND_SUBGRAPH_INDEX, "i"))
        self._body = _Graph(file, options.number(schema.WhileOptions.BODY_SUBGRAPH_INDEX, "i"))

    def run(self, values: list[NDArray[Any]], look: Look) -> None:
        """Go through all steps, from the values of the operator's inputs; each tensor is shown once,
        with what it held in all of them."""
        seen: dict[str, list[NDArray[Any]]] = {}
        while self._condition.run(values)[0]:
            values = self._body.run(values, seen)
        for name, each in seen.items():
            # What a step adds to grows from step to step.
            alike = all(values.shape == each[0].shape for values in each)
            look(name, np.stack(each) if alike else np.concatenate([x.ravel() for x in each]))


def loops_of(file: TfliteFile) -> list[Loop]:
    """The loops of a file's main graph, in the order in which they run.

    Raises:
        ExportError: as `Loop`; or two tensors share a name, by which ranges are known.
    """
    found = [operator for operator in file.graphs[0].operators if operator.op == LOOP]
    if found:
        names = Counter(name for graph in file.graphs for _, name in _computed(graph))
        name, count = names.most_common(1)[0]
        if count > 1:
            raise ExportError(_hidden(f"several tensors are called {name!r}"))
    return [Loop(file, operator) for operator in found]


def _hidden(why: str) -> str:
    return f"the ranges inside a loop cannot be observed: {why}. The scheme 'dynamic' needs none."


class _Graph:
    """One graph of a file as a file of its own."""

    def __init__(self, file: TfliteFile, index: int) -> None:
        graph = file.graphs[index]
        if any(operator.op in _CALLERS for operator in graph.operators):
            raise ExportError(_hidden("it holds another loop or a branch"))
        interpreter = require("ai_edge_litert.interpreter", "export", _PURPOSE)
        with warnings.catch_warnings():
            # Says that keeping every tensor takes memory.
            warnings.simplefilter("ignore", UserWarning)
            self._interpreter = interpreter.Interpreter(
                model_content=_alone(file, index),
                num_threads=1,
                experimental_preserve_all_tensors=True,
            )
        self._interpreter.allocate_tensors()
        given = self._interpreter.get_input_details()
        self._inputs = [row["index"] for row in given]
        self._shapes = {row["index"]: tuple(row["shape"]) for row in given}
        self._outputs = [row["index"] for row in self._interpreter.get_output_details()]
        self._real = list(_computed(graph))

    def run(
        self, values: list[NDArray[Any]], seen: dict[str, list[NDArray[Any]]] | None = None
    ) -> list[NDArray[Any]]:
        """The graph's outputs; what it computes on the way is added to `seen`."""
        self._resize({i: value.shape for i, value in zip(self._inputs, values, strict=True)})
        for index, value in zip(self._inputs, values, strict=True):
            self._interpreter.set_tensor(index, value)
        self._interpreter.invoke()
        if seen is not None:
            for index, name in self._real:
                found = self._held(index)
                if found is not None and found.size:
                    seen.setdefault(name, []).append(found)
        # What has no axes it gives as a number.
        return [np.asarray(self._interpreter.get_tensor(index)) for index in self._outputs]

    def _resize(self, shapes: dict[int, tuple[int, ...]]) -> None:
        """Give the inputs these shapes: what a loop fills step by step has none of its own."""
        if shapes != self._shapes:
            for index, shape in shapes.items():
                self._interpreter.resize_tensor_input(index, shape)
            self._interpreter.allocate_tensors()
            self._shapes = shapes

    def _held(self, index: int) -> NDArray[Any] | None:
        """A tensor's values; None for one that holds none, as the rows before a loop's first step."""
        try:
            return np.asarray(self._interpreter.get_tensor(index))
        except ValueError as error:
            if "Invalid tensor size" not in str(error):
                raise
            return None


def _computed(graph: TfliteGraph) -> Iterator[tuple[int, str]]:
    """The numbers and names of the real tensors that a graph takes and computes."""
    given = (i for operator in graph.operators for i in operator.outputs)
    for index in dict.fromkeys((*graph.inputs, *given)):
        if graph.tensors[index].dtype == "float32":
            yield index, graph.tensors[index].name


def _alone(file: TfliteFile, index: int) -> bytes:
    flatbuffers = require("ai_edge_litert.tools.flatbuffer_utils", "export", _PURPOSE)
    model = flatbuffers.read_model_from_bytearray(bytearray(file.content))
    model.subgraphs = [model.subgraphs[index]]
    model.signatureDefs = None
    return bytes(flatbuffers.convert_object_to_bytearray(model))
