"""The main graph of a TFLite file as a path (`edgekit.calibration.frontier`): parts run in the interpreter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.calibration.frontier import Key, Part, Path, Step
from edgekit.errors import require
from edgekit.formats.tflite_file import TfliteFile
from edgekit.formats.tflite_part import part_of

# What stands between weights that are stored in few bits and operators that take floats.
UNPACKING = "DEQUANTIZE"


class TflitePath:
    """A file's operators as steps.

    Operators that turn constants into floats belong to whichever step reads what they give.

    Attributes:
        path: the steps.
        numbers: of each operator that is a step, the step's number.
        unpacked: of each constant that an operator turns into floats, its place, by the floats'.
    """

    def __init__(self, file: TfliteFile) -> None:
        self._file = file
        graph = file.graphs[0]
        tensors = graph.tensors
        self._constant = [tensor.constant("u1").count > 0 for tensor in tensors]
        self.unpacked: dict[int, int] = {}
        unpacking: dict[int, int] = {}
        self._parts: list[tuple[int, ...]] = []
        self.numbers: dict[int, int] = {}
        steps: list[Step] = []
        for place, operator in enumerate(graph.operators):
            given = [i for i in operator.inputs if i >= 0]
            if operator.op == UNPACKING and self._constant[given[0]]:
                unpacking[operator.outputs[0]] = place
                self.unpacked[operator.outputs[0]] = given[0]
                continue
            reads = tuple(i for i in given if not self._constant[i] and i not in self.unpacked)
            self.numbers[place] = len(steps)
            steps.append(Step(reads, operator.outputs))
            self._parts.append((*(unpacking[i] for i in given if i in unpacking), place))
        sizes: dict[Key, int] = {
            i: int(np.prod([abs(n) for n in tensor.shape])) * (1 if "8" in tensor.dtype else 4)
            for i, tensor in enumerate(tensors)
        }
        self.path: Path = Path(steps, frozenset(graph.outputs), sizes, self._open)

    def bind(
        self,
        steps: range,
        takes: Sequence[Key],
        gives: Sequence[Key],
        values: Sequence[NDArray[Any]],
    ) -> Callable[[], object]:
        """A call that runs some steps on values that are set already (`edgekit.calibration.timing`)."""
        interpreter, inputs, _ = self._interpreter(steps, takes, gives)
        for index, value in zip(inputs, values, strict=True):
            interpreter.set_tensor(index, value)
        found: Callable[[], object] = interpreter.invoke
        return found

    def _interpreter(
        self, steps: range, takes: Sequence[Key], gives: Sequence[Key]
    ) -> tuple[Any, list[int], list[int]]:
        module = require("ai_edge_litert.interpreter", "export", "Fitting a TFLite file")
        places = sorted({place for i in steps for place in self._parts[i]})
        inputs, outputs = ([int(str(key)) for key in keys] for keys in (takes, gives))
        content = part_of(self._file, places, inputs, outputs)
        interpreter = module.Interpreter(model_content=content, num_threads=1)
        interpreter.allocate_tensors()
        return interpreter, inputs, outputs

    def _open(self, steps: range, takes: Sequence[Key], gives: Sequence[Key]) -> Part:
        interpreter, inputs, outputs = self._interpreter(steps, takes, gives)

        def run(values: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
            for index, value in zip(inputs, values, strict=True):
                interpreter.set_tensor(index, value)
            interpreter.invoke()
            return [interpreter.get_tensor(index) for index in outputs]

        return run
