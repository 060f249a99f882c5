"""Pair-safe weights in ONNX files: the same answers in onnxruntime's fast and exact mode.

Every operator that may saturate (`edgekit.formats.onnx_saturation`) and has constant weights gets
integers that cannot (`edgekit.calibration.pair_safe`). Where the layer has a bias in integers, it makes
up for the mean of what the rounding changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.calibration.moments import moments
from edgekit.calibration.pair_safe import Rounded, pair_safe
from edgekit.calibration.windows import Window
from edgekit.convert.onnx.canonical import bodies
from edgekit.convert.onnx.layer_inputs import LayerInput, rows_of
from edgekit.errors import require
from edgekit.formats.onnx_pairs import CONVOLUTIONS, from_columns, to_columns
from edgekit.formats.onnx_saturation import saturating
from edgekit.samples import Samples

_PURPOSE = "Quantising an ONNX file"
# What onnxruntime's quantiser calls the integers of a constant, their scale, and its transpose.
_INTEGERS, _SCALE, _TURNED = "_quantized", "_scale", "_Transposed"
# Which inputs are weights, but for the second.
_WEIGHTS = {"DynamicQuantizeLSTM": (1, 2)}


def make_pair_safe(proto: Any, plain: Any, samples: Samples | None = None, seed: int = 0) -> None:
    """Round the weights that may saturate anew, in place.

    Args:
        proto: a ModelProto of integers as onnxruntime's quantiser gives it.
        plain: the float one that it was made of.
        samples: to take the moments of the layers' inputs over; without them each weight's own error
            counts.
        seed: of the choice of samples and places.
    """
    kernels = _kernels(proto, plain)
    if not kernels:
        return
    rows = {}
    if samples is not None:
        state = require("onnxruntime.capi.onnxruntime_pybind11_state", "export", _PURPOSE)
        layers = [layer for kernel in kernels for layer in kernel.inputs]
        try:
            rows = rows_of(proto, layers, samples, seed)
        # Where the quantiser's names clash inside loops, as recurrent layers make them, onnxruntime takes
        # the graph only under the names that it has in the file.
        except state.Fail:
            rows = {}
    for kernel in kernels:
        kernel.make_safe(rows)


@dataclass(frozen=True)
class _Bias:
    """A bias in integers, and its scale, both tensors of the proto."""

    integers: Any
    scale: Any

    def shift(self, by: NDArray[np.float64], factors: NDArray[np.float64]) -> None:
        """Add `by`, (outputs,), in float, and multiply the scale."""
        numpy_helper = require("onnx.numpy_helper", "export", _PURPOSE)
        steps = numpy_helper.to_array(self.integers)
        scale = numpy_helper.to_array(self.scale)
        wanted = steps * scale.astype(np.float64) + by.reshape(steps.shape)
        scale = (scale * factors.reshape(-1)[: scale.size].reshape(scale.shape)).astype(np.float32)
        limits = np.iinfo(np.int32)
        new = np.clip(np.rint(wanted / scale), limits.min, limits.max).astype(np.int32)
        _store(self.integers, new)
        _store(self.scale, scale)


@dataclass(frozen=True)
class _Layer:
    """An operator that reads a kernel.

    Attributes:
        input: what it multiplies it with; None if that cannot be looked at.
        bias: None if it has none in integers.
    """

    input: LayerInput | None
    bias: _Bias | None


@dataclass(frozen=True)
class _Kernel:
    """Constant int8 weights, by name of their tensor, and who reads them.

    Attributes:
        op, groups, transposed: as `edgekit.formats.onnx_pairs` takes them.
        integers, scale: tensors of the proto.
        weights: in float, of the shape of the integers.
    """

    op: str
    groups: int
    transposed: bool
    integers: Any
    scale: Any
    weights: NDArray[np.float32]
    layers: list[_Layer] = field(default_factory=list)

    def make_safe(self, rows: dict[LayerInput, NDArray[np.float32]]) -> None:
        """Write integers and scales that are pair-safe, and shift the biases."""
        numpy_helper = require("onnx.numpy_helper", "export", _PURPOSE)
        before = numpy_helper.to_array(self.integers)
        scales = numpy_helper.to_array(self.scale)
        old = Rounded(self._columns(before.astype(np.float32)), self._columns_of_scales(scales))
        wanted = self._columns(self.weights)
        seen = {layer: rows[layer] for layer in self.inputs if layer in rows}
        means = {layer: drawn.mean(1) for layer, drawn in seen.items()}
        # Where biases make up for the mean, what it changes by does not count.
        biased = all(layer.bias for layer in self.layers)
        about = [mean if biased else 0 * mean for mean in means.values()]
        made = pair_safe(wanted, old, _joined(seen.values(), about), self._together(scales))
        _store(self.integers, self._back(made.integers, before.shape).astype(np.int8))
        # Where outputs share scales, those come again and again.
        _store(self.scale, made.scales.reshape(-1)[: scales.size].reshape(scales.shape))
        factors = (made.scales / old.scales).astype(np.float64)
        short = wanted - made.integers.astype(np.float64) * made.scales
        changed = (made.integers != old.integers).any((0, 1)) | (factors != 1).any((0, 1))
        for layer in self.layers:
            if layer.bias:
                mean = means.get(layer.input) if layer.input else None
                by = 0 if mean is None else np.einsum("gk,gkn->gn", mean, short) * changed
                layer.bias.shift(np.broadcast_to(by, factors[:, 0].shape), factors)

    @property
    def inputs(self) -> list[LayerInput]:
        """What its readers multiply it with, each once, as far as it can be looked at."""
        return list(dict.fromkeys(layer.input for layer in self.layers if layer.input))

    @property
    def count(self) -> int:
        """How many weights are summed over, in a group."""
        return int(self._columns(self.weights).shape[1])

    def distance(self) -> float:
        """How far the integers are from the weights in float."""
        numpy_helper = require("onnx.numpy_helper", "export", _PURPOSE)
        integers = self._columns(numpy_helper.to_array(self.integers).astype(np.float32))
        scales = self._columns_of_scales(numpy_helper.to_array(self.scale))
        return float(np.abs(integers * scales - self._columns(self.weights)).max())

    def _columns(self, values: NDArray[Any]) -> Any:
        return to_columns(self.op, values, self.groups, self.transposed)

    def _columns_of_scales(self, scales: NDArray[np.float32]) -> Any:
        groups, _, outputs = self._columns(self.weights).shape
        return np.resize(scales, groups * outputs).reshape(groups, 1, outputs)

    def _together(self, scales: NDArray[np.float32]) -> NDArray[np.intp] | None:
        """Which outputs have one scale: all, or those of each matrix of a stack at one place."""
        groups, _, outputs = self._columns(self.weights).shape
        return None if scales.size == groups * outputs else np.arange(outputs) % scales.size

    def _back(self, columns: NDArray[Any], shape: tuple[int, ...]) -> Any:
        return from_columns(self.op, columns, shape, self.transposed)


def _joined(
    rows: Iterable[NDArray[np.float32]], means: Iterable[NDArray[np.float32]]
) -> list[NDArray[np.float64]]:
    """The moments that count for all readers of a kernel, each about its mean."""
    known = [moments(seen, mean) for seen, mean in zip(rows, means, strict=True)]
    return [sum(parts) for parts in zip(*known, strict=True)]


def _kernels(proto: Any, plain: Any) -> list[_Kernel]:
    """The constant weights of operators that may saturate."""
    numpy_helper = require("onnx.numpy_helper", "export", _PURPOSE)
    names = {each.tensor for each in saturating(proto.SerializeToString()) if each.cured}
    floats = {t.name: t for graph in _graphs(plain.graph) for t in graph.initializer}
    tensors = {t.name: t for graph in _graphs(proto.graph) for t in graph.initializer}
    makers = {o: n for graph in _graphs(proto.graph) for n in graph.node for o in n.output}
    found: dict[str, _Kernel] = {}
    for graph in _graphs(proto.graph):
        for node in graph.node:
            if not names.intersection(node.output):
                continue
            for i in _WEIGHTS.get(node.op_type, (1,)):
                name = node.input[i]
                name = makers[name].input[0] if name in makers else name
                if name not in found:
                    plainly = name.removesuffix(_INTEGERS)
                    scale = tensors[plainly + _SCALE]
                    weights = numpy_helper.to_array(floats[plainly.removesuffix(_TURNED)])
                    found[name] = _kernel(node, tensors[name], scale, weights)
                inside = graph is proto.graph
                found[name].layers.append(_layer(node, found[name], makers, tensors, inside))
    return list(found.values())


def _kernel(node: Any, integers: Any, scale: Any, weights: NDArray[np.float32]) -> _Kernel:
    """The kernel that `node` reads; `weights` may be the transpose of its integers."""
    numbers = {attribute.name: attribute.i for attribute in node.attribute}
    made = _Kernel(
        node.op_type,
        numbers.get("group", 1),
        bool(numbers.get("transB", 0)),
        integers,
        scale,
        weights.reshape(integers.dims),
    )
    # The quantiser transposes some on its way.
    turned = np.swapaxes(weights, -1, -2)
    if node.op_type not in CONVOLUTIONS and turned.shape == tuple(integers.dims):
        return min((made, replace(made, weights=turned)), key=_Kernel.distance)
    return made


def _layer(
    node: Any, kernel: _Kernel, makers: dict[str, Any], tensors: dict[str, Any], inside: bool
) -> _Layer:
    """A reader of a kernel; its input can be looked at where it is `inside` of the main graph."""
    bias = None
    given = node.input[2] if node.op_type in ("Conv", "Gemm") and len(node.input) > 2 else ""
    maker = makers.get(given)
    if maker is not None and maker.input[0] in tensors and maker.input[1] in tensors:
        bias = _Bias(tensors[maker.input[0]], tensors[maker.input[1]])
    return _Layer(_input(node, kernel) if inside else None, bias)


def _input(node: Any, kernel: _Kernel) -> LayerInput | None:
    helper = require("onnx.helper", "export", _PURPOSE)
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    count = kernel.count
    if node.op_type not in CONVOLUTIONS:
        turned = attributes.get("transA", 0)
        return None if turned else LayerInput(node.input[0], count)
    size = tuple(kernel.integers.dims[2:])
    ones = (1,) * len(size)
    strides = tuple(attributes.get("strides", ones))
    dilations = tuple(attributes.get("dilations", ones))
    pads = tuple(attributes.get("pads", (0,) * (2 * len(size))))
    before, after = pads[: len(size)], pads[len(size) :]
    automatic = attributes.get("auto_pad", b"NOTSET").decode()
    window = Window(kernel.groups, size, strides, dilations, before, after, automatic)
    return LayerInput(node.input[0], count, window)


def _graphs(graph: Any) -> Iterator[Any]:
    yield graph
    for node in graph.node:
        for body in bodies(node):
            yield from _graphs(body)


def _store(tensor: Any, values: NDArray[Any]) -> None:
    numpy_helper = require("onnx.numpy_helper", "export", _PURPOSE)
    tensor.CopyFrom(numpy_helper.from_array(np.asarray(values, order="C"), tensor.name))
