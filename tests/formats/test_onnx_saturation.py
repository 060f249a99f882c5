"""Operators that saturate are named, by what onnxruntime's kernels really compute."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support import needs

from edgekit.errors import ArtifactError
from edgekit.formats import onnx_saturation
from edgekit.formats.onnx_saturation import Saturating, saturating

onnx = needs.package("onnx")
make, array = onnx.helper.make_node, onnx.numpy_helper.from_array
KINDS = {t: getattr(onnx.TensorProto, t.upper()) for t in ("float", "uint8", "int8")}

RNG = np.random.default_rng(0)
# Small but for one pair: weights 4 and 5 of the second output.
SAFE = RNG.integers(-1, 2, (8, 6)).astype(np.int8)
WILD = SAFE.copy()
WILD[4:6, 1] = 127


def model(nodes: list[Any], constants: dict[str, Any], x: str = "float", **more: Any) -> bytes:
    graph = onnx.helper.make_graph(
        nodes,
        "g",
        [onnx.helper.make_tensor_value_info("x", KINDS[x], None), *more.get("inputs", ())],
        [onnx.ValueInfoProto(name="y")],
        [array(np.asarray(value), name) for name, value in constants.items()],
    )
    content: bytes = onnx.helper.make_model(graph, ir_version=8).SerializeToString()
    return content


LOW, ONE = np.uint8(0), np.float32(1)


def fused(op: str, weights: Any, low: Any = LOW, **attributes: Any) -> bytes:
    """DequantizeLinear of `x` and of constant weights, and `op`."""
    nodes = [
        make("QuantizeLinear", ["x", "one", "low"], ["xq"]),
        make("DequantizeLinear", ["xq", "one", "low"], ["xd"]),
        make("DequantizeLinear", ["w", "one", "zero"], ["wd"]),
        make(op, ["xd", "wd"], ["y"], **attributes),
    ]
    constants = {"one": np.float32(1), "low": low, "zero": np.int8(0), "w": weights}
    return model(nodes, constants)


def integer(op: str, *inputs: Any, **attributes: Any) -> bytes:
    """An integer operator of `x` (uint8); inputs that are no names are constants."""
    constants = {f"c{i}": value for i, value in enumerate(inputs) if not isinstance(value, str)}
    names = [value if isinstance(value, str) else f"c{i}" for i, value in enumerate(inputs)]
    return model([make(op, names, ["y"], **attributes)], constants, "uint8")


KERNEL = WILD.T.reshape(6, 8, 1, 1)
DEPTHWISE = np.full((6, 1, 3, 3), 127, np.int8)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (fused("MatMul", WILD), True),
        (fused("MatMul", SAFE), False),
        (fused("MatMul", WILD, np.int8(0)), True),  # onnxruntime makes uint8 of it.
        (fused("MatMul", WILD.astype(np.int16).astype(np.uint8)), False),
        (fused("MatMul", WILD.T), False),  # The pair lies across two outputs.
        (fused("Gemm", WILD.T, transB=1), True),
        (fused("Gemm", WILD, transB=1), False),
        (fused("Conv", KERNEL), True),
        (fused("Conv", SAFE.T.reshape(6, 8, 1, 1)), False),
        (fused("Conv", np.moveaxis(KERNEL, 1, 2)), True),
        (fused("Conv", DEPTHWISE, group=6), False),
        (fused("Conv", DEPTHWISE, group=3), True),
        (fused("Conv", DEPTHWISE, group=4), True),  # No such operator: as it comes.
        (fused("ConvTranspose", KERNEL), False),
        (fused("Mul", WILD), False),
        (integer("MatMulInteger", "x", WILD), True),
        (integer("MatMulInteger", "x", SAFE), False),
        (integer("MatMulInteger", "x", np.stack([SAFE, WILD])), True),
        (integer("MatMulInteger", "x", WILD, np.int8(0)), False),
        (integer("QLinearConv", "x", ONE, LOW, KERNEL, ONE, np.int8(0), ONE, LOW), True),
        (integer("QLinearConv", "x", ONE, np.int8(0), KERNEL, ONE, np.int8(0)), False),
        (integer("QLinearMatMul", "x", ONE, LOW, WILD, ONE, np.int8(0), ONE, LOW), True),
        (integer("DynamicQuantizeLSTM", "x", SAFE[None], WILD[None]), True),
        (integer("DynamicQuantizeLSTM", "x", SAFE[None], SAFE[None]), False),
        (integer("ConvInteger", "x", KERNEL), False),
    ],
)
def test_constant_weights(content: bytes, named: bool) -> None:
    op = onnx.load_from_string(content).graph.node[-1].op_type
    assert saturating(content) == ((Saturating(op, "y", cured=True),) if named else ())


def test_computed_values() -> None:
    """Of two uint8 tensors nothing saturates; where the second is int8, no mode helps."""
    other = onnx.helper.make_tensor_value_info("v", KINDS["int8"], None)
    node = make("MatMulInteger", ["x", "v"], ["y"])
    assert saturating(model([node], {}, "uint8", inputs=[other])) == (
        Saturating("MatMulInteger", "y", cured=False),
    )
    assert saturating(model([node], {}, "int8", inputs=[other])) == ()
    other.type.tensor_type.elem_type = KINDS["uint8"]
    assert saturating(model([node], {}, "uint8", inputs=[other])) == ()


def test_float_values_are_multiplied_in_float() -> None:
    nodes = [make("DequantizeLinear", ["w", "one"], ["wd"]), make("MatMul", ["x", "wd"], ["y"])]
    assert saturating(model(nodes, {"w": WILD, "one": ONE})) == ()
    assert saturating(model([make("MatMul", ["x", "w"], ["y"])], {"w": WILD.astype(float)})) == ()


def test_weights_that_come_another_way() -> None:
    """Behind a Transpose, quantised in the graph, in a Constant, or in another file."""
    values = [
        make("QuantizeLinear", ["x", "one", "low"], ["xq"]),
        make("DequantizeLinear", ["xq", "one", "low"], ["xd"]),
        make("Reshape", ["xd", "shape"], ["xr"]),
    ]
    constants = {"one": ONE, "low": LOW, "zero": np.int8(0), "shape": np.array([1, 8])}
    turned = [
        make("DequantizeLinear", ["w", "one"], ["wd"]),
        make("Transpose", ["wd"], ["wt"]),
        make("MatMul", ["xr", "wt"], ["y"]),
    ]
    want = (Saturating("MatMul", "y", cured=True),)
    assert saturating(model([*values, *turned], {**constants, "w": WILD.T})) == want
    made = [
        make("QuantizeLinear", ["w", "one", "zero"], ["wq"]),
        make("DequantizeLinear", ["wq", "one", "zero"], ["wd"]),
        make("MatMul", ["xr", "wd"], ["y"]),
    ]
    assert saturating(model([*values, *made], {**constants, "w": WILD.astype(np.float32)})) == want
    held = [
        make("Constant", [], ["w"], value=array(WILD, "")),
        make("MatMulInteger", ["x", "w"], ["y"]),
    ]
    want = (Saturating("MatMulInteger", "y", cured=True),)
    assert saturating(model(held, {}, "uint8")) == want
    proto = onnx.load_from_string(integer("MatMulInteger", "x", SAFE))
    proto.graph.initializer[0].ClearField("raw_data")
    proto.graph.initializer[0].data_location = onnx.TensorProto.EXTERNAL
    assert saturating(proto.SerializeToString()) == want


def test_numbers_one_by_one() -> None:
    proto = onnx.load_from_string(integer("MatMulInteger", "x", WILD))
    (tensor,) = proto.graph.initializer
    for values, named in ((-WILD, True), (-SAFE, False)):
        tensor.CopyFrom(
            onnx.helper.make_tensor(tensor.name, KINDS["int8"], values.shape, values.flatten())
        )
        assert tensor.int32_data
        assert bool(saturating(proto.SerializeToString())) == named


def test_bodies(monkeypatch: pytest.MonkeyPatch) -> None:
    body = onnx.helper.make_graph(
        [make("MatMulInteger", ["x", "w"], ["inner"])], "b", [], [onnx.ValueInfoProto(name="inner")]
    )
    node = make("If", ["c"], ["y"], then_branch=body, else_branch=body)
    content = model([node], {"w": WILD, "c": np.array(True)}, "uint8")
    assert saturating(content) == 2 * (Saturating("MatMulInteger", "inner", cured=True),)
    monkeypatch.setattr(onnx_saturation, "_MOST_DEPTH", 0)
    with pytest.raises(ArtifactError, match="hostile"):
        saturating(content)


def test_damaged_files() -> None:
    content = fused("MatMul", WILD)
    for end in range(0, len(content), 7):
        try:
            saturating(content[:end])
        except ArtifactError:
            continue
