"""Arithmetic with one number moves behind a Reshape, and nothing else changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import needs

from edgekit.convert.onnx.canonical import make_canonical
from edgekit.convert.onnx.layout import reshape_first
from edgekit.runtime.onnx_session import open_session

onnx = needs.package("onnx")
needs.package("onnxruntime")

X = np.random.default_rng(0).normal(size=(1, 4, 3, 1)).astype(np.float32)


def model(steps: list[tuple[str, bool]], last: str = "Neg", also: tuple[str, ...] = ()) -> Any:
    """x (1, 4, 3, 1) -> operators with 1.7, whether first or second -> Reshape -> `last` -> y."""
    make = onnx.helper.make_node
    nodes, name = [], "x"
    for i, (op, first) in enumerate(steps):
        nodes.append(make(op, ["c", name] if first else [name, "c"], [f"a{i}"]))
        name = f"a{i}"
    nodes.append(make("Reshape", [name, "shape"], ["r"]))
    nodes.append(make(last, ["r"], ["y"]))
    value = onnx.helper.make_tensor_value_info
    ends = [
        value(n, onnx.TensorProto.FLOAT, X.shape if n == "a0" else (1, 1, 4, 3))
        for n in ("y", *also)
    ]
    constants = [
        onnx.numpy_helper.from_array(np.array(1.7, np.float32), "c"),
        # 0 stands for the axis as it was.
        onnx.numpy_helper.from_array(np.array([0, 1, -1, 3], np.int64), "shape"),
    ]
    known = [value(n, onnx.TensorProto.FLOAT, (1, 4, 3, 1)) for n in ("a0", "a1")[: len(steps)]]
    graph = onnx.helper.make_graph(
        nodes,
        "g",
        [value("x", onnx.TensorProto.FLOAT, X.shape)],
        ends,
        constants,
        value_info=[k for k in known if k.name not in also],
    )
    opset = [onnx.helper.make_opsetid("", 17)]
    return onnx.helper.make_model(graph, opset_imports=opset, ir_version=8)


def run(proto: Any) -> list[Any]:
    onnx.checker.check_model(proto, full_check=True)
    session = open_session(proto.SerializeToString())
    return list(session.run(None, {"x": X}))


def moved(proto: Any) -> list[str]:
    reshape_first(proto.graph)
    make_canonical(proto)
    return [node.op_type for node in proto.graph.node]


@given(
    st.lists(st.tuples(st.sampled_from(["Add", "Div", "Mul", "Sub"]), st.booleans()), max_size=4)
)
def test_the_reshape_comes_first_and_values_stay(steps: list[tuple[str, bool]]) -> None:
    proto = model(steps)
    (before,) = run(proto)
    assert moved(proto) == ["Reshape", *(op for op, _ in steps), "Neg"]
    np.testing.assert_array_equal(run(proto)[0], before)


@pytest.mark.parametrize("also", ["a0", "r"])
def test_what_a_caller_gets_stays(also: str) -> None:
    proto = model([("Mul", False)], also=(also,))
    before = run(proto)
    assert moved(proto) == ["Mul", "Reshape", "Neg"]
    for received, wanted in zip(run(proto), before, strict=True):
        np.testing.assert_array_equal(received, wanted)


def test_what_others_read_stays() -> None:
    proto = model([("Mul", False)])
    proto.graph.node.append(onnx.helper.make_node("Abs", ["a0"], ["z"]))
    proto.graph.output.append(
        onnx.helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, X.shape)
    )
    assert moved(proto)[0] == "Mul"


def test_numbers_for_each_channel_stay() -> None:
    proto = model([("Mul", False)])
    proto.graph.initializer[0].CopyFrom(
        onnx.numpy_helper.from_array(np.ones((1, 4, 3, 1), np.float32), "c")
    )
    assert moved(proto) == ["Mul", "Reshape", "Neg"]
