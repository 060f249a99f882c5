"""Pair-safe rounding leaves no pair that saturates, and little error."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.calibration.pair_safe import Rounded, pair_safe
from edgekit.formats.onnx_pairs import excess

RNG = np.random.default_rng(0)


def nearest(weights: Any) -> Rounded:
    scales = np.maximum(np.abs(weights).max(1, keepdims=True), 1e-9) / 127
    return Rounded(np.rint(weights / scales).astype(np.float32), scales.astype(np.float32))


def moments(count: int, groups: int = 1) -> Any:
    """Of rows that are correlated, as neighbouring channels are, about their mean."""
    rows = RNG.normal(size=(groups, 500, count // 2 + 1)) @ RNG.normal(size=(count // 2 + 1, count))
    rows = rows + RNG.normal(size=rows.shape)
    return (np.swapaxes(rows, 1, 2) @ rows / 500).astype(np.float32)


def error(made: Rounded, weights: Any, second: Any) -> float:
    short = made.integers * made.scales - weights
    return float((short * (second @ short)).sum())


@given(
    st.integers(1, 9), st.integers(1, 3), st.booleans(), st.booleans(), st.integers(0, 2**32 - 1)
)
def test_no_pair_is_over(count: int, groups: int, known: bool, together: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.uniform(-0.4, 1, (groups, count, 4)).astype(np.float32)
    rounded = nearest(weights)
    if together:
        rounded.scales[:] = rounded.scales.max()
    made = pair_safe(
        weights,
        rounded,
        [moments(count, groups)] if known else [],
        np.zeros(4, np.intp) if together else None,
    )
    assert not excess(made.integers).any()
    assert np.abs(made.integers).max() <= 127
    assert (made.integers == np.rint(made.integers)).all()
    assert np.abs(made.integers * made.scales - weights).max() <= 1
    if together:
        assert len(np.unique(made.scales)) == 1


def test_channels_without_such_a_pair_stay() -> None:
    weights = RNG.uniform(-1, 1, (1, 8, 3)).astype(np.float32)
    weights[0, :, 1] = [1, 0, 0.4, 0, -0.4, 0.1, 0, 1]
    rounded = nearest(weights)
    made = pair_safe(weights, rounded, [moments(8)])
    for before, after in zip(vars(rounded).values(), vars(made).values(), strict=True):
        np.testing.assert_array_equal(before[..., 1], after[..., 1])
    safe = nearest(weights[..., 1:2])
    assert pair_safe(weights[..., 1:2], safe, []) is safe


def test_errors_make_up_for_each_other() -> None:
    weights = RNG.normal(size=(1, 64, 16)).astype(np.float32)
    second = moments(64)
    rounded = nearest(weights)
    assert excess(rounded.integers).any()
    made = pair_safe(weights, rounded, [second])
    blind = pair_safe(weights, rounded, [])
    assert error(made, weights, second) < 1.3 * error(rounded, weights, second)
    assert error(made, weights, second) < 0.6 * error(blind, weights, second)


def test_moments_in_parts() -> None:
    weights = RNG.normal(size=(1, 50, 4)).astype(np.float32)
    second = moments(50)
    parts = [second[:, :20, :20], second[:, 20:, 20:]]
    made = pair_safe(weights, nearest(weights), parts)
    assert not excess(made.integers).any()
    assert error(made, weights, second) < 2 * error(nearest(weights), weights, second)


@pytest.mark.parametrize("known", [True, False])
def test_zeros_stay_and_shared_values_stay_shared(known: bool) -> None:
    pruned = RNG.uniform(0, 1, (1, 40, 3)).astype(np.float32) * (RNG.random((1, 40, 3)) < 0.5)
    second = [moments(40)] if known else []
    made = pair_safe(pruned, nearest(pruned), second)
    assert (made.integers[pruned == 0] == 0).all()
    values = np.array([-0.3, 0.1, 0.8, 1], np.float32)
    clustered = RNG.choice(values, (1, 40, 3))
    made = pair_safe(clustered, nearest(clustered), second)
    assert not excess(made.integers).any()
    for channel in range(3):
        assert len(np.unique(made.integers[..., channel])) <= 4
