"""Editor: other scales, weights and biases for a quantised .tflite file, written where the old ones lie."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from edgekit.diagnose.network import WEIGHTED, Array, Grid
from edgekit.diagnose.tflite_network import grid_of
from edgekit.formats.tflite_check import read_file
from edgekit.formats.tflite_file import TfliteFile, TfliteTensor
from edgekit.formats.tflite_patch import BIASES, write_rounded

# Operators whose integer kernels hand integers on: what they take and give is on one grid.
SAME_SCALE = frozenset(
    [
        "AVERAGE_POOL_2D",
        "BATCH_TO_SPACE_ND",
        "CONCATENATION",
        "DEPTH_TO_SPACE",
        "EXPAND_DIMS",
        "GATHER",
        "MAX_POOL_2D",
        "MAXIMUM",
        "MINIMUM",
        "MIRROR_PAD",
        "PACK",
        "PAD",
        "PADV2",
        "RESHAPE",
        "RESIZE_BILINEAR",
        "RESIZE_NEAREST_NEIGHBOR",
        "REVERSE_V2",
        "SELECT",
        "SELECT_V2",
        "SLICE",
        "SPACE_TO_BATCH_ND",
        "SPACE_TO_DEPTH",
        "SPLIT",
        "SPLIT_V",
        "SQUEEZE",
        "STRIDED_SLICE",
        "TILE",
        "TRANSPOSE",
        "UNPACK",
    ]
)
# Operators whose output has the grid that the specification says.
FIXED = frozenset({"L2_NORMALIZATION", "LOGISTIC", "LOG_SOFTMAX", "SOFTMAX", "TANH"})
_SYMMETRIC = ("int16",)
_WEIGHTS = {"int8": "<i1", "int16": "<i2"}


class Editor:
    """A file in a bytearray.

    Args:
        content: of a file whose main graph is the first one.

    Raises:
        ArtifactError: it is damaged.
    """

    def __init__(self, content: bytes) -> None:
        self.file: TfliteFile = read_file(bytearray(content))
        self._graph = self.file.graphs[0]
        self._tensors: Sequence[TfliteTensor] = self._graph.tensors
        self._reads = Counter(
            self._tensors[i].buffer_index
            for operator in self._graph.operators
            for i in operator.inputs
            if i >= 0
        )

    @property
    def content(self) -> bytes:
        """The file as it is now."""
        return bytes(self.file.content)

    def groups(self) -> list[tuple[int, ...]]:
        """Computed tensors of integers, those that have to share one grid together; fixed ones are left out."""
        parent = {
            i: i for i, tensor in enumerate(self._tensors) if self._held(tensor) and self._free(i)
        }

        def root(i: int) -> int:
            while parent[i] != i:
                i = parent[i]
            return i

        for operator in self._graph.operators:
            if operator.op not in SAME_SCALE:
                continue
            ends = [i for i in (*operator.inputs, *operator.outputs) if i in parent]
            for a, b in itertools.pairwise(ends):
                if self.grid(a) == self.grid(b):
                    parent[root(a)] = root(b)
        found: dict[int, list[int]] = {}
        for i in parent:
            found.setdefault(root(i), []).append(i)
        fixed = {
            i
            for operator in self._graph.operators
            if operator.op in FIXED
            for i in operator.outputs
        }
        return [tuple(each) for each in found.values() if not fixed & set(each)]

    def grid(self, i: int) -> tuple[float, int] | None:
        """Scale and zero point of a tensor."""
        found = grid_of(self._tensors[i], str(i))
        return None if found is None else (found.scale, found.zero)

    def set_grid(self, group: Sequence[int], grid: Grid) -> None:
        """Give tensors another grid; biases of layers that read them keep their values."""
        content = self.file.content
        for i in group:
            tensor = self._tensors[i]
            before = float(tensor.scales.of(content)[0])
            tensor.scales.of(content)[0] = grid.scale
            if tensor.zero_points.count:
                tensor.zero_points.of(content)[0] = 0 if tensor.dtype in _SYMMETRIC else grid.zero
            times = float(tensor.scales.of(content)[0]) / before
            for operator in self._graph.operators:
                if operator.op in WEIGHTED and operator.inputs[0] == i:
                    self._rescale_bias(operator.inputs, times)

    def layers(self) -> Iterator[tuple[int, str]]:
        """Places of operators whose kernel and bias can be written, and the name of what each gives."""
        for place, operator in enumerate(self._graph.operators):
            if operator.op not in WEIGHTED or len(operator.inputs) < 2:
                continue
            kernel = self._tensors[operator.inputs[1]]
            own = self._reads[kernel.buffer_index] == 1
            if kernel.dtype in _WEIGHTS and own and not kernel.blockwise and kernel.scales.count:
                yield place, self._tensors[operator.outputs[0]].name

    def set_layer(self, place: int, kernel: Array, bias: Array | None) -> None:
        """Round float weights and a float bias into a layer; its scales are found anew.

        Args:
            place: of the operator.
            kernel: in the file's order of axes.
            bias: of as many values as the layer's; None to keep what it has.
        """
        operator, content = self._graph.operators[place], self.file.content
        tensor = self._tensors[operator.inputs[1]]
        stored = tensor.constant(_WEIGHTS[tensor.dtype])
        scales = tensor.scales.of(content)
        axes = (
            None if len(scales) == 1 else tuple(i for i in range(kernel.ndim) if i != tensor.axis)
        )
        largest = np.abs(kernel).max(axis=axes).ravel().astype(np.float64)
        step = self.grid(operator.inputs[0])
        least = np.zeros_like(largest)
        if bias is not None and step is not None:
            # A bias has to fit into 30 bits in steps of the product of both scales.
            size = np.abs(bias.astype(np.float64)).ravel()
            least = np.resize(size if len(scales) > 1 else size.max(), len(largest))
            least = least / (step[0] * 2**30)
        scales[:] = np.maximum(np.maximum(largest / 127, least), 1e-12)
        shape = [1] * kernel.ndim
        if len(scales) > 1:
            shape[tensor.axis] = -1
        write_rounded(
            (kernel / scales.astype(np.float64).reshape(shape)).ravel(), stored.of(content)
        )
        self._write_bias(operator.inputs, bias)

    def _write_bias(self, inputs: Sequence[int], bias: Array | None) -> None:
        if len(inputs) < 3 or inputs[2] < 0:
            return
        content, tensor = self.file.content, self._tensors[inputs[2]]
        if self._reads[tensor.buffer_index] != 1:
            return
        if tensor.dtype == "float32":
            if bias is not None:
                tensor.constant("<f4").of(content)[:] = bias.ravel()
            return
        step = self.grid(inputs[0])
        if tensor.dtype not in BIASES or step is None:
            return
        numbers, own = tensor.constant(BIASES[tensor.dtype]).of(content), tensor.scales.of(content)
        values = numbers * own.astype(np.float64) if bias is None else bias.ravel()
        kernel = self._tensors[inputs[1]].scales.of(content).astype(np.float64)
        own[:] = np.resize(step[0] * kernel, len(own))
        write_rounded(values / own.astype(np.float64), numbers)

    def _rescale_bias(self, inputs: Sequence[int], times: float) -> None:
        """A bias in steps that grew by `times`."""
        if len(inputs) < 3 or inputs[2] < 0:
            return
        content, tensor = self.file.content, self._tensors[inputs[2]]
        if tensor.dtype not in BIASES:
            return
        numbers = tensor.constant(BIASES[tensor.dtype]).of(content)
        write_rounded(numbers / times, numbers)
        tensor.scales.of(content)[:] *= np.float32(times)

    def _held(self, tensor: TfliteTensor) -> bool:
        """Whether it is an activation in integers."""
        return (
            not tensor.constant("u1").count
            and grid_of(tensor, "") is not None
            and tensor.scales.count == 1
        )

    def _free(self, i: int) -> bool:
        """Whether its numbers are its own: no other tensor's scales lie at the same bytes."""
        start = self._tensors[i].scales.start
        return sum(other.scales.start == start for other in self._tensors) == 1
