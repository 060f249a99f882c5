"""Noise without any spread: a file that holds it must not end the process that loads it."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgekit.convert.onnx.constant_noise import without_constant_noise
from edgekit.runtime.onnx_session import open_session


def model(node: onnx.NodeProto) -> onnx.ModelProto:
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, (2, 3)) for n in "xy"]
    nodes = [node, helper.make_node("Add", ["x", "noise"], ["y"])]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("like", [False, True])
def test_a_deviation_of_zero_is_a_constant(like: bool) -> None:
    node = (
        helper.make_node("RandomNormalLike", ["x"], ["noise"], mean=2.5, scale=0.0)
        if like
        else helper.make_node("RandomNormal", [], ["noise"], mean=2.5, scale=0.0, shape=[2, 3])
    )
    proto = model(node)
    without_constant_noise(proto.graph)
    onnx.checker.check_model(proto)
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    (y,) = open_session(proto.SerializeToString()).run(None, {"x": x})
    assert np.array_equal(y, x + 2.5)


def test_noise_stays_noise() -> None:
    node = helper.make_node("RandomNormal", [], ["noise"], mean=0.0, shape=[2, 3])
    proto = model(node)
    without_constant_noise(proto.graph)
    assert proto == model(node)
