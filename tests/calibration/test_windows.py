"""Rows against the definition: a padded tensor, read place by place."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.calibration.windows import Places, Window

ALL = 1_000_000


def rows_of_tensor(
    values: np.ndarray[Any, Any],
    window: Window | None,
    some: int,
    rng: np.random.Generator,
    zero: float = 0.0,
) -> np.ndarray[Any, Any]:
    """Those of a tensor whose channels are its second axis."""
    seen = np.moveaxis(values, 1, -1) if window else values
    return Places(seen.shape, window, some, [rng]).rows([seen], zero=zero)


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[np.ndarray[Any, Any], Window, float]:
    """A tensor, a window that fits into it, and what stands for zero."""
    axes = draw(st.integers(1, 3))
    groups, each = draw(st.integers(1, 3)), draw(st.integers(1, 3))

    def some(least: int, most: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(least, most)) for _ in range(axes))

    kernel, dilations = some(1, 3), some(1, 2)
    sizes = [
        draw(st.integers((k - 1) * d + 1, (k - 1) * d + 3))
        for k, d in zip(kernel, dilations, strict=True)
    ]
    automatic = draw(st.sampled_from(["", "SAME_UPPER", "SAME_LOWER"]))
    before, after = some(0, 2), some(0, 2)
    window = Window(groups, kernel, some(1, 3), dilations, before, after, automatic)
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    values = rng.integers(-128, 128, (draw(st.integers(1, 2)), groups * each, *sizes))
    return values.astype(draw(st.sampled_from(["i1", "f4"]))), window, draw(st.integers(-9, 9))


def edges(size: int, stride: int, reach: int, automatic: str) -> tuple[int, int]:
    """ONNX's and TensorFlow's SAME: as many outputs as strides begin, the odd zero behind or before."""
    outputs = -(-size // stride)
    missing = max(0, (outputs - 1) * stride + reach - size)
    half = (missing // 2, missing - missing // 2)
    return half if automatic == "SAME_UPPER" else half[::-1]


@given(convolutions())
def test_all_rows(case: tuple[np.ndarray[Any, Any], Window, float]) -> None:
    values, window, zero = case
    reaches = [(k - 1) * d + 1 for k, d in zip(window.kernel, window.dilations, strict=True)]
    if window.automatic:
        around = [
            edges(size, stride, reach, window.automatic)
            for size, stride, reach in zip(values.shape[2:], window.strides, reaches, strict=True)
        ]
    else:
        around = list(zip(window.before, window.after, strict=True))
    padded = np.pad(
        values.astype(np.float32), [(0, 0), (0, 0), *around], constant_values=np.float32(zero)
    )
    corners = product(
        *(
            range(0, size - reach + 1, stride)
            for size, reach, stride in zip(padded.shape[2:], reaches, window.strides, strict=True)
        )
    )
    cut = []
    for corner in corners:
        along = [
            slice(at, at + reach, dilation)
            for at, reach, dilation in zip(corner, reaches, window.dilations, strict=True)
        ]
        place = (slice(None), slice(None), *along)
        cut.append(padded[place])
    batch, places = len(values), len(cut)
    # (batch, places, groups, channels of a group, places of the kernel)
    expected = np.stack(cut, 1).reshape(batch, places, window.groups, -1, np.prod(window.kernel))
    expected = expected.transpose(2, 0, 1, 4, 3).reshape(window.groups, batch * places, -1) - zero
    found = rows_of_tensor(values, window, ALL, np.random.default_rng(0), zero)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


@given(convolutions(), st.integers(1, 20), st.integers(0, 9))
def test_some_rows_are_some_of_all(
    case: tuple[np.ndarray[Any, Any], Window, float], some: int, seed: int
) -> None:
    values, window, zero = case
    everything = rows_of_tensor(values, window, ALL, np.random.default_rng(0), zero)
    found = rows_of_tensor(values, window, some, np.random.default_rng(seed), zero)
    assert found.shape[1] == min(some, everything.shape[1])
    # A place is drawn for all groups at once.
    all_rows = {row.tobytes() for row in everything.transpose(1, 0, 2)}
    assert {row.tobytes() for row in found.transpose(1, 0, 2)} <= all_rows


@pytest.mark.parametrize("zero", [0.0, -3.0])
def test_rows_of_a_dense_layer(zero: float) -> None:
    values = np.arange(24, dtype=np.int8).reshape(2, 3, 4)
    found = rows_of_tensor(values, None, ALL, np.random.default_rng(0), zero)
    np.testing.assert_array_equal(found, values.reshape(1, 6, 4).astype(np.float32) - zero)


@given(convolutions(), st.lists(st.integers(1, 3), min_size=3, max_size=3))
def test_values_apart_are_values_with_zeros_between(
    case: tuple[np.ndarray[Any, Any], Window, float], steps: list[int]
) -> None:
    values, window, zero = case
    apart = tuple(steps[: values.ndim - 2])
    sizes = [(size - 1) * step + 1 for size, step in zip(values.shape[2:], apart, strict=True)]
    spread = np.full((*values.shape[:2], *sizes), zero, values.dtype)
    every = [slice(None), slice(None), *(slice(None, None, step) for step in apart)]
    spread[tuple(every)] = values
    found, want = (
        rows_of_tensor(x, w, 50, np.random.default_rng(0), zero)
        for x, w in ((values, replace(window, apart=apart)), (spread, window))
    )
    np.testing.assert_array_equal(found, want)


@given(convolutions(), st.integers(1, 20), st.booleans())
def test_rows_of_many_tensors_are_those_of_each(
    case: tuple[np.ndarray[Any, Any], Window, float], some: int, beside: bool
) -> None:
    values, window, zero = case
    tensors = [values, values[..., ::-1].copy(), values + values.dtype.type(1)]
    seen = [np.moveaxis(x, 1, -1) for x in tensors]
    if beside:  # Channels lie beside each other, as TFLite's do.
        seen = [x.copy() for x in seen]
    draws = [np.random.default_rng([some, i]) for i in range(len(tensors))]
    places = Places(seen[0].shape, window, some, draws)
    found = places.rows(seen, zero=zero)
    alone = [
        rows_of_tensor(x, window, some, np.random.default_rng([some, i]), zero)
        for i, x in enumerate(tensors)
    ]
    np.testing.assert_array_equal(found, np.concatenate(alone, 1))
    np.testing.assert_array_equal(places.rows(seen[1:2], 1, zero), alone[1])
