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
from edgekit.samples import Samples


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


def half_of(content: bytes) -> set[str]:
    """The operators of a file that compute in half precision."""
    proto = onnx.shape_inference.infer_shapes(onnx.load_from_string(content))
    types = {v.name: v.type.tensor_type.elem_type for v in proto.graph.value_info}
    types |= {v.name: v.type.tensor_type.elem_type for v in proto.graph.output}
    return {
        node.op_type
        for node in proto.graph.node
        if node.op_type != "Cast" and types[node.output[0]] == TensorProto.FLOAT16
    }


def normalising(mean: float, scale: float) -> bytes:
    return file(
        [
            helper.make_node("Sub", ["x", "mean"], ["centred"]),
            helper.make_node("Mul", ["centred", "scale"], ["normal"]),
            helper.make_node("MatMul", ["normal", "kernel"], ["sums"]),
            helper.make_node("Relu", ["sums"], ["y"]),
        ],
        (1, 4),
        (1, 3),
        mean=np.full(4, mean, np.float32),
        scale=np.full(4, scale, np.float32),
        kernel=np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32),
    )


@pytest.mark.parametrize(
    ("mean", "sd"),
    # Too large to be held; too large once; and a year, of which half precision holds every second one.
    [(2e5, 5e4), (0, 3e4), (2000, 5)],
)
def test_inputs_that_half_precision_does_not_hold_are_normalised_before(
    mean: float, sd: float
) -> None:
    content = normalising(mean, 1 / sd)
    x = (np.random.default_rng(1).standard_normal((50, 4)) * sd + mean).astype(np.float32)
    half = float16_onnx(content, Samples({"x": x}))
    assert half_of(half) >= {"MatMul", "Relu"}
    assert "Sub" not in half_of(half)
    for row in x[:, None]:
        np.testing.assert_allclose(run(half, row), run(content, row), atol=0.02)


def test_a_constant_tells_of_large_inputs_where_there_are_no_samples() -> None:
    content = normalising(2e5, 1 / 5e4)
    assert half_of(float16_onnx(content)) == {"MatMul", "Relu"}
    assert half_of(float16_onnx(normalising(0.5, 2))) == {"Sub", "Mul", "MatMul", "Relu"}


def test_what_fits_into_half_precision_computes_in_it() -> None:
    content = normalising(0.5, 2)
    x = np.random.default_rng(1).random((50, 4)).astype(np.float32)
    assert float16_onnx(content, Samples({"x": x})) == float16_onnx(content)


def test_sums_that_are_too_large_inside_stay_real() -> None:
    content = file(
        [
            helper.make_node("MatMul", ["x", "kernel"], ["sums"]),
            helper.make_node("Log", ["sums"], ["logs"]),
            helper.make_node("MatMul", ["logs", "last"], ["y"]),
        ],
        (1, 4),
        (1, 3),
        kernel=np.full((4, 3), 3e4, np.float32),
        last=np.eye(3, dtype=np.float32),
    )
    x = np.random.default_rng(1).random((20, 4)).astype(np.float32) + 1
    half = float16_onnx(content, Samples({"x": x}))
    np.testing.assert_allclose(run(half, x[:1]), run(content, x[:1]), rtol=1e-3)
    assert {"Log"} & half_of(half) == set()


def test_small_constants_count_where_they_multiply_and_not_where_they_are_added() -> None:
    small = np.random.default_rng(0).uniform(1e-7, 3e-7, (4, 3)).astype(np.float32)
    for op, stays in (("MatMul", True), ("Add", False)):
        made = file(
            [helper.make_node(op, ["x", "small"], ["z"]), helper.make_node("Relu", ["z"], ["y"])],
            (4, 4) if op == "MatMul" else (4, 3),
            (4, 3),
            small=small,
        )
        assert half_of(float16_onnx(made)) == ({"Relu"} if stays else {"Add", "Relu"})


@pytest.mark.parametrize("op", ["RandomNormal", "RandomUniform"])
def test_random_numbers_stay_float32_and_the_file_loads(op: str) -> None:
    """onnxruntime draws in float32 alone, and puts no casts around what has no inputs."""
    content = file(
        [
            helper.make_node(op, [], ["noise"], shape=[2, 3], seed=1.0),
            helper.make_node("Mul", ["noise", "little"], ["quiet"]),
            helper.make_node("Add", ["x", "quiet"], ["y"]),
        ],
        (2, 3),
        (2, 3),
        little=np.float32(1e-3),
    )
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert np.abs(run(float16_onnx(content), x) - x).max() < 0.01
