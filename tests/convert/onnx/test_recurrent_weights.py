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
