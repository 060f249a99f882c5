"""Weights in the order in which onnxruntime's x86 kernels pair them, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgekit.formats.onnx_pairs import excess, from_columns, takes_pairs, to_columns


@pytest.mark.parametrize(
    ("op", "shape", "groups", "transposed", "columns"),
    [
        ("Conv", (6, 4, 3, 3), 1, False, (1, 36, 6)),
        ("QLinearConv", (6, 2, 3), 3, False, (3, 6, 2)),
        ("Gemm", (5, 7), 1, False, (1, 5, 7)),
        ("Gemm", (5, 7), 1, True, (1, 7, 5)),
        ("MatMul", (2, 3, 5, 7), 1, False, (1, 5, 42)),
        ("DynamicQuantizeLSTM", (2, 5, 8), 1, False, (1, 5, 16)),
    ],
)
def test_there_and_back(
    op: str, shape: tuple[int, ...], groups: int, transposed: bool, columns: tuple[int, ...]
) -> None:
    weights = np.arange(np.prod(shape)).reshape(shape)
    made = to_columns(op, weights, groups, transposed)
    assert made.shape == columns
    np.testing.assert_array_equal(from_columns(op, made, shape, transposed), weights)


def test_the_order_of_a_convolution_is_place_then_channel() -> None:
    weights = np.array([[[[1, 2]], [[3, 4]]]])  # One output, two inputs, 1 x 2.
    assert to_columns("Conv", weights)[0, :, 0].tolist() == [1, 3, 2, 4]


@pytest.mark.parametrize(
    ("weights", "over"),
    [
        ([100, 29, 0], [1]),
        ([100, 28, 127], [0]),
        ([-100, -29, 127], [1]),
        ([-128, 0, 127, 127], [0, 126]),
        ([127, -128], [0]),
        ([127], []),
    ],
)
def test_excess(weights: list[int], over: list[int]) -> None:
    columns: Any = np.array(weights, np.int8).reshape(1, -1, 1)
    assert excess(columns)[0, :, 0].tolist() == over


def test_depthwise_kernels_take_no_pairs() -> None:
    assert not takes_pairs("Conv", (8, 1, 3, 3), 8)
    assert takes_pairs("Conv", (16, 1, 3, 3), 8)
    assert takes_pairs("Conv", (8, 2, 3, 3), 4)
    assert takes_pairs("MatMul", (8, 1), 1)
