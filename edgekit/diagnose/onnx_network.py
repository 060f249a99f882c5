"""An .onnx file as a network: onnxruntime gives inner tensors as outputs, and runs single operators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgekit.convert.onnx.path import OnnxPath
from edgekit.diagnose.network import Array, Constant, Grid, Node, Values
from edgekit.errors import ArtifactError, one_line, require
from edgekit.formats.more_outputs import onnx_with_outputs
from edgekit.runtime.onnx_session import open_session

_PURPOSE = "Looking into an ONNX file"
_QUANTIZE, _DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"
_NOT_ALONE = frozenset({"If", "Loop", "Scan"})
_NAMES = {
    "Add": "ADD",
    "AveragePool": "AVERAGE_POOL_2D",
    "Concat": "CONCATENATION",
    "Conv": "CONV_2D",
    "ConvTranspose": "TRANSPOSE_CONV",
    "Div": "DIV",
    "Gemm": "FULLY_CONNECTED",
    "GlobalAveragePool": "MEAN",
    "LeakyRelu": "LEAKY_RELU",
    "MatMul": "FULLY_CONNECTED",
    "MaxPool": "MAX_POOL_2D",
    "Mul": "MUL",
    "Pad": "PAD",
    "ReduceMean": "MEAN",
    "Relu": "RELU",
    "Reshape": "RESHAPE",
    "Sigmoid": "LOGISTIC",
    "Softmax": "SOFTMAX",
    "Sub": "SUB",
    "Tanh": "TANH",
    "Transpose": "TRANSPOSE",
}


class OnnxNetwork:
    """`edgekit.diagnose.network.Network`.

    Args:
        content: the whole file, its weights included.

    Raises:
        ArtifactError: it is damaged, or onnxruntime does not run it.
    """

    format = "onnx"

    def __init__(self, content: bytes) -> None:
        onnx = require("onnx", "export", _PURPOSE)
        self._to_array = onnx.numpy_helper.to_array
        self._from_array = onnx.numpy_helper.from_array
        try:
            self.proto: Any = onnx.load_from_string(content)
        except Exception as error:
            raise ArtifactError(f"not a whole ONNX file: {one_line(error)}") from error
        graph = self.proto.graph
        self._held = {tensor.name: tensor for tensor in graph.initializer}
        self._steps = OnnxPath(self.proto)
        self._values: dict[str, str] = {}
        grids: dict[str, list[Grid]] = {}
        self._grids_of: dict[str, Grid] = {}
        nodes: list[Node] = []
        self._own: list[Any] = []
        self._made = {name: node for node in self._steps.nodes for name in node.output if name}
        given = [value for value in graph.input if value.name not in self._held]
        for value in given:
            self._values[value.name] = value.name
        for node in self._steps.nodes:
            source = node.input[0] if node.input else ""
            if node.op_type in (_QUANTIZE, _DEQUANTIZE) and source in self._values:
                self._bridge(node, source, grids)
                continue
            reads = [name for name in node.input if name in self._values]
            if not reads:
                continue
            for name in filter(None, node.output):
                self._values[name] = name
            constants = [
                found
                for slot, name in enumerate(node.input)
                if name and (found := self._constant(node, slot, name)) is not None
            ]
            self._own.append(node)
            nodes.append(
                Node(
                    len(nodes),
                    _common(node, constants),
                    node.output[0],
                    tuple(self._values[name] for name in reads),
                    tuple(self._values[name] for name in node.output if name),
                    tuple(constants),
                    "float32",
                    node.op_type not in _NOT_ALONE,
                )
            )
        self.grids: Mapping[str, Sequence[Grid]] = grids
        self.nodes: Sequence[Node] = [
            Node(n.at, n.op, n.name, n.takes, n.gives, n.constants, self._dtype(n), n.alone)
            for n in nodes
        ]
        self.inputs: Mapping[str, str] = {value.name: value.name for value in given}
        self.outputs: Mapping[str, str] = {
            value.name: self._values[value.name]
            for value in graph.output
            if value.name in self._values
        }
        first = given[0].type.tensor_type.shape.dim[0] if given else None
        self.batch = (first.dim_value if first is not None else 0) or 1
        self._types = {
            value.name: onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
            for value in given
        }
        self._session, self._shown = self._open(content)
        self._parts: dict[int, Any] = {}
        self._changed: tuple[Mapping[int, Array], Any] | None = None

    def run(self, inputs: Values) -> Values:
        feed = {n: inputs[n].astype(dtype, copy=False) for n, dtype in self._types.items()}
        found = {self._values[name]: feed[name] for name in feed}
        names = list(self._shown.values())
        made = self._session.run(names, feed) if names else []
        for value, name, x in zip(self._shown, names, made, strict=True):
            grid = self._grids_of.get(name)
            found[value] = grid.values(x) if grid else x
        return found

    def alone(
        self, node: Node, given: Sequence[Array], constants: Mapping[int, Array] | None = None
    ) -> list[Array]:
        own = self._own[node.at]
        reads = [name for name in own.input if name in self._values]
        sources = [self._source(name) for name in reads]
        taken = {}
        for source, x in zip(sources, given, strict=True):
            grid = self._grids_of.get(source)
            taken[source] = grid.steps(x) if grid else x
        outputs = [name for name in own.output if name]
        made = self._part(node, own, tuple(taken), outputs, constants)(list(taken.values()))
        found = []
        for name, x in zip(outputs, made, strict=True):
            first = next(iter(self.grids.get(self._values[name], ())), None)
            found.append(first.rounded(x) if first else np.array(x))
        return found

    def _part(
        self,
        node: Node,
        own: Any,
        reads: Sequence[str],
        outputs: Sequence[str],
        constants: Mapping[int, Array] | None,
    ) -> Any:
        number = self._steps.numbers[own.output[0]]
        if constants and self._changed is not None and self._changed[0] is constants:
            # Asked for one inference after the other with the same ones.
            return self._changed[1]
        if constants:
            proto = type(self.proto)()
            proto.CopyFrom(self.proto)
            turned = _turned(own)
            changed = {
                own.input[slot]: x.T if turned and slot == 1 else x for slot, x in constants.items()
            }
            for tensor in proto.graph.initializer:
                if tensor.name in changed:
                    kind = self._to_array(tensor).dtype
                    new = self._from_array(changed[tensor.name].astype(kind), tensor.name)
                    tensor.CopyFrom(new)
            part = OnnxPath(proto).path.open(range(number, number + 1), reads, outputs)
            self._changed = constants, part
            return part
        if node.at not in self._parts:
            self._parts[node.at] = self._steps.path.open(range(number, number + 1), reads, outputs)
        return self._parts[node.at]

    def _bridge(self, node: Any, source: str, grids: dict[str, list[Grid]]) -> None:
        value = self._values[source]
        self._values[node.output[0]] = value
        if node.op_type != _QUANTIZE:
            return
        scale = self._number(node.input[1])
        zero = self._number(node.input[2]) if len(node.input) > 2 and node.input[2] else None
        if scale is None or scale.size != 1:
            return
        dtype = "uint8" if zero is None else zero.dtype.name
        if dtype not in ("int8", "uint8", "int16", "uint16"):
            return
        offset = 0 if zero is None else int(zero.ravel()[0])
        grid = Grid(node.output[0], dtype, float(scale.ravel()[0]), offset)
        self._grids_of[node.output[0]] = grid
        grids.setdefault(value, []).append(grid)

    def _source(self, name: str) -> str:
        """What a part takes for a tensor: the integers, where it only makes floats of them."""
        node = self._made.get(name)
        return node.input[0] if node is not None and node.op_type == _DEQUANTIZE else name

    def _number(self, name: str) -> Array | None:
        tensor = self._held.get(name)
        return None if tensor is None else self._to_array(tensor)

    def _constant(self, node: Any, slot: int, name: str) -> Constant | None:
        scales, axis, dtype = np.zeros(0), 0, ""
        values = self._number(name)
        key = name
        made = self._made.get(name)
        if values is None and made is not None and made.op_type == _DEQUANTIZE:
            stored, scale = self._number(made.input[0]), self._number(made.input[1])
            if stored is None or scale is None or scale.ndim > 1:
                return None
            zero = self._number(made.input[2]) if len(made.input) > 2 else None
            zero = np.zeros_like(scale) if zero is None else zero
            axis = next((a.i for a in made.attribute if a.name == "axis"), 1)
            axis = axis % stored.ndim if stored.ndim else 0
            shape = [1] * stored.ndim
            if scale.size > 1:
                shape[axis] = -1
            values = (stored.astype(np.float64) - zero.astype(np.float64).reshape(shape)) * (
                scale.astype(np.float64).reshape(shape)
            )
            scales, dtype, key = scale.astype(np.float64).ravel(), stored.dtype.name, made.input[0]
        if values is None or values.dtype.kind not in "fiu":
            return None
        dtype = dtype or values.dtype.name
        if scales.size:
            values = values.astype(np.float32)
        if slot == 1 and values.ndim == 2 and _turned(node):
            # The outputs first, as everywhere else.
            return Constant(slot, key, values.T, dtype, scales, 1 - axis)
        return Constant(slot, key, values, dtype, scales, axis)

    def _dtype(self, node: Node) -> str:
        """Integers where what it takes and what it gives are of integers."""
        takes = [grids[-1].dtype for value in node.takes if (grids := self.grids.get(value))]
        gives = [grids[0].dtype for value in node.gives if (grids := self.grids.get(value))]
        return takes[0] if takes and gives else "float32"

    def _open(self, content: bytes) -> tuple[Any, dict[str, str]]:
        runtime = require("onnxruntime", "export", _PURPOSE)
        given = {value.name for value in self.proto.graph.input}
        own = [value.name for value in self.proto.graph.output]
        shown: dict[str, str] = {}
        for name, value in self._values.items():
            node = self._made.get(name)
            if name in given or node is None:
                continue
            if node.op_type == _QUANTIZE and name in self._grids_of:
                shown[value] = name if shown.get(value, "") not in self._grids_of else shown[value]
            elif value not in shown and node.op_type not in (_QUANTIZE, _DEQUANTIZE):
                shown[value] = name
        options = runtime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        wanted = [name for name in shown.values() if name not in own]
        try:
            return open_session(onnx_with_outputs(content, wanted), options), shown
        except Exception as error:
            raise ArtifactError(
                f"onnxruntime does not run it with every tensor as an output: {one_line(error)}"
            ) from error


def _common(node: Any, constants: Sequence[Constant]) -> str:
    """TFLite's name of what an operator does; a product of two computed matrices has none there."""
    name: str = _NAMES.get(node.op_type, node.op_type)
    kernel = next((c for c in constants if c.slot == 1), None)
    if name == "CONV_2D" and kernel is not None:
        groups = next((a.i for a in node.attribute if a.name == "group"), 1)
        if kernel.values.ndim == 5:
            return "CONV_3D"
        if groups > 1 and kernel.values.shape[1] == 1:
            return "DEPTHWISE_CONV_2D"
    if node.op_type == "MatMul" and (kernel is None or kernel.values.ndim != 2):
        return "BATCH_MATMUL"
    return name


def _turned(node: Any) -> bool:
    """Whether a product's kernel has its outputs last."""
    if node.op_type not in ("MatMul", "Gemm"):
        return False
    return not any(a.name == "transB" and a.i for a in node.attribute)
