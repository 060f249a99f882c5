"""ONNX files fitted to samples follow the float file better, and stay pair-safe."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support import needs

from edgekit.convert.onnx.convert import int8_onnx
from edgekit.formats.onnx_saturation import saturating
from edgekit.runtime.onnx_session import open_session
from edgekit.samples import Samples

onnx = needs.package("onnx")
make = onnx.helper

RNG = np.random.default_rng(0)
CALIBRATION, OTHERS = 120, 80


def network(depthwise: bool) -> bytes:
    """Convolutions between which channels differ in size, then a dense layer to y (1, 5)."""
    held: list[Any] = []
    sizes = np.exp(RNG.uniform(-4, 0, 16))

    def constant(values: Any) -> str:
        held.append(onnx.numpy_helper.from_array(np.asarray(values, np.float32), f"w{len(held)}"))
        return str(held[-1].name)

    def weights(*shape: int, by: Any) -> tuple[str, str]:
        kernel = RNG.normal(size=shape) / np.sqrt(np.prod(shape[1:]))
        bias = RNG.normal(size=shape[0]) / 5
        return constant(kernel * by), constant(bias * np.ravel(np.minimum(by, 1)))

    nodes = [
        make.make_node(
            "Conv", ["x", *weights(16, 4, 1, 1, by=sizes.reshape(-1, 1, 1, 1))], ["a"], "a"
        )
    ]
    nodes.append(make.make_node("Relu", ["a"], ["b"], "b"))
    groups = 16 if depthwise else 2
    by = 1 / sizes.reshape(16, 1, 1, 1) if depthwise else np.ones((1, 1, 1, 1))
    kernel = weights(16, 16 // groups, 3, 3, by=by)
    how = {"group": groups, "pads": [1, 1, 1, 1], "strides": [2, 2]}
    nodes.append(make.make_node("Conv", ["b", *kernel], ["c"], "c", **how))
    nodes.append(make.make_node("Relu", ["c"], ["d"], "d"))
    nodes.append(make.make_node("GlobalAveragePool", ["d"], ["e"], "e"))
    nodes.append(make.make_node("Flatten", ["e"], ["f"], "f"))
    dense = constant(RNG.normal(size=(5, 16)))
    nodes.append(make.make_node("Gemm", ["f", dense, constant(np.zeros(5))], ["y"], "y", transB=1))
    graph = make.make_graph(
        nodes,
        "g",
        [make.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 4, 12, 12])],
        [make.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 5])],
        held,
    )
    proto = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8)
    content: bytes = proto.SerializeToString()
    return content


def answers(content: bytes, x: Any) -> Any:
    session = open_session(content)
    return np.concatenate([session.run(None, {"x": x[i : i + 1]})[0] for i in range(len(x))])


def sqnr(want: Any, found: Any) -> float:
    return float(10 * np.log10(want.var(0).mean() / np.square(want - found).mean()))


@pytest.mark.parametrize("depthwise", [True, False])
def test_outputs_follow_better(depthwise: bool) -> None:
    content = network(depthwise)
    coarse = RNG.uniform(-1, 1, (CALIBRATION + OTHERS, 4, 3, 3)).repeat(4, 2).repeat(4, 3)
    x = (coarse + RNG.uniform(-0.2, 0.2, coarse.shape)).astype(np.float32)
    samples, others = Samples({"x": x[:CALIBRATION]}), x[CALIBRATION:]
    (fast, *_, none), (fitted, *_, about) = (
        int8_onnx(content, samples, quality=quality) for quality in ("fast", "default")
    )
    assert none == {"quality": "fast", "reason": "quality is fast"}
    assert about["layers"] == 3
    assert (about["equalised"] == 1) == depthwise
    # A grouped convolution has nothing to be equalised with; activations decide there.
    gain = 2 if depthwise else -1
    assert about["sqnr_db"] > about["sqnr_db_before"] + gain
    want = answers(content, others)
    assert sqnr(want, answers(fitted, others)) > sqnr(want, answers(fast, others)) + gain
    assert len(fitted) == len(fast)
    assert saturating(fitted) == ()
    assert int8_onnx(content, samples)[0] == fitted
