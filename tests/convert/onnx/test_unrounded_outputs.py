"""int8 ONNX files give what a dense layer sums up, and a softmax or sigmoid of it, unrounded."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from support import needs

from edgekit.convert.onnx.convert import int8_onnx
from edgekit.formats.model_file import read_model
from edgekit.inspection.inspect import operators_of
from edgekit.runtime.onnx_session import open_session
from edgekit.samples import Samples

onnx = needs.package("onnx")
needs.package("onnxruntime")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 8)).astype(np.float32)


def network(*rows: tuple[str, str, str], outputs: tuple[str, ...]) -> bytes:
    """Operators as (op, input, output) from `x`, shape (1, 8); Gemm and Conv have weights of their own."""
    make, nodes, weights = onnx.helper, [], []
    for op, given, made in rows:
        names = [given]
        if op in ("Gemm", "Conv"):
            shape = (8, 8) if op == "Gemm" else (8, 8, 1, 1)
            kernel = RNG.normal(size=shape).astype(np.float32)
            weights.append(onnx.numpy_helper.from_array(kernel, f"{made}_kernel"))
            weights.append(onnx.numpy_helper.from_array(kernel.reshape(8, 8)[0], f"{made}_bias"))
            names += [f"{made}_kernel", f"{made}_bias"]
        nodes.append(make.make_node(op, names, [made]))
    real, shape = onnx.TensorProto.FLOAT, [1, 8, 1, 1] if rows[0][0] == "Conv" else [1, 8]
    ends = [
        [make.make_tensor_value_info(n, real, shape) for n in names] for names in (["x"], outputs)
    ]
    graph = make.make_graph(nodes, "g", *ends, weights)
    proto = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8)
    content: bytes = proto.SerializeToString()
    return content


def answers(content: bytes, x: Any) -> list[Any]:
    session = open_session(content)
    return [
        np.concatenate(rows)
        for rows in zip(
            *(session.run(None, {"x": x[i : i + 1]}) for i in range(len(x))), strict=True
        )
    ]


def quantised(content: bytes, x: Any = X) -> tuple[bytes, Counter[str]]:
    made, *_ = int8_onnx(content, Samples({"x": x}))
    return made, Counter(node.op_type for node in onnx.load_from_string(made).graph.node)


@pytest.mark.parametrize("answer", ["Softmax", "Sigmoid"])
def test_an_answer_of_a_dense_layer_is_not_rounded(answer: str) -> None:
    content = network(("Gemm", "x", "h"), ("Gemm", "h", "s"), (answer, "s", "y"), outputs=("y",))
    made, ops = quantised(content)
    assert ops["QuantizeLinear"] == 2  # Of x and h.
    (y,) = answers(made, X)
    assert len(np.unique(y)) > 256
    # The steps of x, h and the weights remain: no rounding of s, whose step is a hundredth of it.
    (want,) = answers(content, X)
    assert np.abs(y - want).max() < 0.15
    onnx.checker.check_model(onnx.load_from_string(made))


@pytest.mark.parametrize("activation", ["Elu", "Exp", "LogSoftmax", "Softplus", "Tanh"])
def test_no_activation_makes_steps_of_a_dense_layers_sums(activation: str) -> None:
    rows = ("Gemm", "x", "h"), ("Gemm", "h", "s"), (activation, "s", "y")
    content = network(*rows, outputs=("y",))
    made, ops = quantised(content)
    assert ops["QuantizeLinear"] == 2  # Of x and h.
    (y,), (want,) = answers(made, X), answers(content, X)
    assert np.isfinite(y).all()
    assert np.median(np.abs(y - want)) <= 0.02 * np.ptp(want)


def test_an_exponential_follows_its_model() -> None:
    """In the logarithm it is off by what the steps of x, h and the weights cost, and no more."""
    content = network(("Gemm", "x", "h"), ("Gemm", "h", "s"), ("Exp", "s", "y"), outputs=("y",))
    made, _ = quantised(content)
    (y,), (want,) = answers(made, X), answers(content, X)
    assert np.abs(np.log(y) - np.log(want)).max() < 0.02 * np.ptp(np.log(want))


def test_nothing_stays_behind_of_what_is_taken_off() -> None:
    made, _ = quantised(network(("Gemm", "x", "s"), ("Softmax", "s", "y"), outputs=("y",)))
    graph = onnx.load_from_string(made).graph
    read = {name for node in graph.node for name in node.input}
    assert {tensor.name for tensor in graph.initializer} <= read


def test_two_outputs_of_the_same_sums() -> None:
    content = network(("Gemm", "x", "s"), ("Softmax", "s", "y"), outputs=("s", "y"))
    for order in (content, network(("Gemm", "x", "s"), ("Softmax", "s", "y"), outputs=("y", "s"))):
        made, ops = quantised(order)
        assert ops["QuantizeLinear"] == 1
        assert all(len(np.unique(result)) > 256 for result in answers(made, X))


def test_what_another_layer_reads_stays_rounded() -> None:
    content = network(("Gemm", "x", "s"), ("Gemm", "s", "y"), outputs=("s", "y"))
    made, ops = quantised(content)
    assert ops["QuantizeLinear"] == 2
    s, y = answers(made, X)
    assert len(np.unique(s)) <= 256 < len(np.unique(y))


def test_a_convolution_stays_rounded() -> None:
    """onnxruntime's integer kernel gives integers: float values would be computed in float."""
    content = network(("Conv", "x", "y"), outputs=("y",))
    made, ops = quantised(content, X.reshape(-1, 8, 1, 1))
    assert ops["QuantizeLinear"] == 2
    (y,) = answers(made, X.reshape(-1, 8, 1, 1))
    assert len(np.unique(y)) <= 256


def test_inspect_says_what_is_real_and_why() -> None:
    content = network(("Gemm", "x", "s"), ("Softmax", "s", "y"), outputs=("y",))
    found = operators_of(read_model(quantised(content)[0], "onnx"), "int8")
    assert found.counts["int8"]["Gemm"] == 1
    (left,) = found.float_ops
    assert left.op == "Softmax"
    assert "nobody rounds" in left.reason
