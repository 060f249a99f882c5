"""Biases of last dense layers give sums with the mean of the float file's."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from support import needs

from edgekit.calibration.methods import Method
from edgekit.convert.onnx.convert import int8_onnx
from edgekit.runtime.onnx_session import open_session
from edgekit.samples import Samples

onnx = needs.package("onnx")
needs.package("onnxruntime")


def network(rng: Any, last: str = "Gemm", outputs: tuple[str, ...] = ("y",)) -> bytes:
    """x (1, 16) -> Gemm, Relu -> Gemm or MatMul -> y (1, 4), and the sigmoid of it, z."""
    make = onnx.helper
    weights = {"a": (16, 32), "b": (32,), "c": (32, 4), "d": (4,)}
    constants = [
        onnx.numpy_helper.from_array(rng.normal(size=shape).astype(np.float32), name)
        for name, shape in weights.items()
    ]
    nodes = [
        make.make_node("Gemm", ["x", "a", "b"], ["h"], "first"),
        make.make_node("Relu", ["h"], ["r"], "relu"),
        make.make_node(last, ["r", "c", "d"][: 3 if last == "Gemm" else 2], ["y"], "last"),
        make.make_node("Sigmoid", ["y"], ["z"], "answer"),
    ]
    real = onnx.TensorProto.FLOAT
    ends = [make.make_tensor_value_info(n, real, [1, 4]) for n in outputs]
    graph = make.make_graph(
        nodes if "z" in outputs else nodes[:3],
        "g",
        [make.make_tensor_value_info("x", real, [1, 16])],
        ends,
        constants if last == "Gemm" else constants[:3],
    )
    proto = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8)
    content: bytes = proto.SerializeToString()
    return content


def sums(content: bytes, x: Any) -> Any:
    session = open_session(content)
    return np.concatenate([session.run(["y"], {"x": row[None]})[0] for row in x])


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 64))
def test_means_are_those_of_the_float_file(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    content, x = network(rng), rng.normal(size=(count, 16)).astype(np.float32)
    made, *_ = int8_onnx(content, Samples({"x": x}), Method("mse"))
    error = (sums(made, x) - sums(content, x)).mean(0)
    # A bias has steps of the input's times the weights': some thousandths of what the sums span.
    assert np.abs(error).max() < 1e-3 * np.ptp(sums(content, x), 0).max(initial=1.0)


def test_sums_that_change_the_answer_count_more() -> None:
    rng = np.random.default_rng(0)
    content, x = network(rng, outputs=("z", "y")), rng.normal(size=(64, 16)).astype(np.float32)
    made, *_ = int8_onnx(content, Samples({"x": x}))
    error = sums(made, x) - sums(content, x)
    p = 1 / (1 + np.exp(-sums(content, x)))
    weighted = np.average(error, 0, p * (1 - p))
    assert np.abs(error.mean(0) + weighted).max() < 0.01 < np.abs(weighted).max()


def test_a_layer_without_a_bias_stays_as_it_is() -> None:
    rng = np.random.default_rng(0)
    content, x = network(rng, "MatMul"), rng.normal(size=(64, 16)).astype(np.float32)
    made, *_ = int8_onnx(content, Samples({"x": x}))
    assert np.abs(sums(made, x) - sums(content, x)).max() < 0.05 * np.ptp(sums(content, x))


def test_the_same_bytes_each_time() -> None:
    rng = np.random.default_rng(0)
    content, x = network(rng), rng.normal(size=(200, 16)).astype(np.float32)
    first, second = (int8_onnx(content, Samples({"x": x}), seed=3)[0] for _ in "ab")
    assert first == second
