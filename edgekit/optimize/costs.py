"""Costs: what an inference of a Keras model takes, counted from its layers' shapes."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from edgekit.optimize.graph import Call, Graph


@dataclass(frozen=True)
class Costs:
    """Attributes:
    macs: multiply-accumulates of the convolutions and dense layers, one sample.
    parameters: values in all weights.
    """

    macs: int
    parameters: int

    def to_json(self) -> dict[str, int]:
        return asdict(self)


def costs_of(graph: Graph) -> Costs:
    """The costs of a model. Dynamic dimensions count as one."""
    layers = {id(call.layer): call.layer for call in graph.calls}
    parameters = sum(
        int(layer.count_params()) for layer in layers.values() if hasattr(layer, "count_params")
    )
    return Costs(sum(_macs(call) for call in graph.calls), parameters)


def _macs(call: Call) -> int:
    kernels: list[Any] = [
        kernel
        for name in ("kernel", "depthwise_kernel", "pointwise_kernel")
        if (kernel := getattr(call.layer, name, None)) is not None
    ]
    if not kernels or not call.inputs or len(call.output_shapes[0]) < 2:
        return 0
    # A transposed convolution touches its kernel once for each place of its input.
    turned = call.kind.endswith("Transpose")
    shape = call.input_shapes[0] if turned else call.output_shapes[0]
    places = math.prod(n or 1 for n in shape[1:-1])
    return sum(places * math.prod(kernel.shape) for kernel in kernels)
