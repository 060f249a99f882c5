"""Half precision: what ONNX has for float32 alone stays float32, and the file loads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from support.refusal_kinds import kind_of

from edgekit.convert.onnx.float16 import float16_onnx
from edgekit.errors import ExportError
from edgekit.runtime.onnx_session import open_session


def file(nodes: Sequence[Any], x: Sequence[int], y: Sequence[int], **constants: Any) -> bytes:
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("x", x), ("y", y))
    ]
    held = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


def run(content: bytes, x: Any) -> Any:
    session = open_session(content)
    return session.run(None, {"x": x})[0]


def test_an_operator_without_a_half_precision_form_stays_real() -> None:
    content = file(
        [
            helper.make_node("Mul", ["x", "two"], ["doubled"]),
            helper.make_node("IsInf", ["doubled"], ["endless"]),
            helper.make_node("Where", ["endless", "one", "doubled"], ["y"]),
        ],
        (2, 3),
        (2, 3),
        one=np.float32(1),
        two=np.float32(2),
    )
    half = float16_onnx(content)
    x = np.array([[1, 2, np.inf], [-np.inf, 0.5, 0]], np.float32)
    np.testing.assert_array_equal(run(half, x), run(content, x))
    held = [tensor.data_type for tensor in onnx.load_from_string(half).graph.initializer]
    assert TensorProto.FLOAT16 in held


def test_sizes_of_a_resize_stay_the_only_ones() -> None:
    """tf2onnx gives one tensor of no values as region and as scales."""
    content = file(
        [
            helper.make_node("Resize", ["x", "none", "none", "sizes"], ["big"], mode="linear"),
            helper.make_node("Add", ["big", "one"], ["y"]),
        ],
        (1, 1, 2, 2),
        (1, 1, 4, 4),
        none=np.zeros(0, np.float32),
        sizes=np.array([1, 1, 4, 4]),
        one=np.float32(1),
    )
    x = np.arange(4, dtype=np.float32).reshape(1, 1, 2, 2)
    np.testing.assert_allclose(run(float16_onnx(content), x), run(content, x), atol=4e-3)


def test_an_output_that_is_a_constant_of_the_file() -> None:
    made = file(
        [
            helper.make_node("Add", ["x", "held"], ["sum"]),
            helper.make_node("Identity", ["held"], ["y"]),
        ],
        (3,),
        (3,),
        held=np.float32([1, 2, 3]),
    )
    model = onnx.load_from_string(made)
    # As tf2onnx writes it.
    del model.graph.node[1]
    model.graph.initializer[0].name = model.graph.node[0].input[1] = "y"
    half = float16_onnx(model.SerializeToString())
    np.testing.assert_array_equal(run(half, np.zeros(3, np.float32)), [1, 2, 3])


def test_what_stays_real_inside_a_branch_is_a_listed_reason() -> None:
    inner = [
        helper.make_graph(
            [helper.make_node(op, ["x", "one"], [op], name=f"gate/{op}_0")],
            op,
            [],
            [helper.make_tensor_value_info(op, TensorProto.FLOAT, (2, 3))],
        )
        for op in ("Max", "Min")
    ]
    content = file(
        [
            helper.make_node("ReduceMax", ["x"], ["most"], keepdims=0),
            helper.make_node("Greater", ["most", "one"], ["large"]),
            helper.make_node("If", ["large"], ["y"], then_branch=inner[0], else_branch=inner[1]),
        ],
        (2, 3),
        (2, 3),
        one=np.float32(1),
    )
    with pytest.raises(ExportError, match="layer 'gate': M") as caught:
        float16_onnx(content)
    assert kind_of(str(caught.value)) == "a body hides what stays in float"
