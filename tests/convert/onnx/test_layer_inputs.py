"""Rows that layers read, in the order of their weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support import needs

from edgekit.calibration.windows import Window
from edgekit.convert.onnx import layer_inputs
from edgekit.convert.onnx.layer_inputs import LayerInput, rows_of
from edgekit.formats.onnx_pairs import to_columns
from edgekit.samples import Samples

onnx = needs.package("onnx")
ort = needs.package("onnxruntime")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(5, 6, 9, 8)).astype(np.float32)


def graph(nodes: list[Any], shape: tuple[int, ...], weights: Any) -> Any:
    ends = [("x", [1, *shape]), ("y", None)]
    given, made = (
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, size)
        for name, size in ends
    )
    held = [onnx.numpy_helper.from_array(weights, "w")]
    made_graph = onnx.helper.make_graph(nodes, "g", [given], [made], held)
    return onnx.helper.make_model(made_graph, ir_version=8)


@pytest.mark.parametrize(
    ("groups", "strides", "dilations", "pads", "automatic"),
    [
        (1, (1, 1), (1, 1), (0, 0, 0, 0), ""),
        (3, (2, 1), (1, 2), (1, 0, 2, 3), ""),
        (2, (2, 3), (1, 1), (0, 0, 0, 0), "SAME_UPPER"),
        (1, (1, 2), (1, 1), (0, 0, 0, 0), "SAME_LOWER"),
    ],
)
def test_rows_times_weights_are_the_convolution(
    groups: int,
    strides: tuple[int, int],
    dilations: tuple[int, int],
    pads: tuple[int, ...],
    automatic: str,
) -> None:
    weights = RNG.normal(size=(6, 6 // groups, 3, 2)).astype(np.float32)
    how: dict[str, Any] = {"group": groups, "strides": strides}
    how |= {"auto_pad": automatic} if automatic else {"pads": pads}
    how |= {"dilations": dilations}
    proto = graph([onnx.helper.make_node("Conv", ["x", "w"], ["y"], **how)], X.shape[1:], weights)
    window = Window(groups, (3, 2), strides, dilations, pads[:2], pads[2:], automatic)
    layer = LayerInput("x", 6 // groups * 6, window)
    rows = rows_of(proto, [layer], Samples({"x": X}), seed=0)[layer]
    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    want = np.concatenate([session.run(None, {"x": X[i : i + 1]})[0] for i in range(len(X))])
    found = (rows @ to_columns("Conv", weights, groups)).transpose(1, 0, 2).reshape(-1, 6)
    # Each output once, the samples in any order.
    flat = np.moveaxis(want, 1, -1).reshape(-1, 6)
    assert found.shape == flat.shape
    order = np.lexsort(np.round(found, 3).T), np.lexsort(np.round(flat, 3).T)
    np.testing.assert_allclose(found[order[0]], flat[order[1]], atol=2e-3)


def test_few_rows_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer_inputs, "_VALUES", 10 * 6)
    proto = graph(
        [onnx.helper.make_node("MatMul", ["x", "w"], ["y"])], (9, 6), np.ones((6, 2), "f")
    )
    layer = LayerInput("x", 6)
    x = RNG.normal(size=(5, 9, 6)).astype(np.float32)
    rows = rows_of(proto, [layer, layer], Samples({"x": x}), seed=0)[layer]
    assert rows.shape == (1, 10, 6)
    known = {tuple(row) for row in x.reshape(-1, 6)}
    assert {tuple(row) for row in rows[0]} <= known
