"""Network: a model file as operators that can be run one by one, on float values, whatever its format.

What flows is a *value*: the float tensor that a number of stored tensors stand for. Operators that only
turn floats into integers, and back, are no nodes of a network: they are the grids of its values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Values = dict[str, Array]

_DEPTHWISE = "DEPTHWISE_CONV_2D"
# Operators whose second input is a kernel.
WEIGHTED = frozenset({"CONV_2D", _DEPTHWISE, "FULLY_CONNECTED", "TRANSPOSE_CONV", "CONV_3D"})


@dataclass(frozen=True)
class Grid:
    """Integers that stand for float values: ``scale * (q - zero)``.

    Attributes:
        key: of the tensor that has it.
        dtype: of the integers.
        scale: one positive value.
        zero: which integer stands for 0.
    """

    key: str
    dtype: str
    scale: float
    zero: int

    @property
    def ends(self) -> tuple[float, float]:
        """The lowest and the highest value that it expresses."""
        info = np.iinfo(self.dtype)
        return (info.min - self.zero) * self.scale, (info.max - self.zero) * self.scale

    def steps(self, x: Array) -> Array:
        """Float values as integers, cut to what they hold."""
        info = np.iinfo(self.dtype)
        q = np.rint(x.astype(np.float64) / self.scale) + self.zero
        cut: Array = np.clip(q, info.min, info.max).astype(self.dtype)
        return cut

    def values(self, q: Array) -> Array:
        """Integers as the float32 values that they stand for."""
        return ((q.astype(np.float64) - self.zero) * self.scale).astype(np.float32)

    def rounded(self, x: Array) -> Array:
        """Float values as they come back from the integers."""
        return self.values(self.steps(x))


@dataclass(frozen=True, eq=False)
class Constant:
    """What an operator reads that the file holds.

    Attributes:
        slot: which of its inputs.
        key: of the tensor; equal for one that several operators read.
        values: float values, in the file's order of axes.
        dtype: that they are stored in.
        scales: one, or one a channel along `axis`; none of floats.
        axis: of the scales.
    """

    slot: int
    key: str
    values: Array
    dtype: str
    scales: Array
    axis: int


@dataclass(frozen=True, eq=False)
class Node:
    """An operator that computes.

    Attributes:
        at: its number, in the order in which operators run.
        op: its name, by TFLite's for operators that both formats have.
        name: of the tensor that it gives, as the file has it.
        takes, gives: the values that it reads and makes; no constants.
        constants: what else it reads.
        dtype: that it computes in: of the tensor that it gives.
        alone: whether it can be run by itself: nothing is kept in it from one inference to the next.
    """

    at: int
    op: str
    name: str
    takes: tuple[str, ...]
    gives: tuple[str, ...]
    constants: tuple[Constant, ...]
    dtype: str
    alone: bool = True

    @property
    def weights(self) -> Constant | None:
        """The kernel of a layer that multiplies with one."""
        return next((c for c in self.constants if c.slot == 1 and self.op in WEIGHTED), None)

    @property
    def bias(self) -> Constant | None:
        """What such a layer adds."""
        return next((c for c in self.constants if c.slot == 2 and self.op in WEIGHTED), None)


class Network(Protocol):
    """A file.

    Attributes:
        format: ``"tflite"`` or ``"onnx"``.
        nodes: in the order in which they run.
        inputs, outputs: values by the names that callers use.
        grids: of each value that is held in integers, the grids it goes through, in that order.
        batch: samples an inference.
    """

    format: str
    nodes: Sequence[Node]
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    grids: Mapping[str, Sequence[Grid]]
    batch: int

    def run(self, inputs: Values) -> Values:
        """Every value of one batch, as the whole file computes it; `inputs` by the callers' names."""
        ...

    def alone(
        self, node: Node, given: Sequence[Array], constants: Mapping[int, Array] | None = None
    ) -> list[Array]:
        """What one operator makes of float values.

        Args:
            node: one of `nodes`.
            given: what it takes, of one batch; rounded to the grids of an integer file.
            constants: float values in place of those of its constants, by their slot; of float files.
        """
        ...


def kernel_rows(node: Node, format: str) -> Array | None:
    """A layer's kernel as (outputs, weights summed over), in one order for both formats.

    That order is height, width, input channel. None for what is no kernel.
    """
    weights = node.weights
    if weights is None:
        return None
    w = weights.values
    if w.ndim == 4 and format == "onnx":
        # (outputs, inputs, height, width); of a transposed convolution the first two are swapped.
        w = w.transpose(1, 2, 3, 0) if node.op == "TRANSPOSE_CONV" else w.transpose(0, 2, 3, 1)
    elif w.ndim == 4 and node.op == _DEPTHWISE:
        w = np.moveaxis(w, -1, 0)
    return w.reshape(len(w), -1)


def channel_axis(node: Node, format: str) -> int:
    """The axis of a kernel that its outputs lie along."""
    weights = node.weights
    assert weights is not None
    if format == "onnx" and node.op == "TRANSPOSE_CONV":
        return 1
    return weights.values.ndim - 1 if format == "tflite" and node.op == _DEPTHWISE else 0
