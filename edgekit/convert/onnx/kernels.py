"""Kernels of a QDQ model: weights in integers, what they were in float, and the operators that read them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.calibration.windows import Window
from edgekit.convert.onnx.canonical import bodies
from edgekit.convert.onnx.layer_inputs import LayerInput
from edgekit.errors import require
from edgekit.formats.onnx_pairs import CONVOLUTIONS, from_columns, to_columns

_PURPOSE = "Quantising an ONNX file"
# What onnxruntime's quantiser calls the integers of a constant, their scale, and its transpose.
_INTEGERS, _SCALE, _TURNED = "_quantized", "_scale", "_Transposed"
# Which inputs are weights, but for the second.
_WEIGHTS = {"DynamicQuantizeLSTM": (1, 2)}


@dataclass(frozen=True)
class Bias:
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
        self.write(wanted, scale)

    def write(self, values: NDArray[np.float64], scale: NDArray[np.float32]) -> None:
        """Put values in float, (outputs,) or of the shape of the integers, in steps of `scale`."""
        numpy_helper = require("onnx.numpy_helper", "export", _PURPOSE)
        shape, shape_of_scale = (
            numpy_helper.to_array(each).shape for each in (self.integers, self.scale)
        )
        limits = np.iinfo(np.int32)
        new = np.clip(
            np.rint(values.ravel() / scale.ravel().astype(np.float64)), limits.min, limits.max
        )
        store(self.integers, new.reshape(shape).astype(np.int32))
        store(self.scale, scale.reshape(shape_of_scale))


@dataclass(frozen=True)
class Reader:
    """An operator that reads a kernel.

    Attributes:
        node: the operator.
        input: what it multiplies it with; None if that cannot be looked at.
        bias: None if it has none in integers.
    """

    node: Any
    input: LayerInput | None
    bias: Bias | None


@dataclass(frozen=True)
class Kernel:
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
    readers: list[Reader] = field(default_factory=list)

    @property
    def inputs(self) -> list[LayerInput]:
        """What its readers multiply it with, each once, as far as it can be looked at."""
        return list(dict.fromkeys(reader.input for reader in self.readers if reader.input))

    @property
    def count(self) -> int:
        """How many weights are summed over, in a group."""
        return int(self.columns(self.weights).shape[1])

    def distance(self) -> float:
        """How far the integers are from the weights in float."""
        numpy_helper = require("onnx.numpy_helper", "export", _PURPOSE)
        integers = self.columns(numpy_helper.to_array(self.integers).astype(np.float32))
        scales = self.columns_of_scales(numpy_helper.to_array(self.scale))
        return float(np.abs(integers * scales - self.columns(self.weights)).max())

    def columns(self, values: NDArray[Any]) -> Any:
        return to_columns(self.op, values, self.groups, self.transposed)

    def columns_of_scales(self, scales: NDArray[np.float32]) -> Any:
        groups, _, outputs = self.columns(self.weights).shape
        return np.resize(scales, groups * outputs).reshape(groups, 1, outputs)

    def together(self, scales: NDArray[np.float32]) -> NDArray[np.intp] | None:
        """Which outputs have one scale: all, or those of each matrix of a stack at one place."""
        groups, _, outputs = self.columns(self.weights).shape
        return None if scales.size == groups * outputs else np.arange(outputs) % scales.size

    def back(self, columns: NDArray[Any], shape: tuple[int, ...]) -> Any:
        return from_columns(self.op, columns, shape, self.transposed)


def kernels_of(proto: Any, plain: Any, wanted: Callable[[Any], bool]) -> list[Kernel]:
    """The constant weights of operators.

    Args:
        proto: a ModelProto of integers as onnxruntime's quantiser gives it.
        plain: the float one that it was made of.
        wanted: of which nodes.
    """
    numpy_helper = require("onnx.numpy_helper", "export", _PURPOSE)
    floats = {t.name: t for graph in _graphs(plain.graph) for t in graph.initializer}
    tensors = {t.name: t for graph in _graphs(proto.graph) for t in graph.initializer}
    makers = {o: n for graph in _graphs(proto.graph) for n in graph.node for o in n.output}
    found: dict[str, Kernel] = {}
    for graph in _graphs(proto.graph):
        for node in graph.node:
            if not wanted(node):
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
                found[name].readers.append(_reader(node, found[name], makers, tensors, inside))
    return list(found.values())


def _kernel(node: Any, integers: Any, scale: Any, weights: NDArray[np.float32]) -> Kernel:
    """The kernel that `node` reads; `weights` may be the transpose of its integers."""
    numbers = {attribute.name: attribute.i for attribute in node.attribute}
    made = Kernel(
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
        return min((made, replace(made, weights=turned)), key=Kernel.distance)
    return made


def _reader(
    node: Any, kernel: Kernel, makers: dict[str, Any], tensors: dict[str, Any], inside: bool
) -> Reader:
    """A reader of a kernel; its input can be looked at where it is `inside` of the main graph."""
    bias = None
    given = node.input[2] if node.op_type in ("Conv", "Gemm") and len(node.input) > 2 else ""
    maker = makers.get(given)
    # What makes it may take one input or none, and is no DequantizeLinear of constants then.
    held = [tensors.get(name) for name in maker.input[:2]] if maker is not None else []
    if len(held) == 2 and None not in held:
        bias = Bias(*held)
    return Reader(node, _input(node, kernel) if inside else None, bias)


def _input(node: Any, kernel: Kernel) -> LayerInput | None:
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


def store(tensor: Any, values: NDArray[Any]) -> None:
    numpy_helper = require("onnx.numpy_helper", "export", _PURPOSE)
    tensor.CopyFrom(numpy_helper.from_array(np.asarray(values, order="C"), tensor.name))
