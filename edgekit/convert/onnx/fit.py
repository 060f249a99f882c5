"""The fit in ONNX files: layers of a QDQ graph whose weights are integers (`edgekit.calibration.fitting`)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.calibration.fitting import fitted
from edgekit.calibration.frontier import Key
from edgekit.calibration.layer_fit import Fitted, Sums
from edgekit.calibration.lost import judged_at
from edgekit.calibration.mixed import Attempt
from edgekit.calibration.pair_safe import FACTORS
from edgekit.calibration.probes import OnnxProbe
from edgekit.calibration.rounding import are_shared
from edgekit.calibration.sequence import Layer
from edgekit.convert.onnx.bias_correction import correct_biases
from edgekit.convert.onnx.kernels import Kernel, Reader, kernels_of, store
from edgekit.convert.onnx.layer_inputs import channels_last
from edgekit.convert.onnx.path import OnnxPath
from edgekit.convert.onnx.unrounded_outputs import rounded
from edgekit.errors import require
from edgekit.formats.graph import Graph
from edgekit.formats.onnx import read_onnx
from edgekit.formats.onnx_pairs import takes_pairs
from edgekit.manifest import Fit
from edgekit.samples import Samples

_PURPOSE = "Fitting an ONNX file"
_LAYERS = frozenset({"Conv", "Gemm", "MatMul"})
_CUTTING = frozenset({"Relu", "Clip"})
_INFINITE = (-np.inf, np.inf)


def fitted_onnx(
    proto: Any, plain: Any, samples: Samples, seed: int, quality: str = "default"
) -> tuple[Any, Fit]:
    """A QDQ model whose layers are fitted to the float one, and what the manifest says of it.

    Weights stay pair-safe (`edgekit.formats.onnx_pairs`).

    Args:
        proto: a ModelProto of integers, made of `plain`; it stays as it is.
        plain: the float one.
        samples: to fit to, under the model's input names.
        seed: of the choice of samples and of places.
        quality: of `edgekit.recipe.QUALITIES`.
    """
    model = read_onnx(plain.SerializeToString())
    graph = model.graphs[model.main]
    state = require("onnxruntime.capi.onnxruntime_pybind11_state", "export", _PURPOSE)
    try:
        before = _attempt(proto, graph)
        best, about = fitted(
            graph,
            lambda names: OnnxProbe(plain, sorted(names)),
            before,
            lambda: _Fitting(proto, plain, graph, samples, seed),
            samples,
            seed,
            quality,
        )
    # Where the quantiser's names clash inside loops, onnxruntime takes the graph only under the names that
    # it has in the file.
    except state.Fail as error:
        return proto, Fit(reason=f"onnxruntime does not run it in parts: {error}")
    return best.made, about


def _attempt(proto: Any, graph: Graph) -> Attempt:
    """The file, so that it shows what it is judged at."""
    names = {pair[1].output[0]: name for name, pair in rounded(proto.graph).items()}
    shown = {
        names.get(name, name): name for node in proto.graph.node for name in node.output if name
    }
    ends = [shown[tensor.name] for tensor in judged_at(graph) if tensor.name in shown]
    return Attempt(proto, OnnxProbe(proto, ends), {}, names)


class _Fitting:
    """`edgekit.calibration.fitting.Fitting`."""

    def __init__(self, proto: Any, plain: Any, graph: Graph, samples: Samples, seed: int) -> None:
        self._proto = type(proto)()
        self._proto.CopyFrom(proto)
        self._plain, self._graph = plain, graph
        self._samples, self._seed = samples, seed
        steps = OnnxPath(self._proto)
        self.path = steps.path
        links = _Links(self._proto, plain)
        kernels = kernels_of(self._proto, plain, links.is_layer)
        found = [
            links.layer(reader, kernel, steps.numbers)
            for kernel in kernels
            for reader in kernel.readers
        ]
        self.layers = sorted((layer for layer in found if layer), key=lambda layer: layer.at)

    def begin(self, inputs: dict[str, NDArray[Any]]) -> dict[Key, NDArray[Any]]:
        helper = require("onnx.helper", "export", _PURPOSE)
        return {
            value.name: inputs[value.name].astype(
                helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type), copy=False
            )
            for value in self._proto.graph.input
        }

    def finished(self) -> Attempt:
        made = {name for node in self._proto.graph.node for name in node.output}
        sums = [tensor.name for tensor in judged_at(self._graph) if tensor.name in made]
        correct_biases(self._proto, self._plain, sums, self._samples, self._seed)
        return _attempt(self._proto, self._graph)


class _Links:
    """Who reads and makes what, in both graphs."""

    def __init__(self, proto: Any, plain: Any) -> None:
        numpy_helper = require("onnx.numpy_helper", "export", _PURPOSE)
        self._array = numpy_helper.to_array
        self._ends = {output.name for output in proto.graph.output}
        self._makers = {name: node for node in proto.graph.node for name in node.output}
        self._readers = _readers(proto.graph)
        self._constants = {tensor.name: tensor for tensor in proto.graph.initializer}
        self._theirs = {node.name: node for node in plain.graph.node}
        self._floats = {tensor.name: tensor for tensor in plain.graph.initializer}
        self._their_readers = _readers(plain.graph)

    def is_layer(self, node: Any) -> bool:
        """Whether a node multiplies what it is given with constant integers, as in the float file."""
        if node.op_type not in _LAYERS or node.name not in self._theirs:
            return False
        maker = self._makers.get(node.input[1])
        if maker is None or maker.op_type != "DequantizeLinear":
            return False
        held = self._constants.get(maker.input[0])
        dims = 3 if node.op_type == "MatMul" else 6
        return held is not None and held.data_type == 3 and len(held.dims) < dims

    def layer(self, reader: Reader, kernel: Kernel, numbers: dict[str, int]) -> Layer | None:
        """A layer; None where it cannot be looked at what it is given, or others read its bias."""
        node = reader.node
        theirs = self._theirs[node.name]
        if reader.input is None or node.output[0] not in numbers:
            return None
        weights = kernel.columns(kernel.weights).astype(np.float64)
        biases: NDArray[np.float64] = np.zeros((weights.shape[0], weights.shape[2]))
        bias = reader.bias
        if len(node.input) > 2 and node.input[2]:
            held = self._floats.get(theirs.input[2])
            if bias is None or held is None or len(self._readers[bias.integers.name]) > 1:
                return None
            biases = self._array(held).astype(np.float64).reshape(biases.shape)
        given, step, zero = self._given(node.input[0])
        made, top = self._behind(node.output[0])
        clip = self._clip(theirs.output[0])
        pairs = takes_pairs(kernel.op, tuple(kernel.integers.dims), kernel.groups)
        fixed = are_shared(weights) or len(kernel.readers) > 1

        def sums() -> Sums:
            scales = self._array(kernel.scale)
            return Sums(
                weights,
                kernel.columns(self._array(kernel.integers)).astype(np.float64),
                kernel.columns_of_scales(scales).astype(np.float32),
                step,
                biased=bias is not None,
                bound=kernel.together(scales) is not None,
                fixed=fixed,
                clip=clip,
                pairs=pairs,
                factors=tuple(FACTORS.tolist()) if pairs else (1.0,),
            )

        def write(found: Fitted) -> None:
            shape = tuple(kernel.integers.dims)
            store(kernel.integers, kernel.back(found.integers, shape).astype(np.int8))
            if kernel.together(self._array(kernel.scale)) is None:
                store(kernel.scale, found.scales.reshape(tuple(kernel.scale.dims)))
            if bias is not None:
                scales = np.float32(step) * np.ravel(self._array(kernel.scale))
                bias.write(found.bias.ravel(), scales)

        return Layer(
            name=node.output[0],
            at=numbers[node.output[0]],
            given=(given, theirs.input[0]),
            made=made,
            top=top,
            window=reader.input.window,
            seen=channels_last if reader.input.window else lambda values: values,
            zero=zero,
            weights=weights,
            bias=biases,
            sums=sums,
            write=write,
        )

    def _given(self, name: str) -> tuple[str, float, float]:
        """The tensor that a layer is given, as it is kept on the path, its step, and its zero."""
        maker = self._makers.get(name)
        if maker is None or maker.op_type != "DequantizeLinear":
            return name, 1.0, 0.0
        step, zero = (self._array(self._constants[each]) for each in maker.input[1:3])
        return maker.input[0], float(step), float(zero)

    def _behind(self, name: str) -> tuple[str | None, float]:
        """The integers that a layer's sums become, its activation included, and their upper end."""
        readers = self._readers.get(name, [])
        while len(readers) == 1 and readers[0].op_type in _CUTTING and name not in self._ends:
            name = readers[0].output[0]
            readers = self._readers.get(name, [])
        if len(readers) != 1 or readers[0].op_type != "QuantizeLinear":
            return None, np.inf
        step, zero = (self._array(self._constants[each]) for each in readers[0].input[1:3])
        return readers[0].output[0], float((np.iinfo(zero.dtype).max - int(zero)) * step)

    def _clip(self, name: str) -> tuple[float, float]:
        """What the activation behind a layer of the float file lets through."""
        readers = self._their_readers.get(name, [])
        if len(readers) != 1:
            return _INFINITE
        (node,) = readers
        if node.op_type == "Relu":
            return 0.0, np.inf
        if node.op_type != "Clip":
            return _INFINITE
        ends = [self._floats.get(each) for each in (*node.input[1:], "", "")[:2]]
        low, high = (
            default if held is None else float(self._array(held))
            for held, default in zip(ends, _INFINITE, strict=True)
        )
        return low, high


def _readers(graph: Any) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            found.setdefault(name, []).append(node)
    return found
