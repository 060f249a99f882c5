"""Ends: what outputs are made of, in ONNX files as onnxruntime's quantiser writes them."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgekit.convert.check.ends import SOFTMAX, ends_of
from edgekit.formats.model_file import ModelFile


def constant(name: str, value: float, dtype: int, raw: bool) -> onnx.TensorProto:
    """Stored as bytes, as tf2onnx does it, or as numbers, as the quantiser does."""
    made: onnx.TensorProto = helper.make_tensor(name, dtype, (), [value])
    if raw:
        made = numpy_helper.from_array(numpy_helper.to_array(made), name)
    return made


@pytest.mark.parametrize("raw", [False, True])
def test_a_rounded_softmax_is_judged_at_its_logits(raw: bool) -> None:
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "in_scale", "in_zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "in_scale", "in_zero"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["chances"]),
        helper.make_node("QuantizeLinear", ["chances", "scale", "zero"], ["r"]),
        helper.make_node("DequantizeLinear", ["r", "scale", "zero"], ["p"]),
    ]
    held = [
        constant("in_scale", 0.25, TensorProto.FLOAT, raw),
        constant("in_zero", 128, TensorProto.UINT8, raw),
        constant("scale", 1 / 256, TensorProto.FLOAT, raw),
        constant("zero", 0, TensorProto.UINT8, raw),
    ]
    x, p = (helper.make_tensor_value_info(n, TensorProto.FLOAT, (1, 3)) for n in "xp")
    graph = helper.make_graph(nodes, "g", [x], [p], held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    file = ModelFile.read(model.SerializeToString(), "onnx")
    end = ends_of(file.model, file.content)["p"]
    assert end.kind == SOFTMAX
    assert (end.step, end.logits_step) == (np.float32(1 / 256), 0.25)
    assert end.logits is not None
    assert end.logits.name == "logits"
