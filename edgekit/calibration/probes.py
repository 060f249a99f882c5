"""Probes: float files whose inner tensors can be looked at while they run."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgekit.calibration.loops import LOOP, loops_of
from edgekit.errors import ExportError, one_line, require
from edgekit.formats.tflite_file import TfliteFile, TfliteGraph
from edgekit.runtime.onnx_session import open_session
from edgekit.runtime.shapes import allocated
from edgekit.runtime.tflite import spec_of
from edgekit.samples import Samples
from edgekit.tensor import dequantize, quantize

_PURPOSE = "Finding the ranges of activations"


Look = Callable[[str, NDArray[Any]], None]


class Probe(Protocol):
    """A float file whose inner tensors can be looked at.

    Attributes:
        batch: samples an inference.
    """

    batch: int

    def run(self, inputs: dict[str, NDArray[Any]], look: Look) -> None:
        """Run one batch and show each tensor that is no constant, as ``look(name, values)``.

        The values, of any shape and never empty, are valid during that call only.
        """
        ...


def batches(samples: Samples, size: int) -> Iterator[dict[str, NDArray[Any]]]:
    """The inputs, `size` samples at a time, the last batch filled up with its last sample."""
    for batch in samples.batches(size):
        short = size - len(batch)
        yield {
            name: np.concatenate([x, x[-1:].repeat(short, 0)]) if short else x
            for name, x in batch.inputs.items()
        }


class TfliteProbe:
    """A TFLite file in an interpreter that keeps every tensor's values.

    Tensors are read where they lie: copying them, constants included, takes longer than computing.
    Integers of a quantised file are shown as the float values that they stand for.

    Args:
        file: read once; the numbers that it holds now are run.
        only: the names of tensors to show; all by default.
        loops: show the tensors inside of loops too, which are run once more to that end.
        delegate: let the interpreter's own choice of fast kernels (XNNPACK) run what they can.

    Raises:
        RuntimeError, ValueError: no kernel takes the file.
        ExportError: a tensor cannot be looked at, such as those of a loop in a loop.
    """

    def __init__(
        self,
        file: TfliteFile,
        only: Collection[str] | None = None,
        *,
        loops: bool = False,
        delegate: bool = True,
    ) -> None:
        interpreter_module = require("ai_edge_litert.interpreter", "export", _PURPOSE)
        kinds = interpreter_module.OpResolverType
        resolver = kinds.AUTO if delegate else kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        with warnings.catch_warnings():
            # Says that keeping every tensor takes memory.
            warnings.simplefilter("ignore", UserWarning)
            make = partial(
                interpreter_module.Interpreter,
                model_content=bytes(file.content),
                num_threads=1,
                experimental_preserve_all_tensors=True,
                experimental_op_resolver_type=resolver,
            )
            self._interpreter = allocated(make)
        signature = next(iter(self._interpreter._get_full_signature_list().values()))
        self._inputs = dict(signature["inputs"])
        details = {row["index"]: row for row in self._interpreter.get_tensor_details()}
        self._dtypes = {name: details[i]["dtype"] for name, i in self._inputs.items()}
        self._shapes = {i: tuple(map(int, details[i]["shape"])) for i in self._inputs.values()}
        first = next(iter(self._inputs.values()))
        self.batch: int = self._shapes[first][0]
        self._loops = loops_of(file) if loops else []
        given = {i for each in file.graphs[0].operators if each.op == LOOP for i in each.outputs}
        taken = [operator.inputs for operator in file.graphs[0].operators]
        read = {*file.graphs[0].outputs, *(i for each in taken for i in each)}
        self._tensors = [
            (details[i]["name"], i)
            for i in _computed(file.graphs[0])
            # What a loop gives and nobody takes has no place in memory.
            if i in details
            if (i in read or i not in given) and np.dtype(details[i]["dtype"]).kind in "fiu"
            if only is None or details[i]["name"] in only
        ]
        used = (*self._inputs.values(), *(i for _, i in self._tensors))
        self._grids = {i: spec_of(details[i]["name"], details[i]).quantization for i in used}

    def run(self, inputs: dict[str, NDArray[Any]], look: Look) -> None:
        for name, i in self._inputs.items():
            dtype, grid = self._dtypes[name], self._grids[i]
            given = inputs[name]
            given = quantize(given, grid, dtype) if grid else given.astype(dtype, copy=False)
            self._take_shape(i, given.shape)
            self._interpreter.set_tensor(i, given)
        try:
            self._interpreter.invoke()
            for name, i in self._tensors:
                values = self._interpreter.tensor(i)()
                if values.size:
                    grid = self._grids[i]
                    look(name, dequantize(values, grid) if grid else values)
                del values  # The interpreter does not run while anyone looks at it.
            for loop in self._loops:
                values = [np.asarray(self._interpreter.get_tensor(i)) for i in loop.inputs]
                loop.run(values, look)
        except (ValueError, RuntimeError) as error:
            raise ExportError(ranges_reason(error)) from error

    def _take_shape(self, index: int, shape: tuple[int, ...]) -> None:
        """An input with dynamic dimensions takes the sizes that the samples have."""
        if self._shapes[index] != shape:
            self._interpreter.resize_tensor_input(index, shape)
            self._interpreter.allocate_tensors()
            self._shapes[index] = shape


def _computed(graph: TfliteGraph) -> list[int]:
    """The tensors of a graph that are inputs or computed, in graph order."""
    found = dict.fromkeys(graph.inputs)
    for operator in graph.operators:
        found.update(dict.fromkeys(operator.outputs))
    return list(found)


class OnnxProbe:
    """An ONNX file with every tensor as an output.

    Args:
        proto: a ModelProto with the types of its tensors (shape inference has run).
        only: the names of tensors to show, which need no types; all real ones by default.
    """

    def __init__(self, proto: Any, only: Sequence[str] | None = None) -> None:
        onnx = require("onnx", "export", _PURPOSE)
        runtime = require("onnxruntime", "export", _PURPOSE)
        open_up = onnx.ModelProto()
        open_up.CopyFrom(proto)
        graph = open_up.graph
        constants = {tensor.name for tensor in graph.initializer}
        real = {
            value.name
            for value in (*graph.input, *graph.value_info, *graph.output)
            if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
        } - constants
        shown = {value.name for value in (*graph.input, *graph.output)}
        inner = [
            name
            for node in graph.node
            for name in node.output
            if name in real and name not in shown
        ]
        if only is not None:
            real, inner = set(only), list(only)
            del graph.output[:]
        graph.output.extend(onnx.ValueInfoProto(name=name) for name in inner)
        self._inputs = {value.name: value.type.tensor_type for value in graph.input}
        self._dtypes = {
            name: onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
            for name, tensor in self._inputs.items()
        }
        first = next(iter(self._inputs.values())).shape.dim[0]
        self.batch = first.dim_value or 1
        options = runtime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3  # What it says of graphs with many outputs helps nobody.
        self._session = open_session(open_up.SerializeToString(), options)
        self._outputs = [node.name for node in self._session.get_outputs() if node.name in real]
        self._real_inputs = [name for name in self._inputs if name in real]

    def run(self, inputs: dict[str, NDArray[Any]], look: Look) -> None:
        feed = {
            name: inputs[name].astype(dtype, copy=False) for name, dtype in self._dtypes.items()
        }
        results = {name: feed[name] for name in self._real_inputs}
        # Asked for no output, onnxruntime gives all.
        if self._outputs:
            answers = self._session.run(self._outputs, feed)
            results.update(zip(self._outputs, answers, strict=True))
        for name, values in results.items():
            if values.size:
                look(name, values)


def ranges_reason(error: BaseException) -> str:
    """Why no ranges were found: the calibrator cannot look into loops."""
    if "Tensor data is null" in str(error):
        return (
            "ranges inside a loop, as recurrent layers make them, cannot be observed. The scheme "
            "'dynamic' needs none; a convolution in the layer's place quantises fully."
        )
    return f"the ranges of its tensors cannot be observed: {one_line(error)}"
