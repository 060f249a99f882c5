"""Whole biases: a number for all outputs becomes a number for each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import edgekit
from edgekit.convert.onnx.convert import dynamic_onnx, quantized_onnx
from edgekit.runtime.onnx_session import open_session
from edgekit.samples import Samples


def test_int8_of_dense_layers_that_one_number_is_added_to(tmp_path: Path) -> None:
    import keras

    x = keras.Input((6,), name="x")
    dense = keras.layers.Dense(5, use_bias=False)
    y = dense(x) + 2.0
    model = keras.Model(x, keras.layers.Dense(3, use_bias=False, name="y")(y) - 1.0)
    samples = {"x": np.random.default_rng(0).normal(0, 1, (64, 6)).astype(np.float32)}
    (file,) = edgekit.export(
        model,
        out=tmp_path,
        formats=["onnx"],
        schemes=["int8"],
        calibration=Samples(samples),
    )
    wanted = model.predict(samples["x"], verbose=0)
    with edgekit.load(file.path) as runner:
        (answers,) = runner.infer_batch(samples).values()
    assert 20 * np.log10(wanted.std() / (answers - wanted).std()) > 25


def test_operators_without_inputs_have_no_biases() -> None:
    """What a sampler draws is added where a bias would be."""
    kernel = numpy_helper.from_array(np.eye(4, dtype=np.float32) * 0.5, "kernel")
    nodes = [
        helper.make_node("RandomNormal", [], ["drawn"], shape=(1, 4), scale=1e-3),
        helper.make_node("Gemm", ["x", "kernel", "drawn"], ["y"]),
    ]
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, (1, 4)) for n in "xy")
    graph = helper.make_graph(nodes, "g", [x], [y], [kernel])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    content = model.SerializeToString()
    samples = Samples({"x": np.random.default_rng(0).random((20, 4), np.float32)})
    for made in (
        onnx.load_model_from_string(dynamic_onnx(content)),
        quantized_onnx(content, samples).proto,
    ):
        assert {"RandomNormal", "DequantizeLinear", "Gemm", "MatMulInteger"} & {
            n.op_type for n in made.graph.node
        }


def test_dynamic_of_one_column_that_a_sum_stretches() -> None:
    """The thresholds of an ordinal head: onnxruntime takes them for the bias of its fused product."""
    rng = np.random.default_rng(0)
    held = {
        "kernel": rng.normal(0, 1, (6, 5)).astype(np.float32),
        "column": rng.normal(0, 1, (5, 1)).astype(np.float32),
        "thresholds": np.array([2, 1, 0, -1], np.float32),
    }
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("x", (2, 6)), ("y", (2, 4)))
    ]
    nodes = [
        helper.make_node("MatMul", ["x", "kernel"], ["hidden"]),
        helper.make_node("MatMul", ["hidden", "column"], ["score"]),
        helper.make_node("Add", ["score", "thresholds"], ["y"]),
    ]
    constants = [numpy_helper.from_array(value, name) for name, value in held.items()]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    content = dynamic_onnx(model.SerializeToString())
    x = rng.normal(0, 1, (2, 6)).astype(np.float32)
    (y,) = open_session(content).run(None, {"x": x})
    wanted = x @ held["kernel"] @ held["column"] + held["thresholds"]
    assert np.abs(y - wanted).max() < 0.05 * np.ptp(wanted)
