"""The dtype that operators of an ONNX file compute in, as its tensors say."""

from __future__ import annotations

from typing import Any

import numpy as np
from support import needs

from edgekit.formats.model_file import read_model
from edgekit.inspection.inspect import operators_of

onnx = needs.package("onnx")


def counts(nodes: list[Any], weights: dict[str, Any], dtype: int = 1) -> dict[str, dict[str, int]]:
    """Of a graph from `x` to `y`, both of shape (1, 4)."""
    make = onnx.helper
    ends = [[make.make_tensor_value_info(name, dtype, [1, 4])] for name in "xy"]
    held = [onnx.numpy_helper.from_array(values, name) for name, values in weights.items()]
    proto = make.make_model(make.make_graph(nodes, "g", *ends, held))
    return operators_of(read_model(proto.SerializeToString(), "onnx"), None).counts


SCALE, ZERO = np.array(0.1, np.float32), np.array(0, np.int8)
KERNEL = np.ones((4, 4), np.int8)
node = onnx.helper.make_node


def test_half_precision() -> None:
    kernel = KERNEL.astype(np.float16)
    assert counts([node("MatMul", ["x", "w"], ["y"])], {"w": kernel}, 10) == {
        "float16": {"MatMul": 1}
    }


def test_integer_kernels() -> None:
    found = counts(
        [
            node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
            node("MatMulInteger", ["q", "w", "z"], ["i"]),
            node("Cast", ["i"], ["f"], to=1),
            node("Mul", ["f", "s"], ["y"]),
        ],
        {"w": KERNEL},
    )
    assert found["int8"]["MatMulInteger"] == 1
    assert "Mul" in found["float32"]


def test_integers_beside_float_values_are_no_integer_kernel() -> None:
    weights = {"w": KERNEL, "s": SCALE, "z": ZERO, "f": KERNEL.astype(np.float32)}
    restored = node("DequantizeLinear", ["w", "s", "z"], ["k"])
    rounded = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        node("DequantizeLinear", ["q", "s", "z"], ["r"]),
    ]
    real = {"MatMul": 1}
    assert counts([restored, node("MatMul", ["x", "k"], ["y"])], weights)["float32"] == real
    assert counts([*rounded, node("MatMul", ["r", "f"], ["y"])], weights)["float32"] == real
    whole = counts([*rounded, restored, node("MatMul", ["r", "k"], ["y"])], weights)
    assert whole["int8"]["MatMul"] == 1
