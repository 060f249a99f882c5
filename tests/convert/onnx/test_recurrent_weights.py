"""Weights of recurrent operators, stored as int8."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgekit.convert.onnx.recurrent_weights import store_recurrent_weights
from edgekit.runtime.onnx_session import open_session

STEPS, FEATURES, UNITS = 40, 5, 24


def model(op: str, gates: int, ways: int) -> Any:
    rng = np.random.default_rng(0)
    shapes = {"w": (ways, gates * UNITS, FEATURES), "r": (ways, gates * UNITS, UNITS)}
    weights = [
        numpy_helper.from_array(rng.normal(0, 0.3, shape).astype(np.float32), name)
        for name, shape in shapes.items()
    ]
    way = "bidirectional" if ways == 2 else "forward"
    node = helper.make_node(op, ["x", "w", "r"], ["y"], hidden_size=UNITS, direction=way)
    ends = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [STEPS, 1, FEATURES]),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, [STEPS, ways, 1, UNITS]),
    ]
    graph = helper.make_graph([node], "g", ends[:1], ends[1:], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("ways", [1, 2])
@pytest.mark.parametrize(("op", "gates"), [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
def test_weights_take_a_quarter_and_answers_stay(op: str, gates: int, ways: int) -> None:
    x = np.random.default_rng(1).normal(size=(STEPS, 1, FEATURES)).astype(np.float32)
    proto = model(op, gates, ways)

    def answer() -> Any:
        return open_session(proto.SerializeToString()).run(None, {"x": x})[0]

    before, size = answer(), len(proto.SerializeToString())
    store_recurrent_weights(proto)
    onnx.checker.check_model(proto)
    kinds = {t.data_type for t in proto.graph.initializer if len(t.dims) == 3}
    assert kinds == {TensorProto.INT8}
    assert len(proto.SerializeToString()) < 0.5 * size
    noise = np.square(answer() - before).mean()
    assert 10 * np.log10(np.square(before).mean() / noise) > 25


def loop(transposed: bool, held: str) -> Any:
    """``state = tanh(x + state W)``, STEPS times; W is handed in, of the body, or of the graph around it."""
    weights = np.random.default_rng(0).normal(0, 0.1, (UNITS, UNITS)).astype(np.float32)
    tensors = {
        "w": numpy_helper.from_array(weights.T if transposed else weights, "w"),
        "steps": numpy_helper.from_array(np.int64(STEPS), "steps"),
        "go": numpy_helper.from_array(np.bool_(True), "go"),
    }
    matrix = "carried" if held == "handed in" else "w"
    zero = numpy_helper.from_array(np.zeros(1, np.float32), "none")
    product = helper.make_node("Gemm", ["state", matrix, "none"], ["p"], transB=int(transposed))
    nodes = [
        product,
        helper.make_node("Add", ["p", "x"], ["sum"]),
        helper.make_node("Tanh", ["sum"], ["next"]),
        helper.make_node("Identity", ["going"], ["still"]),
        helper.make_node("Identity", ["carried"], ["same"]),
    ]

    def value(name: str, kind: int, shape: list[int]) -> Any:
        return helper.make_tensor_value_info(name, kind, shape)

    begins = [value("i", TensorProto.INT64, []), value("going", TensorProto.BOOL, [])]
    ends = [value("still", TensorProto.BOOL, [])]
    for before, after, shape in (("state", "next", [1, UNITS]), ("carried", "same", [UNITS] * 2)):
        begins.append(value(before, TensorProto.FLOAT, shape))
        ends.append(value(after, TensorProto.FLOAT, shape))
    body = helper.make_graph(nodes, "body", begins, ends, [zero])
    if held == "of the body":
        body.initializer.append(tensors.pop("w"))
    carried = "w" if held == "handed in" else "x_square"
    node = helper.make_node("Loop", ["steps", "go", "x", carried], ["y", "rest"], body=body)
    outer = [node]
    if held != "handed in":
        outer.insert(0, helper.make_node("MatMul", ["x_column", "x"], ["x_square"]))
        outer.insert(0, helper.make_node("Transpose", ["x"], ["x_column"]))
    graph = helper.make_graph(
        outer,
        "g",
        [value("x", TensorProto.FLOAT, [1, UNITS])],
        [value("y", TensorProto.FLOAT, [1, UNITS])],
        list(tensors.values()),
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("held", ["handed in", "of the body", "of the graph"])
@pytest.mark.parametrize("transposed", [False, True])
def test_matrices_of_a_loop_too(held: str, transposed: bool) -> None:
    x = np.random.default_rng(1).normal(size=(1, UNITS)).astype(np.float32)
    proto = loop(transposed, held)

    def answer() -> Any:
        return open_session(proto.SerializeToString()).run(None, {"x": x})[0]

    before, size = answer(), len(proto.SerializeToString())
    store_recurrent_weights(proto)
    onnx.checker.check_model(proto)
    stored = [t for t in proto.graph.initializer if len(t.dims) == 2]
    assert [t.data_type for t in stored] == [TensorProto.INT8]
    assert [t.dims[0] for t in proto.graph.initializer if t.name == "w_scale"] == [UNITS]
    assert len(proto.SerializeToString()) < 0.6 * size
    noise = np.square(answer() - before).mean()
    assert 10 * np.log10(np.square(before).mean() / noise) > 25


def test_what_a_loop_changes_is_no_weight() -> None:
    proto = loop(False, "handed in")
    (node,) = proto.graph.node
    body = node.attribute[0].g
    for inner in body.node:
        if list(inner.output) == ["same"]:
            inner.CopyFrom(helper.make_node("Add", ["carried", "carried"], ["same"]))
    before = proto.SerializeToString()
    store_recurrent_weights(proto)
    assert proto.SerializeToString() == before
