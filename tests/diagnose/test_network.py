"""Networks: operators run one by one give what the whole file gives, in both formats."""

from __future__ import annotations

from typing import Any

import numpy as np
from diagnose.conftest import Files
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import edgekit
from edgekit.diagnose.network import Grid, kernel_rows
from edgekit.diagnose.opening import open_network
from edgekit.tensor import QuantParams, dequantize, quantize

FLOATS = npst.arrays(np.float32, 20, elements=st.floats(-1e3, 1e3, width=32))


@given(x=FLOATS, scale=st.floats(1e-3, 10), zero=st.integers(-128, 127))
def test_a_grid_rounds_as_the_specification_does(x: Any, scale: float, zero: int) -> None:
    scale = float(np.float32(scale))
    params = QuantParams((scale,), (zero,))
    expected = dequantize(quantize(x, params, np.int8), params)
    grid = Grid("t", "int8", scale, zero)
    # float32 and float64 may round what lies half-way to two neighbours.
    assert np.abs(grid.rounded(x) - expected).max() <= scale * (1 + 1e-5)
    low, high = grid.ends
    inside = (x >= low) & (x <= high)
    assert (np.abs(grid.rounded(x) - x)[inside] <= scale / 2 * (1 + 1e-4) + 1e-4).all()
    assert grid.rounded(np.float32([1e9]))[0] == np.float32(high)


def test_operators_one_by_one_give_what_the_file_gives(files: Files, images: Any) -> None:
    for path in (files.plain, files.int8):
        network = open_network(path).network
        with edgekit.load(path) as runner:
            answers = runner.infer_batch(images)
        for at in range(6):
            batch = {name: x[at : at + 1] for name, x in images.items()}
            whole = network.run(batch)
            values = {value: batch[name] for name, value in network.inputs.items()}
            for node in network.nodes:
                made = network.alone(node, [values[name] for name in node.takes])
                values.update(zip(node.gives, made, strict=True))
            # One step of an 8-bit softmax: kernels for a part may round half-way values to the other side.
            for name, value in network.outputs.items():
                np.testing.assert_allclose(whole[value], answers[name][at : at + 1], atol=1 / 255)
                np.testing.assert_allclose(values[value], whole[value], atol=1 / 255)


def test_constants_in_place_of_the_files_are_used(files: Files, images: Any) -> None:
    network = open_network(files.plain).network
    node = next(n for n in network.nodes if n.op == "CONV_2D")
    values = network.run({name: x[:1] for name, x in images.items()})
    assert node.weights is not None
    zeros = {1: np.zeros_like(node.weights.values)}
    if node.bias is not None:
        zeros[2] = np.zeros_like(node.bias.values)
    (made,) = network.alone(node, [values[name] for name in node.takes], zeros)
    assert not made.any()
    (again,) = network.alone(node, [values[name] for name in node.takes])
    np.testing.assert_allclose(again, values[node.gives[0]], rtol=1e-5, atol=1e-5)


def test_kernels_of_both_formats_stand_in_one_order(models: Any) -> None:
    networks = [
        open_network(models / f"classifier.float32.{f}").network for f in ("tflite", "onnx")
    ]
    rows = [
        [found for n in network.nodes if (found := kernel_rows(n, network.format)) is not None]
        for network in networks
    ]
    # Convolution, depthwise convolution, and a convolution that is a dense layer.
    assert [x.shape for x in rows[0]] == [(4, 9), (4, 9), (5, 64)]
    # TFLite's converter takes the division by 16 in front of the first convolution into its kernel.
    for ours, theirs, factor in zip(*rows, (16, 1, 1), strict=True):
        np.testing.assert_allclose(ours * factor, theirs, rtol=1e-6)


def test_integers_are_read_with_their_scales(models: Any) -> None:
    ours, plain = (
        open_network(models / f"classifier.{scheme}.tflite").network
        for scheme in ("int8", "float32")
    )
    for node, other in zip(ours.nodes, plain.nodes, strict=True):
        if node.weights is None or other.weights is None:
            continue
        assert node.weights.dtype == "int8"
        rows, exact = kernel_rows(node, "tflite"), kernel_rows(other, "tflite")
        assert rows is not None
        assert exact is not None
        # Symmetric, a scale an output: the largest weight of each is 127 of them.
        steps = np.abs(exact).max(1, keepdims=True) / 127
        assert (np.abs(rows - exact) <= steps * 0.51).all()
