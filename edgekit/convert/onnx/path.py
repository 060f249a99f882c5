"""A QDQ graph as a path (`edgekit.calibration.frontier`): parts of it run in onnxruntime."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.calibration.frontier import Key, Part, Path, Step
from edgekit.convert.onnx.canonical import needs, ordered
from edgekit.errors import require
from edgekit.runtime.onnx_session import open_session

_PURPOSE = "Fitting an ONNX file"


class OnnxPath:
    """A ModelProto's nodes as steps.

    What is made of constants alone, and what turns integers into floats, belongs to whichever step reads
    it: tensors are kept as integers.

    Attributes:
        nodes: of the graph, each after those it reads from.
        path: the steps; tensors go by their names.
        numbers: of each node that is a step, by the name of its first output, the step's number.
    """

    def __init__(self, proto: Any) -> None:
        """Args:
        proto: its constants may change afterwards, nothing else.
        """
        self._proto = proto
        graph = proto.graph
        self.nodes: list[Any] = ordered(graph)
        self._made = {name: node for node in self.nodes for name in node.output if name}
        self._constants = {tensor.name for tensor in graph.initializer}
        self._attached: set[str] = set()
        steps: list[Step] = []
        self.numbers: dict[str, int] = {}
        self._own: list[Any] = []
        for node in self.nodes:
            reads = [name for name in needs(node) if name]
            constant = all(name in self._constants for name in reads)
            if constant or node.op_type == "DequantizeLinear":
                self._attached.update(node.output)
                if constant:
                    self._constants.update(node.output)
                continue
            self.numbers[node.output[0]] = len(steps)
            steps.append(Step(tuple(self._sources(reads)), tuple(filter(None, node.output))))
            self._own.append(node)
        ends = self._sources([output.name for output in graph.output])
        self.path: Path = Path(steps, frozenset(ends), self._sizes(), self._open)

    def _sources(self, names: Sequence[str]) -> list[str]:
        """The tensors that have to be known for these: integers in place of what is made of them."""
        found = []
        for name in names:
            if name in self._constants:
                continue
            found.append(self._made[name].input[0] if name in self._attached else name)
        return list(dict.fromkeys(found))

    def _sizes(self) -> dict[Key, int]:
        graph = self._proto.graph
        shapes = {
            value.name: [max(1, dim.dim_value) for dim in value.type.tensor_type.shape.dim]
            for value in (*graph.input, *graph.value_info, *graph.output)
        }
        sizes: dict[Key, int] = {name: 4 * int(np.prod(shape)) for name, shape in shapes.items()}
        for node in self.nodes:
            if node.op_type == "QuantizeLinear":
                sizes[node.output[0]] = sizes.get(node.input[0], 0) // 4
        return sizes

    def op(self, step: int) -> str:
        """The name of a step's operator."""
        name: str = self._own[step].op_type
        return name

    def bind(
        self,
        steps: range,
        takes: Sequence[Key],
        gives: Sequence[Key],
        values: Sequence[NDArray[Any]],
    ) -> Callable[[], object]:
        """A call that runs some steps on these values (`edgekit.calibration.timing`)."""
        feed = dict(zip(map(str, takes), values, strict=True))
        outputs = [str(key) for key in gives]
        return partial(self._session(steps, feed, outputs).run, outputs, feed)

    def _open(self, steps: range, takes: Sequence[Key], gives: Sequence[Key]) -> Part:
        sessions: list[Any] = []
        names, outputs = [str(key) for key in takes], [str(key) for key in gives]

        def run(values: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
            # Types of inputs are known when there are values.
            if not sessions:
                sessions.append(
                    self._session(steps, dict(zip(names, values, strict=True)), outputs)
                )
            found: list[NDArray[Any]] = sessions[0].run(
                outputs, dict(zip(names, values, strict=True))
            )
            return found

        return run

    def _session(self, steps: range, given: dict[str, NDArray[Any]], outputs: Sequence[str]) -> Any:
        helper = require("onnx.helper", "export", _PURPOSE)
        runtime = require("onnxruntime", "export", _PURPOSE)
        chosen = {self._own[i].output[0] for i in steps}
        waiting = [name for i in steps for name in needs(self._own[i])]
        while waiting:
            name = waiting.pop()
            if name in self._attached and (node := self._made[name]).output[0] not in chosen:
                chosen.add(node.output[0])
                waiting += needs(node)
        nodes = [node for node in self.nodes if node.output[0] in chosen]
        read = {name for node in nodes for name in needs(node)}
        part = type(self._proto)()
        part.ir_version = self._proto.ir_version
        part.opset_import.extend(self._proto.opset_import)
        part.graph.name = "part"
        part.graph.node.extend(nodes)
        part.graph.initializer.extend(t for t in self._proto.graph.initializer if t.name in read)
        for name, values in given.items():
            kind = helper.np_dtype_to_tensor_dtype(values.dtype)
            part.graph.input.append(helper.make_tensor_value_info(name, kind, values.shape))
        for name in outputs:
            part.graph.output.add().name = name
        options = runtime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        return open_session(part.SerializeToString(), options)
