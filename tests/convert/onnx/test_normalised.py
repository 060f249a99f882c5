"""int8 ONNX of maps that are normalised to length 1: what picks of them shows what few small values lost."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgekit.convert.onnx.convert import int8_onnx
from edgekit.runtime.onnx_session import open_session
from edgekit.samples import Samples

RNG = np.random.default_rng(0)


def network() -> bytes:
    """A convolution, divided by its length over the channels, its maximum over places, a dense layer."""
    held = {
        "kernel": RNG.normal(0, 0.4, (4, 3, 3, 3)).astype(np.float32),
        "bias": RNG.normal(0, 0.1, 4).astype(np.float32),
        "channels": np.array([1]),
        "tiny": np.float32(1e-12),
        "dense": RNG.normal(0, 0.5, (4, 3)).astype(np.float32),
    }
    make = helper.make_node
    nodes = [
        make("Conv", ["x", "kernel", "bias"], ["map"]),
        make("Mul", ["map", "map"], ["squares"]),
        make("ReduceSum", ["squares", "channels"], ["sum"], keepdims=1),
        make("Max", ["sum", "tiny"], ["bounded"]),
        make("Sqrt", ["bounded"], ["length"]),
        make("Reciprocal", ["length"], ["factor"]),
        make("Mul", ["map", "factor"], ["unit"]),
        make("ReduceMax", ["unit"], ["largest"], axes=[2, 3], keepdims=0),
        make("MatMul", ["largest", "dense"], ["y"]),
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("x", (1, 3, 16, 16)), ("y", (1, 3)))
    ]
    constants = [numpy_helper.from_array(value, name) for name, value in held.items()]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


def test_the_maximum_of_a_normalised_map() -> None:
    """In 8 bits the factor of the shortest vectors has steps of its own size, and a maximum finds those."""
    content = network()
    given = RNG.uniform(-1, 1, (160, 1, 3, 16, 16)).astype(np.float32)
    made, _, plan, _ = int8_onnx(content, Samples({"x": given[:100, 0]}))
    assert {"factor", "unit", "largest"} <= plan.left.keys()
    wanted, found = (
        np.concatenate([open_session(each).run(None, {"x": x})[0] for x in given[100:]])
        for each in (content, made)
    )
    assert 10 * np.log10((wanted**2).sum() / ((wanted - found) ** 2).sum()) > 30
